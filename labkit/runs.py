"""A run is a folder: what was asked for, what happened, what was learned, and how good it is.

config.json         model, data, method, training, seed and the environment
history.jsonl       a line per log: step, loss, validation loss, learning rate
adapter/ or model/  the trained weights, as safetensors
predictions.jsonl   a summary per dialogue
scores.json         ROUGE per dialogue, wall time, peak memory, machine; written last, so it marks a finished run
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from labkit.errors import LabError
from labkit.intervals import Scores

RUNS = Path(os.environ.get("LABKIT_RUNS", "runs"))
PACKAGES = ("labkit", "torch", "transformers", "peft", "accelerate", "datasets", "rouge-score")


@dataclass(frozen=True)
class Run:
    """One run's folder; nothing is read before it is asked for."""

    folder: Path

    @classmethod
    def at(cls, root: Path, settings: dict[str, Any]) -> "Run":
        """The run of these settings under `root`, there already or not: same settings, same folder."""
        text = json.dumps(settings, sort_keys=True)
        name = str((settings.get("method") or {}).get("method", "base"))
        return cls(root / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:10]}")

    @classmethod
    def open(cls, folder: "Run | str | Path") -> "Run":
        """The run in a folder; a run is given back as it is.

        Raises:
            LabError: The folder is missing or is not a run, or what is given is no folder.
        """
        if isinstance(folder, Run):
            return folder
        if not isinstance(folder, str | Path):
            raise LabError(
                f"{str(folder)[:40]!r} is no run: give one of a table, such as table['lora'].runs[0], or its folder"
            )
        run = cls(Path(folder))
        if not run.folder.is_dir():
            raise LabError(f"there is no folder {folder}: `labkit runs` lists the runs there are")
        if not run.started:
            raise LabError(f"{folder} is no run, it has no config.json of one: `labkit runs` lists the runs there are")
        return run

    def start(self, settings: dict[str, Any], **loaded: Any) -> None:
        """Write down what this run is and what was loaded for it, unless that is written already."""
        if not (self.folder / "config.json").is_file():
            write_json(self.folder / "config.json", settings | {"loaded": loaded, "environment": environment()})

    @cached_property
    def config(self) -> dict[str, Any]:
        """What was asked for, and on what machine."""
        return _read(self.folder / "config.json")

    @property
    def started(self) -> bool:
        """Whether the folder is a run's, and no model's or adapter's: those have a config.json, too."""
        return (self.folder / "config.json").is_file() and "environment" in self.config

    @property
    def finished(self) -> bool:
        """Whether it was trained and scored to the end."""
        return (self.folder / "scores.json").is_file()

    @property
    def trained(self) -> bool:
        """Whether its weights are there."""
        return self.weights.is_dir()

    @property
    def weights(self) -> Path:
        """Folder of the trained weights: `model` for full fine-tuning, else `adapter`."""
        method = (self.config.get("method") or {}).get("method")
        return self.folder / ("model" if method == "full" else "adapter")

    @property
    def weight_bytes(self) -> int:
        """Size on disk of what was trained; 0 for the base."""
        return sum(file.stat().st_size for file in self.weights.glob("*.safetensors"))

    @property
    def history(self) -> list[dict[str, float]]:
        """All that was logged, in order."""
        return _lines(self.folder / "history.jsonl")

    def log(self, line: dict[str, float]) -> None:
        """Append one line to the history."""
        with (self.folder / "history.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def rewind(self, step: int) -> None:
        """Drop what was logged after a step, from which a training that was broken off goes on."""
        path = self.folder / "history.jsonl"
        whole, end, _ = path.read_text(encoding="utf-8").rpartition("\n") if path.is_file() else ("", "", "")
        _write(path, whole + end)  # the last line may be torn
        kept = [line for line in self.history if line["step"] <= step]
        _write(self.folder / "history.jsonl", "".join(json.dumps(line) + "\n" for line in kept))

    @property
    def training(self) -> dict[str, Any] | None:
        """What training took and came to; None before its end."""
        path = self.folder / "training.json"
        return _read(path) if path.is_file() else None

    def copy_training(self, other: "Run") -> None:
        """Take over what another run learned."""
        shutil.copytree(other.weights, self.weights, dirs_exist_ok=True)
        for name in ("history.jsonl", "training.json"):  # the latter last: it says that the weights are whole
            _write(self.folder / name, (other.folder / name).read_text(encoding="utf-8"))

    @property
    def predictions(self) -> list[dict[str, str]]:
        """Rows of id and summary."""
        return _lines(self.folder / "predictions.jsonl")

    @property
    def results(self) -> dict[str, Any]:
        """All of scores.json: ROUGE averages and per dialogue, seconds, peak memory, parameters."""
        return _read(self.folder / "scores.json")

    @property
    def scores(self) -> Scores:
        """ROUGE per dialogue."""
        return Scores.from_json(self.results.get("rouge", {}))

    def finish(self, predictions: list[dict[str, str]], scores: Scores, results: dict[str, Any]) -> None:
        """Write predictions, then scores: the run is finished."""
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in predictions)
        _write(self.folder / "predictions.jsonl", text)
        asked = self.config if self.started else {}
        what = {name: asked.get(name) for name in ("method", "model", "data", "seed")} | {"environment": environment()}
        write_json(self.folder / "scores.json", what | results | {"rouge": scores.to_json()})


def list_runs(root: str | Path = RUNS) -> list[Run]:
    """All runs under a folder.

    Args:
        root: The folder; what else is in it does not matter.

    Returns:
        The runs, the newest first.
    """
    folders = [path.parent for path in Path(root).glob("*/config.json")]
    folders.sort(key=lambda folder: (folder / "config.json").stat().st_mtime, reverse=True)
    return [run for run in map(Run, folders) if _is_run(run)]


def _is_run(run: Run) -> bool:
    try:
        return run.started
    except LabError:  # a config.json that is not ours
        return False


def environment() -> dict[str, Any]:
    """Versions, git commit and hardware: what one needs to doubt a figure."""
    import torch

    return {
        "versions": {name: version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "commit": commit(),
        "hardware": {
            "machine": platform.machine(),
            "system": platform.system(),
            "cores": os.cpu_count(),
            "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        },
    }


def commit() -> str:
    """The git commit of this checkout, with "-dirty" behind it if files were changed."""
    source = Path(__file__).parent.parent
    if not (source / "pyproject.toml").is_file():  # installed; a repository around it is somebody else's
        return "not a git checkout"
    command = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        return subprocess.run(command, cwd=source, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"


def write_json(path: Path, value: Any, indent: int | None = 1) -> None:
    """Write JSON so that the file is there whole or not at all."""
    _write(path, json.dumps(value, indent=indent) + "\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")  # another process may write the same
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise LabError(f"{path.parent} has no {path.name}: the run is not finished, start it again")
    return _objects(path)[0]


def _lines(path: Path) -> list[Any]:
    return _objects(path, lines=True) if path.is_file() else []


def _objects(path: Path, lines: bool = False) -> list[dict[str, Any]]:
    """The one JSON object of a file, or one a line."""
    try:
        text = path.read_text(encoding="utf-8")
        values = [json.loads(part) for part in (text.splitlines() if lines else [text])]
    except ValueError:  # no UTF-8, or no JSON
        values = [None]
    if not all(isinstance(value, dict) for value in values):
        raise LabError(f"{path} is damaged: delete the folder and run it again")
    return values
