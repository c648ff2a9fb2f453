"""The panel that trains."""

import threading
from pathlib import Path
from typing import Any

import pytest

from labkit.dialogues import Dialogues
from labkit.evaluation import Evaluation
from labkit.methods import (
    METHODS,
    AdaLoRA,
    Bottleneck,
    LoRA,
    Method,
    PromptTuning,
    Selective,
    from_dials,
)
from labkit.models import Model
from labkit.runs import Run
from labkit.training import Training
from labkit.widgets.trainer import Trainer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ipywidgets")


def panel(tiny: Model, data: Dialogues, root: Path, steps: int = 10, **more: Any) -> Trainer:
    training = Training(steps=steps, batch_size=4, validations=2)
    return Trainer(tiny, data, training=training, evaluation=Evaluation(max_new_tokens=4), root=root, **more)


def said(shown: Trainer) -> str:
    return str(shown.status.value)


def stop_soon(shown: Trainer) -> None:
    """Press Start, and Stop as soon as something was logged."""
    assert shown.live
    logged = threading.Event()
    shown.live.listen(lambda: logged.set() if shown.live and shown.live.run.history else None)
    shown.start_button.click()
    assert logged.wait(120)
    shown.stop_button.click()
    shown.live.wait(120)


def test_nothing_is_written_before_start_is_pressed(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    shown = panel(tiny, tiny_data, tmp_path)
    assert "Not trained yet" in said(shown)
    assert not list(tmp_path.iterdir())


def test_start_trains_what_the_dials_say(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    shown = panel(tiny, tiny_data, tmp_path, method=LoRA(rank=2))
    shown.start_button.click()
    assert shown.live
    run = shown.live.wait(120)
    assert run.config["method"]["rank"] == 2
    assert run.config["training"]["steps"] == 10
    assert "finished" in said(shown)
    assert [row[0] for row in shown.table.values] == [5, 10]
    assert shown.start_button.disabled
    assert shown.stop_button.disabled


def test_a_long_training_draws_its_curve_some_hundred_times_only(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labkit.widgets.trainer.PAUSE", -1.0)
    history: list[dict[str, float]] = []
    monkeypatch.setattr(Run, "started", True)
    monkeypatch.setattr(Run, "history", history)
    shown, drawn = panel(tiny, tiny_data, tmp_path, steps=3000), []
    shown.chart.observe(drawn.append, "outputs")
    for step in range(1, 3001):
        history.append({"step": step, "loss": 1 / step, "seconds": step / 4})
        shown._news()
    # as often as a curve has points, and some more times while it is short
    assert 200 <= len(drawn) <= 210
    assert "step 3,000 of 3,000" in said(shown)


def test_dials_cannot_be_turned_while_it_trains(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    shown = panel(tiny, tiny_data, tmp_path, steps=500)
    shown.start_button.click()
    assert shown.steps.disabled
    assert shown.live
    shown.live.stop()
    shown.live.wait(120)
    assert not shown.steps.disabled


def test_a_stopped_run_is_shown_again_by_a_new_panel_and_goes_on(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    first = panel(tiny, tiny_data, tmp_path, steps=60, method=PromptTuning(tokens=3))
    stop_soon(first)
    assert first.start_button.description == "Resume"
    again = panel(tiny, tiny_data, tmp_path, steps=60)
    assert again.dials.method == PromptTuning(tokens=3)
    assert again.live is first.live
    assert again.start_button.description == "Resume"
    again.start_button.click()
    assert again.live
    assert again.live.wait(120).finished
    assert again.table.values[-1][0] == 60


def test_turning_a_dial_shows_another_run(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    shown = panel(tiny, tiny_data, tmp_path)
    shown.start_button.click()
    assert shown.live
    shown.live.wait(120)
    shown.seed.value = 1
    assert "Not trained yet" in said(shown)
    assert shown.table.values == []
    shown.seed.value = 0
    assert "finished" in said(shown)


def test_a_dial_that_does_not_fit_is_told_in_a_line(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    shown = panel(tiny, tiny_data, tmp_path, method=LoRA(rank=2))
    shown.dials.turn(rank=128)
    shown.start_button.click()
    assert "above" in said(shown)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", METHODS)
def test_every_method_can_be_chosen(name: str, tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    shown = panel(tiny, tiny_data, tmp_path)
    shown.dials.children[0].value = name
    if name == "bottleneck":
        shown.dials.turn(width=4)
    if name == "adalora":
        shown.dials.turn(rank=2)
    assert "Not trained yet." in said(shown)
    assert not shown.start_button.disabled
    assert shown.live
    assert shown.live.run.folder.name.startswith(name)


@pytest.mark.parametrize(
    ("method", "turned", "why"),
    [
        (Bottleneck(width=4), {"width": 32}, "width 32 is no bottleneck in a model of 32"),
        (AdaLoRA(rank=2, start=4), {"start": 32}, "start 32 is above 24, the width of the narrowest target layer"),
        (Selective(), {"part": "encoder", "weights": "position-biases"}, "leaves nothing to train"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_combination_that_is_refused_cannot_be_started(
    method: Method, turned: dict[str, Any], why: str, tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    shown = panel(tiny, tiny_data, tmp_path, method=method)
    assert not shown.start_button.disabled
    shown.dials.turn(**turned)
    assert why in said(shown)
    assert shown.start_button.disabled


def test_what_the_dials_of_another_method_say_is_trained(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    shown = panel(tiny, tiny_data, tmp_path, steps=2)
    shown.dials.children[0].value = "selective"
    shown.dials.turn(part="encoder", layers="all", weights="norms")
    shown.start_button.click()
    assert shown.live
    assert from_dials(shown.live.wait(120).config["method"]) == Selective("encoder", "all", "norms")
    assert "finished" in said(shown)
