"""Runs: a folder for the same settings, written so that a stop leaves nothing half there."""

import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import labkit.runs
from labkit.errors import LabError
from labkit.intervals import Scores
from labkit.runs import Run, environment, list_runs, write_json

SETTINGS: dict[str, Any] = {"method": {"method": "lora", "rank": 8}, "seed": 0, "data": {"fingerprint": "abc"}}
SCORES = Scores(
    ids=("a", "b"),
    mean={"rouge1": np.array([0.25, 0.75])},
    max={"rouge1": np.array([0.5, 1.0])},
    words=np.array([3.0, 4.0]),
)


def started(root: Path, **changed: Any) -> Run:
    settings = SETTINGS | changed
    run = Run.at(root, settings)
    run.start(settings)
    return run


def test_has_the_same_folder_for_the_same_settings_in_any_order(tmp_path: Path) -> None:
    turned = dict(reversed(SETTINGS.items()))
    assert Run.at(tmp_path, SETTINGS).folder == Run.at(tmp_path, turned).folder
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "changed", [{"seed": 1}, {"method": {"method": "lora", "rank": 4}}, {"data": {"fingerprint": "abd"}}, {"more": 1}]
)
def test_has_another_folder_for_other_settings(tmp_path: Path, changed: dict[str, Any]) -> None:
    assert Run.at(tmp_path, SETTINGS).folder != Run.at(tmp_path, SETTINGS | changed).folder


def test_names_its_folder_after_the_method(tmp_path: Path) -> None:
    assert Run.at(tmp_path, SETTINGS).folder.name.startswith("lora-")
    assert Run.at(tmp_path, SETTINGS | {"method": None}).folder.name.startswith("base-")


def test_writes_down_settings_versions_commit_and_hardware(tmp_path: Path) -> None:
    run = started(tmp_path)
    config = json.loads((run.folder / "config.json").read_text())
    assert SETTINGS.items() <= config.items()
    environment = config["environment"]
    assert environment["versions"]["torch"] == version("torch")
    assert {"labkit", "transformers", "peft", "datasets"} < environment["versions"].keys()
    assert environment["python"] == platform.python_version()
    assert environment["hardware"]["cores"] == os.cpu_count()
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True)
    assert environment["commit"].removesuffix("-dirty") == (head.stdout.strip() or "not a git checkout")


def test_keeps_what_it_was_started_with(tmp_path: Path) -> None:
    run = started(tmp_path)
    run.start({"method": None})
    assert Run.open(run.folder).config["seed"] == 0


def test_refuses_to_open_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="there is no folder"):
        Run.open(tmp_path / "none")


def test_a_run_is_opened_as_it_is_and_what_is_neither_run_nor_folder_is_refused(tmp_path: Path) -> None:
    run = started(tmp_path)
    assert Run.open(run) is run
    with pytest.raises(LabError, match=r"^'7' is no run: give one of a table, such as table\['lora'\]\.runs\[0\]"):
        Run.open(7)  # type: ignore[arg-type]


def test_refuses_to_open_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"no run, it has no config\.json"):
        Run.open(tmp_path)


@pytest.mark.parametrize("damage", [b'{"method": ', b"", b"[]", b"null", b"\xff\xfe"])
def test_says_which_file_is_damaged(tmp_path: Path, damage: bytes) -> None:
    run = started(tmp_path)
    for name in ("config.json", "scores.json", "training.json", "history.jsonl", "predictions.jsonl"):
        (run.folder / name).write_bytes(damage or b"{")
    for read in ("config", "results", "scores", "training", "history", "predictions"):
        with pytest.raises(LabError, match=r"(json|jsonl) is damaged: delete the folder and run it again") as error:
            getattr(Run.open(run.folder), read)
        assert "\n" not in str(error.value)


def test_says_what_scores_lack(tmp_path: Path) -> None:
    run = started(tmp_path)
    write_json(run.folder / "scores.json", {"train_seconds": 1})
    with pytest.raises(LabError, match="scores without ids"):
        _ = run.scores


