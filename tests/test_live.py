"""Training beside the notebook: started, watched, stopped, gone on with."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labkit import compare
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.evaluation import Evaluation
from labkit.live import LiveRun, latest, start
from labkit.methods import FullFineTuning, LoRA
from labkit.models import Model
from labkit.training import Training

SHORT = Training(steps=4, batch_size=4, validations=2)
LONG = Training(steps=400, batch_size=4, validations=2)
FEW = Evaluation(max_new_tokens=4)


def go(tiny: Model, data: Dialogues, root: Path, training: Training = SHORT, **more: Any) -> LiveRun:
    return start(tiny, LoRA(), data, training=training, evaluation=FEW, root=root, **more)


def stop_after(live: LiveRun, step: int) -> None:
    """Wait until so many steps are logged, then stop, as a click does."""
    reached = threading.Event()
    live.listen(lambda: reached.set() if live.run.history and live.run.history[-1]["step"] >= step else None)
    assert reached.wait(120)
    live.stop()
    live.wait(120)


def test_a_run_is_finished_when_it_was_waited_for(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    live = go(tiny, tiny_data, tmp_path)
    assert live.wait(120).finished
    assert live.state == "finished"


def test_compare_takes_over_what_was_trained_live(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    run = go(tiny, tiny_data, tmp_path).wait(120)
    before = (run.folder / "scores.json").stat().st_mtime_ns
    table = compare([LoRA()], tiny, tiny_data, training=SHORT, evaluation=FEW, root=tmp_path)
    assert table["lora"].runs[0].folder == run.folder
    assert (run.folder / "scores.json").stat().st_mtime_ns == before


def test_a_stopped_run_goes_on_to_the_same_end(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    training = replace(LONG, steps=40)
    straight = go(tiny, tiny_data, tmp_path / "straight", training).wait(120)
    live = go(tiny, tiny_data, tmp_path / "stopped", training)
    stop_after(live, 5)
    assert live.state == "stopped"
    assert not live.run.finished
    resumed = go(tiny, tiny_data, tmp_path / "stopped", training).wait(120)
    assert resumed.predictions == straight.predictions
    told = [[line.get("loss") for line in run.history] for run in (resumed, straight)]
    assert told[0] == told[1]


def test_a_run_that_is_going_on_is_found_and_not_started_twice(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    live = go(tiny, tiny_data, tmp_path, LONG)
    assert go(tiny, tiny_data, tmp_path, LONG) is live
    assert latest(tmp_path) is live
    stop_after(live, 1)


def test_a_failure_is_raised_by_wait(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    wild = replace(SHORT, learning_rate=1e30, steps=30)
    live = start(tiny, FullFineTuning(), tiny_data, training=wild, evaluation=FEW, root=tmp_path)
    with pytest.raises(LabError, match="use a lower learning rate"):
        live.wait(120)
    assert live.state == "failed"
    assert "lower learning rate" in live.error


def test_waiting_ends_with_the_time_given(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    live = go(tiny, tiny_data, tmp_path, LONG)
    with pytest.raises(LabError, match="still training"):
        live.wait(0.01)
    stop_after(live, 1)


def test_a_dial_that_does_not_fit_is_refused_before_anything_is_written(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    with pytest.raises(LabError, match="above"):
        start(tiny, LoRA(rank=10_000), tiny_data, training=SHORT, root=tmp_path)
    assert not list(tmp_path.iterdir())
