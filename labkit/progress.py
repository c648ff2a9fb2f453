"""Bars that show how far each run is."""

from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

console = Console(stderr=True)  # standard output carries results only


class RunBars:
    """A bar a run, on a terminal and in a notebook; nothing where output goes into a file."""

    def __init__(self, steps: int, rows: int):
        self.totals = {"step": steps, "summaries": rows}
        label = TextColumn("{task.description}", markup=False, table_column=Column())  # wraps where it is too long
        columns = (label, BarColumn(30), TextColumn("{task.fields[news]}"))
        seen = console.is_terminal or console.is_jupyter
        time = TimeRemainingColumn(elapsed_when_finished=True)
        self.bars = Progress(*columns, time, console=console, disable=not seen)
        self.tasks: dict[tuple[str, str], Any] = {}

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def report(self, label: str, news: dict[str, float]) -> None:
        """Move the bar of one run: of its training, then of its summaries."""
        counted = "summaries" if "summaries" in news else "step"
        if counted not in news:
            return
        if (label, counted) not in self.tasks:
            does = "summaries" if counted == "summaries" else "training"
            self.tasks[label, counted] = self.bars.add_task(f"{label}, {does}", total=self.totals[counted], news="")
        bar = self.tasks[label, counted]
        self.bars.update(bar, completed=news[counted])
        for name in ("loss", "validation_loss"):
            if name in news:
                self.bars.update(bar, news=f"{name.replace('_', ' ')} {news[name]:.3f}")
