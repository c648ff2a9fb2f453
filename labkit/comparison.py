"""Several methods and seeds in one table, with intervals; what is stored is not trained again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.evaluation import LEAD, Evaluation
from labkit.experiment import BASE, Experiment
from labkit.intervals import Difference, Scores, paired_difference
from labkit.methods import Method
from labkit.models import Model
from labkit.progress import RunBars
from labkit.runs import RUNS, Run
from labkit.training import Training

MEANS = (
    "train_seconds", "generation_seconds", "peak_memory_mib", "adapter_bytes", "validation_loss",
    "train_cut", "test_cut",  # dialogues that were too long for the model
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One line of a comparison: one model, over all its seeds."""

    label: str
    method: str
    runs: tuple[Run, ...]

    @cached_property
    def results(self) -> list[dict[str, Any]]:
        """scores.json of each seed."""
        return [run.results for run in self.runs]

    @cached_property
    def scores(self) -> Scores:
        """ROUGE per dialogue, averaged over the seeds."""
        return Scores.over_seeds([run.scores for run in self.runs])

    def mean(self, name: str) -> float | None:
        """Mean over the seeds of one of the other results; None where there is none."""
        values = [result[name] for result in self.results if result.get(name) is not None]
        return float(np.mean(values)) if values else None

    def row(self, base: Scores | None) -> dict[str, Any]:
        """All that is known, ready for JSON; ROUGE from 0 to 1, means over references and seeds."""
        row: dict[str, Any] = {
            "method": self.method,
            "label": self.label,
            "seeds": len(self.runs),
            "trainable": self.results[0].get("trainable", 0),
            "percent": self.results[0].get("percent", 0.0),
        }
        row |= self.scores.row()
        per_seed = [run.scores.average("rouge1") for run in self.runs]
        row["rouge1_seeds"] = per_seed
        if base is not None:
            difference = paired_difference(self.scores, base, "rouge1")
            row["rouge1_gain"] = difference.mean
            row["rouge1_gain_interval"] = [difference.low, difference.high]
        row |= {name: self.mean(name) for name in MEANS}
        row["runs"] = [str(run.folder) for run in self.runs]
        return row


@dataclass(frozen=True)
class Comparison:
    """The lines of a comparison on one corpus."""

    model: str
    data: str
    entries: tuple[Entry, ...]

    def __getitem__(self, label: str) -> Entry:
        """The line of this label."""
        for entry in self.entries:
            if entry.label == label:
                return entry
        raise LabError(f"{label!r} is not compared here: there are {', '.join(e.label for e in self.entries)}")

    @property
    def base(self) -> Entry | None:
        """The untouched model's line, if it is there."""
        return next((entry for entry in self.entries if entry.label == BASE), None)

    def rows(self) -> list[dict[str, Any]]:
        """One dict a line, as `labkit compare --json` prints them."""
        base = self.base
        return [entry.row(base.scores if base and entry is not base else None) for entry in self.entries]

    def difference_rows(self) -> list[dict[str, Any]]:
        """`differences`, ready for JSON."""
        return [
            {"label": a, "against": b, "rouge1": d.mean, "interval": [d.low, d.high], "real": bool(d.real)}
            for a, b, d in self.differences()
        ]

    def differences(self, measure: str = "rouge1") -> list[tuple[str, str, Difference]]:
        """Every pair of lines, the later one minus the earlier one, paired by dialogue."""
        pairs = [(a, b) for i, a in enumerate(self.entries) for b in self.entries[i + 1 :]]
        return [(b.label, a.label, paired_difference(b.scores, a.scores, measure)) for a, b in pairs]

    def plot(self) -> Any:
        """ROUGE-1 of every line with its interval, as a plotly figure."""
        from labkit.plots import rouge_bars

        return rouge_bars(self.rows())

    def _repr_html_(self) -> str:
        from labkit.plots import html_table

        return html_table(self.rows())


def compare(
    methods: Sequence[Method],
    model: str | Model = "nano",
    data: Dialogues | None = None,
    *,
    seeds: Sequence[int] | int = (0,),
    training: Training | None = None,
    evaluation: Evaluation | None = None,
    root: str | Path = RUNS,
    report: Callable[[str, dict[str, Any]], Any] | None = None,
    **loading: Any,
) -> Comparison:
    """Train what is missing, reuse what is there for the same settings, and put all into one table.

    Args:
        methods: What to compare with the baseline and the untouched base.
        model: Name of the base, loaded only if something has to be run, or a loaded base.
        data: Dialogues; the embedded corpus unless given.
        seeds: Each method is trained once a seed; the table shows the means. 3 is short for (0, 1, 2).
        training: How long and how fast.
        evaluation: On what, and how summaries are written.
        root: Folder of the runs.
        report: Called with (what is being done, news of it); None shows a bar a run.
        **loading: device, precision or revision for `load_model`.

    Returns:
        The table, with lead-2 and base first. Peak memory counts the untouched base beside the model that is trained.

    Raises:
        LabError: A dial or the data do not fit; told before anything is trained or written.
    """
    from labkit.dialogues import load_dialogues

    data = data or load_dialogues()
    if not isinstance(methods, Sequence) or not all(isinstance(each, Method) for each in methods):
        raise LabError(f"methods is {methods!r}: give a list of methods, such as [LoRA(rank=8)]")
    if not isinstance(data, Dialogues):
        raise LabError(f"data is {data!r}: give dialogues, such as load_dialogues('nano')")
    seeds = range(seeds) if isinstance(seeds, int) else seeds
    if not seeds:
        raise LabError("no seed is given: use one or more")
    labels = [method.label for method in methods]
    if len(set(labels)) < len(labels):
        raise LabError(f"{', '.join(labels)}: the same method is named twice, name each once")
    for seed in seeds:
        if not 0 <= seed < 2**32:
            raise LabError(f"seed {seed} is out of range: use 0 to {2**32 - 1}")
    if loading and not isinstance(model, str):
        raise LabError(f"{model.name} is loaded already: give {', '.join(loading)} to load_model instead")
    training, evaluation = training or Training(), evaluation or Evaluation()
    with RunBars(training.steps, len(data.head(test=evaluation.rows).test)) as bars:
        runs = Experiment(model, data, methods, training, evaluation, Path(root), report or bars.report, loading)
        runs.check()
        base = Entry(BASE, BASE, (runs.run(None),))  # first, because nothing is written before its model is loaded
        entries = [Entry(LEAD, LEAD, (runs.run(None, baseline=True),)), base]
        entries += [Entry(each.label, each.name, tuple(runs.run(each, seed) for seed in seeds)) for each in methods]
    return Comparison(runs.name, data.name, tuple(entries))
