"""What the command line shows: the tables of a comparison, and a bar a run while it trains."""

from typing import Any, Self

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from labkit.plots import COST, QUALITY, cost_cells, quality_cells

console = Console(stderr=True)  # standard output carries results only


def print_comparison(comparison: Any) -> None:
    """Print how good each line is, how dear, and which differences are real."""
    out, rows = Console(soft_wrap=True), comparison.rows()
    for heads, cells in ((QUALITY, quality_cells), (COST, cost_cells)):
        table = Table(*heads, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for row in rows:
            table.add_row(*(escape(cell) for cell in cells(row)))
        out.print(table)
    for later, earlier, d in comparison.differences():
        verdict = "real" if d.real else "may be chance"
        line = f"{later} minus {earlier}: {d.mean:+.3f} [{d.low:+.3f}, {d.high:+.3f}], {verdict}"
        out.print(line, markup=False, highlight=False)
    out.print("ROUGE is the mean over the references; ± is half of the 95 % interval over the test dialogues.")


class RunBars:
    """A bar a run on a terminal, nothing elsewhere."""

    def __init__(self, steps: int):
        self.steps = steps
        self.bars = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[news]}"),
            TimeElapsedColumn(), TimeRemainingColumn(), console=console, disable=not console.is_terminal,
        )  # fmt: skip
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
