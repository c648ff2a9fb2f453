"""What a model forgot: counted to the letter, paired with the base, with intervals."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from labkit.errors import LabError
from labkit.generation import generate
from labkit.inside.forgetting import GUESS, Forgetting, forgetting
from labkit.intervals import bootstrap
from labkit.methods import FullFineTuning, PromptTuning, attach
from labkit.models import Model
from labkit.runs import Run
from labkit.tasks import Task

LINES = ("Hello Anna", "we meet on Monday", "Bring the tea", "Ben will bring coffee", "Thanks Dan", "Bye")


@pytest.fixture(scope="module")
def tasks(tiny: Model) -> list[Task]:
    """Tasks of two kinds; of each kind, every second answer is what the tiny model says anyway."""
    prompts = [f"{line}\n\n{question}" for question in ("Who?", "When?") for line in LINES]
    said = generate(tiny, [list(tiny.tokenizer(prompt)["input_ids"]) for prompt in prompts])
    right = [answer if i % 2 else "Friday" for i, answer in enumerate(said)]
    return [Task("who" if i < 6 else "when", prompt, right[i]) for i, prompt in enumerate(prompts)]


@pytest.fixture(scope="module")
def silent(tiny: Model) -> Model:
    """A model that has forgotten everything: no token is likelier than the pad, and pads are not shown."""
    model = attach(tiny, FullFineTuning())
    with torch.no_grad():
        model.net.lm_head.weight.zero_()
    return model


@pytest.fixture(scope="module")
def found(tiny: Model, silent: Model, tasks: list[Task]) -> Forgetting:
    return forgetting(tiny, {"same": replace(tiny), "silent": silent}, tasks)


def test_counts_answers_that_are_right_to_the_letter(found: Forgetting) -> None:
    assert found.kinds == ["who", "when", "all"]
    assert found.of("base").tolist() == [0, 1] * 6
    assert found.of("base", "when").tolist() == [0, 1] * 3
    assert found.of("silent").tolist() == [0] * 12


def test_the_commonest_answer_of_each_kind_is_the_baseline(found: Forgetting) -> None:
    assert found.answers[GUESS] == ["Friday"] * 12
    assert found.of(GUESS).tolist() == [1, 0] * 6


def test_a_model_that_forgot_nothing_has_no_change(found: Forgetting) -> None:
    change = found.change("same")
    assert (change.mean, change.low, change.high) == (0, 0, 0)
    assert found.lost("same") == []


def test_the_change_is_paired_with_the_base(found: Forgetting, tasks: list[Task]) -> None:
    change = found.change("silent", "who")
    assert (change.mean, change.low, change.high) == (-0.5, *bootstrap(np.array([0.0, -1.0] * 3)))
    assert found.lost("silent") == [task._asdict() | {"now": ""} for task in tasks[1::2]]


def test_the_rows_say_accuracy_and_change_with_intervals(found: Forgetting) -> None:
    rows = {(row["kind"], row["label"]): row for row in found.rows()}
    assert len(rows) == 3 * 4
    assert rows["all", "base"] == {
        "kind": "all", "label": "base", "accuracy": 0.5, "interval": list(bootstrap(np.array([0.0, 1.0] * 6)))
    }  # fmt: skip
    assert rows["all", "silent"]["accuracy"] == 0
    assert rows["all", "silent"]["change"] == -0.5
    low, high = rows["all", "silent"]["change_interval"]
    assert -1 < low < -0.5 < high < 0


def test_the_figure_shows_what_the_rows_say(found: Forgetting) -> None:
    figure = found.plot()
    assert [bar.name for bar in figure.data] == [GUESS, "base", "same", "silent"]
    low, high = bootstrap(found.of("base", "who"))
    assert list(figure.data[1].x) == ["who", "when", "all"]
    assert list(figure.data[1].y) == [0.5, 0.5, 0.5]
    assert figure.data[1].error_y.array[0] == pytest.approx(high - 0.5)
    assert figure.data[1].error_y.arrayminus[0] == pytest.approx(0.5 - low)


def test_the_table_has_a_line_a_kind_and_escapes_labels(found: Forgetting) -> None:
    html = replace(found, right={"base": found.right["base"], "<b>": found.right["silent"]})._repr_html_()
    assert html.count("<tr>") == 4
    assert "<th scope='col'>base</th><th scope='col'>&lt;b&gt; (change)</th>" in html
    assert "<td>all</td><td>50%</td><td>0% (-50%, " in html
    assert "<b>" not in html


def test_the_soft_prompt_of_a_model_is_on(tiny: Model, tasks: list[Task]) -> None:
    soft = attach(tiny, PromptTuning(tokens=30, init="random"))
    with torch.no_grad():
        soft.net.prompt_encoder["default"].embedding.weight.mul_(30)
    found = forgetting(tiny, {"soft": soft}, tasks)
    assert found.answers["soft"] == generate(soft, [list(tiny.tokenizer(task.prompt)["input_ids"]) for task in tasks])
    assert found.answers["soft"] != found.answers["base"]


def test_a_prompt_over_the_room_of_the_model_loses_its_end(tiny: Model) -> None:
    long = [Task("who", "Hello Anna. " * 300 + end, "x") for end in ("Who?", "When?")]
    assert len(set(forgetting(tiny, {}, long).answers["base"])) == 1


def test_tells_how_far_each_model_is(tiny: Model, silent: Model, tasks: list[Task]) -> None:
    told: list[Any] = []
    forgetting(tiny, {"silent": silent}, tasks, progress=lambda *news: told.append(news))
    assert told == [("base", 12), ("silent", 12)]


def test_asks_the_tasks_that_travel_with_labkit_unless_given(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [Task("who", "Hello Anna", "x")] * 2
    monkeypatch.setattr("labkit.inside.forgetting.load_tasks", lambda: asked)
    assert forgetting(tiny, {}).tasks == asked


def test_what_cannot_be_measured_is_refused_in_one_line(tiny: Model, tasks: list[Task], found: Forgetting) -> None:
    for taken in ("base", GUESS):
        with pytest.raises(LabError, match=f"a model is named '{taken}', as what it is compared with: give it another"):
            forgetting(tiny, {taken: tiny}, tasks)
    with pytest.raises(LabError, match=r"lora is no model: open a run with open_run\(run\) first"):
        forgetting(tiny, {"lora": Run(Path("here"))}, tasks)  # type: ignore[dict-item]
    for few in ([], tasks[:1], tasks[:7]):
        with pytest.raises(LabError, match="too few tasks for an interval: give 2 or more of each kind"):
            forgetting(tiny, {}, few)
    with pytest.raises(LabError, match="'lora' was not measured here: there are commonest answer, base, same, silent"):
        found.of("lora")
    with pytest.raises(LabError, match="'why' was not measured here: there are who, when, all"):
        found.of("base", "why")
