"""What a model forgot: answers to the tasks of its pre-training, before fine-tuning and after.

tasks ----> base    ----> right or wrong, to the letter -----+
       |                                                     +--> paired difference, task by task
       +--> adapted ----> right or wrong, to the letter -----+
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import numpy as np

from labkit.errors import LabError
from labkit.generation import generate
from labkit.intervals import Difference, FloatArray, bootstrap
from labkit.models import Model
from labkit.tasks import Task, load_tasks

BASE = "base"
GUESS = "commonest answer"  # always given, whatever is asked: where few answers are possible, it is often right
ALL = "all"  # over the tasks of every kind


@dataclass(frozen=True, eq=False)
class Forgetting:
    """What each model answered.

    Attributes:
        tasks: What was asked.
        answers: For each label an answer a task: of the baseline that always gives a kind's commonest answer, of the
            base, and of each model.
        right: For each label, 1 where the answer is right to the letter, else 0, shape (tasks,).
    """

    tasks: list[Task]
    answers: dict[str, list[str]]
    right: dict[str, FloatArray]

    @property
    def kinds(self) -> list[str]:
        """The kinds of tasks, then "all"."""
        return [*dict.fromkeys(task.kind for task in self.tasks), ALL]

    def of(self, label: str, kind: str = ALL) -> FloatArray:
        """1 for right and 0 for wrong, for each task of a kind.

        Raises:
            LabError: There is no such label or kind.
        """
        for name, there in ((label, list(self.right)), (kind, self.kinds)):
            if name not in there:
                raise LabError(f"{name!r} was not measured here: there are {', '.join(there)}")
        return self.right[label][[kind in (task.kind, ALL) for task in self.tasks]]

    def change(self, label: str, kind: str = ALL) -> Difference:
        """How much more a model has right than the base, as a share in -1..1; below 0 is forgotten.

        A bootstrap over the tasks, paired; where no task changed, its interval has no width.
        """
        differences = self.of(label, kind) - self.of(BASE, kind)
        low, high = bootstrap(differences)
        return Difference(float(differences.mean()), low, high)

    def rows(self) -> list[dict[str, Any]]:
        """A dict a kind and model: kind, label, accuracy in 0..1 with interval, change with change_interval.

        Bootstrap intervals over the tasks; where all are right or all are wrong, they have no width.
        """
        return [self._row(kind, label) for kind in self.kinds for label in self.right]

    def _row(self, kind: str, label: str) -> dict[str, Any]:
        right = self.of(label, kind)
        row = {"kind": kind, "label": label, "accuracy": float(right.mean()), "interval": list(bootstrap(right))}
        if label == BASE:
            return row
        change = self.change(label, kind)
        return row | {"change": change.mean, "change_interval": [change.low, change.high]}

    def lost(self, label: str) -> list[dict[str, str]]:
        """The tasks that the base had right and a model has wrong: kind, prompt, right answer and its own."""
        gone = self.of(BASE) > self.of(label)
        told = zip(self.tasks, self.answers[label], gone, strict=True)
        return [task._asdict() | {"now": answer} for task, answer, lost in told if lost]

    def plot(self) -> Any:
        """Accuracy of every model on each kind of task, with its 95 % interval, as a plotly figure."""
        import plotly.graph_objects as go

        from labkit.plots import style

        figure, every = go.Figure(), self.rows()
        for label in self.right:
            rows = [row for row in every if row["label"] == label]
            up = [row["interval"][1] - row["accuracy"] for row in rows]
            down = [row["accuracy"] - row["interval"][0] for row in rows]
            spread = {"type": "data", "symmetric": False, "array": up, "arrayminus": down}
            figure.add_bar(name=label, x=self.kinds, y=[row["accuracy"] for row in rows], error_y=spread)
        figure.update_layout(barmode="group", xaxis_title="task", yaxis_title="share of right answers")
        figure.update_yaxes(range=[0, 1], tickformat=".0%")
        return style(figure)

    def _repr_html_(self) -> str:
        titles = ["task", *(label if label == BASE else f"{label} (change)" for label in self.right)]
        every = self.rows()
        lines = [[kind, *(_cell(row) for row in every if row["kind"] == kind)] for kind in self.kinds]
        head = "".join(f"<th scope='col'>{escape(title)}</th>" for title in titles)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(row: dict[str, Any]) -> str:
    right = f"{row['accuracy']:.0%}"
    if "change" not in row:
        return right
    low, high = row["change_interval"]
    return f"{right} ({row['change']:+.0%}, {low:+.0%} to {high:+.0%})"


def forgetting(
    base: Model,
    models: Mapping[str, Model],
    tasks: Sequence[Task] | None = None,
    *,
    progress: Callable[[str, int], Any] | None = None,
) -> Forgetting:
    """Ask the base and the models made from it the tasks of the pre-training.

    The method stays on: what is measured is what the adapted model still knows. Without its adapter, a model that
    was adapted with LoRA or a soft prompt is the base again, and knows all that the base knew.

    Args:
        base: The untouched model.
        models: The adapted ones, by label.
        tasks: What to ask; all that `load_tasks` gives unless given. Each kind needs 2 or more.
        progress: Called with a label and how many tasks that model has answered, after each batch.

    Returns:
        Answers and accuracies with intervals.

    Raises:
        LabError: A model is named as what it is compared with, or there are too few tasks for an interval.

    Example:
        >>> forgetting(base, {"lora": open_run(run)}, load_tasks(rows=20)).plot()
    """
    for label, model in models.items():
        if not isinstance(model, Model):
            raise LabError(f"{label} is no model: open a run with open_run(run) first")
    asked = list(load_tasks() if tasks is None else tasks)
    kinds = [task.kind for task in asked]
    if taken := {GUESS, BASE} & set(models):
        raise LabError(f"a model is named {taken.pop()!r}, as what it is compared with: give it another label")
    if not asked or min(map(kinds.count, kinds)) < 2:
        raise LabError("too few tasks for an interval: give 2 or more of each kind, better 20")
    wanted = _as_written(base.tokenizer, [task.answer for task in asked])
    answers = {GUESS: _commonest(kinds, wanted)}
    for label, model in {BASE: base, **models}.items():
        answers[label] = _answers(model, asked, partial(progress, label) if progress else None)
    right = {
        label: np.array([a == b for a, b in zip(said, wanted, strict=True)], dtype=float)
        for label, said in answers.items()
    }
    return Forgetting(asked, answers, right)


def _commonest(kinds: list[str], answers: list[str]) -> list[str]:
    counts: dict[str, Counter[str]] = {}
    for kind, answer in zip(kinds, answers, strict=True):
        counts.setdefault(kind, Counter())[answer] += 1
    return [counts[kind].most_common(1)[0][0] for kind in kinds]


def _answers(model: Model, tasks: list[Task], progress: Callable[[int], Any] | None) -> list[str]:
    # a prompt that a long soft prompt leaves too little room for loses its end, as in the pre-training
    prompts = model.tokenizer([task.prompt for task in tasks], truncation=True, max_length=model.room)["input_ids"]
    return generate(model, prompts, progress=progress)


def _as_written(tokenizer: Any, answers: list[str]) -> list[str]:
    """The answers as this tokenizer would write them: it may have no sign for a character."""
    ids = tokenizer(answers, verbose=False)["input_ids"]
    return [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]
