"""The checks of exercises that are experiments: done as asked or not, and what came out."""

from pathlib import Path
from typing import Any

import pytest
from made import made_comparison

from labkit import checks
from labkit.costs.activations import Step
from labkit.dialogues import Dialogues
from labkit.models import Model
from labkit.prompts import Prompt
from labkit.runs import Run

GIB = 2**30


def test_a_comparison_with_all_lines_tells_the_difference(tmp_path: Path) -> None:
    table = made_comparison(tmp_path)
    trained = [entry.label for entry in table.entries if entry.results[0].get("trainable")]
    found = checks.compared(table, *trained[:2])
    assert found
    later, earlier, d = next(each for each in table.differences() if {each[0], each[1]} == set(trained[:2]))
    assert f"{later} minus {earlier} is {d.mean:+.3f} [{d.low:+.3f}, {d.high:+.3f}]" in found.text
    assert checks.compared(table)


@pytest.mark.parametrize(
    ("labels", "said"),
    [(("lora", "nothing like it"), "nothing like it is missing: "), (("base",), "base is missing: ")],
)
def test_a_line_that_is_not_there_is_named(labels: tuple[str, ...], said: str, tmp_path: Path) -> None:
    found = checks.compared(made_comparison(tmp_path), *labels)
    assert not found
    assert found.text.startswith(said)


def run_with(folder: Path, losses: dict[int, float]) -> Run:
    folder.mkdir()
    run = Run(folder)
    for step, loss in losses.items():
        run.log({"step": step, "loss": 1.0})
        run.log({"step": step, "validation_loss": loss})
    return run


def test_a_validation_loss_that_rises_is_overfitting(tmp_path: Path) -> None:
    rises, falls = ({10: 2.5, 20: 2.25, 30: 2.5}, {10: 2.5, 20: 2.25, 30: 2.24})
    up, down = run_with(tmp_path / "up", rises), run_with(tmp_path / "down", falls)
    assert checks.overfits(True, up)
    assert not checks.overfits(False, up)
    assert checks.overfits(False, down)
    assert not checks.overfits(True, down)
    assert checks.overfits(True, up).text == (
        "the validation loss was best at step 20 of 30, and ended 0.250 above that."
    )


@pytest.mark.parametrize(("answer", "run"), [(None, None), (None, Run(Path("here"))), ("yes", Run(Path("here")))])
def test_overfitting_needs_an_answer_and_a_run(answer: Any, run: Any) -> None:
    found = checks.overfits(answer, run)
    assert not found
    assert "no run" in found.text or "no answer" in found.text


def test_a_wording_is_chosen_on_validation_rows(
    tiny: Model, tiny_data: Dialogues, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Prompt, int]] = []

    def write(_: Model, dialogues: list[str], prompt: Prompt) -> list[str]:
        asked.append((prompt, len(dialogues)))
        assert dialogues == list(tiny_data.validation["dialogue"])[: len(dialogues)]
        references = list(tiny_data.validation["summaries"])
        return [references[i][0] if prompt.instruction == "Well." else "tea" for i in range(len(dialogues))]

    monkeypatch.setattr("labkit.checks.experiments.summarize", write)
    good, poor = Prompt("Well."), Prompt("Badly.")
    assert checks.better_wording(good, poor, tiny, tiny_data, rows=4)
    assert not checks.better_wording(poor, good, tiny, tiny_data, rows=4)
    assert asked[0] == (good, 4)
    assert "ROUGE-1 is 1.000 with your words" in checks.better_wording(good, poor, tiny, tiny_data, rows=4).text
    assert "put other words" in checks.better_wording(good, good, tiny, tiny_data).text
    assert "no prompt" in checks.better_wording("Well.", poor, tiny, tiny_data).text


@pytest.mark.parametrize(
    ("step", "needed", "right", "said"),
    [
        (Step(checkpointing=True), 13, True, "with checkpointing it takes 13.0 GiB"),
        (Step(checkpointing=True), 15, False, "15.0 GiB are too much for 90% of 16"),
        (Step(), 20, False, "0 settings are changed (none): change one"),
        (Step(8, precision="bf16"), 10, False, "2 settings are changed (batch_size, precision): change one"),
        (Step(2), 10, False, "a batch of 2 is too small for this exercise"),
    ],
)
def test_a_step_has_to_fit_with_one_setting_changed(step: Step, needed: float, right: bool, said: str) -> None:
    found = checks.fits(step, Step(), needed * GIB, 16)
    assert bool(found) is right
    assert said in found.text


@pytest.mark.parametrize(
    ("errors", "right", "said"),
    [
        ({"wrong name": 3, "good": 7}, True, "3 of 10 have an error"),
        ({"wrong name": 6, "made up": 6, "good": 1}, True, "9 of 10 have an error"),
        ({"wrong name": 0, "good": 0}, False, "0 of 10 are counted"),
        ({"wrong name": -1, "good": 11}, False, "-1 of 'wrong name' is no count: give 0 to 10"),
        ({"wrong name": "many", "good": 1}, False, "many of 'wrong name' is no count"),
    ],
)
def test_as_many_summaries_are_counted_as_were_read(errors: dict[str, Any], right: bool, said: str) -> None:
    found = checks.errors_counted(errors, 10)
    assert bool(found) is right
    assert said in found.text