def test_says_that_it_is_not_finished(tmp_path: Path) -> None:
    run = started(tmp_path)
    assert not run.finished
    with pytest.raises(LabError, match=r"no scores\.json: the run is not finished"):
        _ = run.scores


def test_lists_the_newest_first(tmp_path: Path) -> None:
    runs = [started(tmp_path, seed=seed) for seed in range(4)]
    for age, run in zip((30, 10, 40, 20), runs, strict=True):
        os.utime(run.folder / "config.json", (1e9 - age, 1e9 - age))
    (tmp_path / "no run").mkdir()
    assert [run.config["seed"] for run in list_runs(tmp_path)] == [1, 3, 0, 2]
    assert list_runs(tmp_path / "none") == []


def test_logs_lines_that_are_there_at_once(tmp_path: Path) -> None:
    run = started(tmp_path)
    assert run.history == []
    run.log({"step": 1, "loss": 2.5})
    run.log({"step": 2, "validation_loss": 2.25})
    assert Run.open(run.folder).history == [{"step": 1, "loss": 2.5}, {"step": 2, "validation_loss": 2.25}]


def test_goes_on_from_a_history_whose_last_line_is_torn(tmp_path: Path) -> None:
    run = started(tmp_path)
    run.log({"step": 1})
    with (run.folder / "history.jsonl").open("a") as file:
        file.write('{"step": 1')
    run.rewind(1)
    assert run.history == [{"step": 1}]


def test_passes_over_folders_of_other_programs(tmp_path: Path) -> None:
    run = started(tmp_path)
    for number, text in enumerate(("[]", "{", '{"model_type": "t5"}')):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "config.json").write_text(text)
    assert [each.folder for each in list_runs(tmp_path)] == [run.folder]


def test_says_in_its_scores_what_was_scored_and_where(tmp_path: Path) -> None:
    run = started(tmp_path)
    run.finish([], SCORES, {})
    assert run.results["seed"] == run.config["seed"]
    assert run.results["data"] == run.config.get("data")
    assert run.results["environment"] == environment()


def test_drops_what_was_logged_after_the_step_it_goes_on_from(tmp_path: Path) -> None:
    run = started(tmp_path)
    for step in (1, 2, 2, 3):
        run.log({"step": step})
    run.rewind(2)
    assert [line["step"] for line in run.history] == [1, 2, 2]
    run.rewind(0)
    assert run.history == []


def test_gives_back_the_predictions_and_scores_it_was_finished_with(tmp_path: Path) -> None:
    run = started(tmp_path)
    run.finish([{"id": "a", "summary": "Ünï code."}], SCORES, {"train_seconds": 1.5})
    assert run.finished
    assert run.predictions == [{"id": "a", "summary": "Ünï code."}]
    assert run.results["train_seconds"] == 1.5
    assert run.scores.ids == SCORES.ids
    assert run.scores.average("rouge1") == 0.5
    assert run.scores.average("rouge1", "max") == 0.75


def test_writes_scores_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, written = started(tmp_path), list[str]()
    write = labkit.runs._write

    def note(path: Path, text: str) -> None:
        written.append(path.name)
        write(path, text)

    monkeypatch.setattr(labkit.runs, "_write", note)
    run.finish([], SCORES, {})
    assert written == ["predictions.jsonl", "scores.json"]


def test_is_not_finished_by_scores_that_could_not_be_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, write_text = started(tmp_path), Path.write_text

    def full_disk(path: Path, text: str, encoding: str) -> None:
        write_text(path, text[: len(text) // 2], encoding)
        if path.name.startswith("scores.json"):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(OSError, match="No space left"):
        run.finish([], SCORES, {})
    assert not run.finished


def test_counts_the_bytes_of_its_weights(tmp_path: Path) -> None:
    run = started(tmp_path)
    assert run.weight_bytes == 0
    assert not run.trained
    run.weights.mkdir()
    (run.weights / "adapter_model.safetensors").write_bytes(bytes(100))
    (run.weights / "adapter_config.json").write_bytes(bytes(7))
    assert run.weight_bytes == 100
    assert run.trained
