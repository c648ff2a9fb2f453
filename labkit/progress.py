"""Bars that show how far each run is."""

from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console(stderr=True)  # standard output carries results only


class RunBars:
    """A bar a run, on a terminal and in a notebook; nothing where output goes into a file."""

    def __init__(self, steps: int):
        self.steps = steps
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[news]}"))
        seen = console.is_terminal or console.is_jupyter
        self.bars = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, disable=not seen)
        self.tasks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def report(self, label: str, news: dict[str, float]) -> None:
        """Move the bar of one run."""
        if label not in self.tasks:
            self.tasks[label] = self.bars.add_task(label, total=self.steps if "step" in news else None, news="")
        if "step" in news:
            self.bars.update(self.tasks[label], completed=news["step"])
        said = " ".join(f"{k.replace('_', ' ')} {v:.3f}" for k, v in news.items() if k in ("loss", "validation_loss"))
        if "summaries" in news:
            said = f"{news['summaries']:.0f} summaries written"
        if said:
            self.bars.update(self.tasks[label], news=said)
