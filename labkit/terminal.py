"""What the command line shows of a comparison: its tables, and which differences are real."""

from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labkit.plots import COST, QUALITY, cost_cells, cut_notes, quality_cells

MANY = 15  # pairs of six lines; more would push the tables off the screen
FEW = 30  # dialogues; resampling fewer of them makes intervals that are too narrow


def print_comparison(comparison: Any) -> None:
    """Print how good each line is, how dear, and which differences are real."""
    out, rows = Console(soft_wrap=True), comparison.rows()
    for heads, cells in ((QUALITY, quality_cells), (COST, cost_cells)):
        table = Table(*heads, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for row in rows:
            table.add_row(*(escape(cell) for cell in cells(row)))
        out.print(table)
    pairs = comparison.differences()
    few = pairs if len(pairs) <= MANY else [pair for pair in pairs if pair[1] == rows[2]["label"]]
    for later, earlier, d in few:
        verdict = "real" if d.real else "may be chance"
        line = f"{later} minus {earlier}: {d.mean:+.3f} [{d.low:+.3f}, {d.high:+.3f}], {verdict}"
        out.print(line, markup=False, highlight=False)
    if len(pairs) > MANY:
        out.print(
            f"{len(pairs) - len(few)} more pairs are in --json. At 95 %, 5 of 100 are called real by luck where "
            "nothing differs; lab 6 has a stricter test."
        )
    out.print("ROUGE is the mean over the references; ± is half of the 95 % interval over the test dialogues.")
    if (count := len(comparison.entries[0].scores.ids)) < FEW:
        out.print(f"{count} test dialogues are few, and say little however the intervals look: take {FEW} or more.")
    if max(row["seeds"] for row in rows) == 1:
        out.print("An interval tells of other dialogues like these; --seeds 3 also averages over three trainings.")
    for note in cut_notes(rows):
        out.print(note, markup=False)
