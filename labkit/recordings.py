"""Figures that were measured before and travel with labkit, to stand beside the reader's own."""

import json
from dataclasses import dataclass, field
from typing import Any

from labkit.errors import LabError
from labkit.paths import DATA
from labkit.sweep_results import SweepResult

FOLDER = DATA / "recorded"


@dataclass(frozen=True)
class Recorded:
    """A comparison as it was recorded.

    Attributes:
        name: Its file in data/recorded.
        rows: What `Comparison.rows` gave.
        environment: Versions, commit and hardware.
        dialogues: How many of the test split were summarized.
        steps: Of the longest training; 0 if nothing was trained.
    """

    name: str
    rows: list[dict[str, Any]] = field(repr=False)
    environment: dict[str, Any] = field(repr=False)
    dialogues: int
    steps: int

    def plot(self) -> Any:
        """ROUGE-1 of every line with its interval, as a plotly figure."""
        from labkit.plots import rouge_bars

        return rouge_bars(self.rows)

    def _repr_html_(self) -> str:
        from labkit.plots import html_table

        cores = self.environment.get("hardware", {}).get("cores")
        seeds = max(row["seeds"] for row in self.rows)
        trained = f"{seeds} {'seed' if seeds == 1 else 'seeds'}, up to {self.steps} steps, " if self.steps else ""
        told = f"{trained}{self.dialogues} test dialogues, {cores} cores"
        return f"<p>Ours, recorded: {told}.</p>{html_table(self.rows)}"


def recorded(name: str) -> Recorded:
    """A recorded comparison.

    Args:
        name: One of `recorded_names`, of a comparison.

    Returns:
        Its rows, which a notebook shows as a table.

    Raises:
        LabError: There is no such recording, or it is none of a comparison.
    """
    told = read(name)
    if not {"rows", "dialogues", "steps"} <= told.keys():
        raise LabError(f"{name} is no comparison: see what it holds with labkit.recordings.read({name!r})")
    return Recorded(name, told["rows"], told["environment"], told["dialogues"], told["steps"])


def recorded_names() -> list[str]:
    """What is recorded."""
    return sorted(file.stem for file in FOLDER.glob("*.json"))


def read(name: str) -> dict[str, Any]:
    """A recording as its script wrote it.

    Raises:
        LabError: There is no such recording.
    """
    if name not in recorded_names():
        raise LabError(f"nothing is recorded as {name!r}: use one of {', '.join(recorded_names())}")
    told: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return told


def recorded_sweep(dial: str) -> SweepResult:
    """A recorded sweep.

    Args:
        dial: "rank" or "tokens".

    Returns:
        What `sweep` gave.

    Raises:
        LabError: There is no such recording.
    """
    return SweepResult.from_json(read(f"sweep_{dial}"))
