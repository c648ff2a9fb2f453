"""A comparison to look at: ROUGE bars, what costs what, the whole table, and which differences are real."""

from collections.abc import Sequence
from typing import Any

from labkit.comparison import Comparison
from labkit.costs.tradeoffs import QUANTITIES, pareto_front, placed, tradeoff_plot
from labkit.errors import LabError
from labkit.intervals import MEASURES, ReferencesBy, paired_difference
from labkit.plots import rouge_bars, title
from labkit.widgets.parts import Chart, Column, Panel, Table, choice, note, row, say

PAIRS = (
    "line",
    "against",
    Column("difference", "{:+.3f}"),
    Column("from", "{:+.3f}"),
    Column("to", "{:+.3f}"),
    "verdict",
)
Rows = list[dict[str, Any]]


class ComparisonPanel(Panel):
    """A comparison as bars, as a trade-off and as a table.

    Args:
        table: What `compare` returned, or recorded rows of one.
        differences: Recorded differences, where the rows are recorded; a comparison knows its own.

    Raises:
        LabError: There are no rows, or they are not those of a comparison.
    """

    def __init__(self, table: Comparison | Sequence[dict[str, Any]], differences: Sequence[dict[str, Any]] = ()):
        self.compared = table if isinstance(table, Comparison) else None
        self.rows = _rows(table)
        self.recorded = list(differences)
        measures = [(title(measure), measure) for measure in MEASURES]
        axes = [(quantity.title, name) for name, quantity in QUANTITIES.items()]
        self.measure = choice("ROUGE bars", measures, "rouge1", self._show_bars)
        self.references = choice("over the references", [("mean", ""), ("best one", "_max")], "", self._show_bars)
        self.across = choice("across", axes, "trainable", self._show_tradeoff)
        self.up = choice("up", axes, "rouge1", self._show_tradeoff)
        self.bars, self.tradeoff = Chart(), Chart(360)
        self.front, self.real = note(""), note("")
        self.table = Table(caption="All of it", file="comparison.csv")
        self.pairs = Table(caption="Differences, paired by dialogue, with their 95 % intervals", file="differences.csv")
        super().__init__(
            "Comparison",
            row(self.measure, self.references),
            self.bars,
            self.real,
            self.pairs,
            row(self.across, self.up),
            self.tradeoff,
            self.front,
            self.table,
            note("To keep a chart: point at it, and press the camera, Download plot as a PNG."),
        )
        self._show_bars()
        self._show_tradeoff()

    def _show_bars(self, _: Any = None) -> None:
        measure, over = self.measure.value, self.references.value
        self.bars.show(rouge_bars(self.rows, measure + over))
        pairs = self._differences(measure, over)
        self.pairs.show(PAIRS, pairs)
        self.pairs.layout.display = "" if pairs else "none"
        if not pairs:
            say(self.real, f"No paired differences of {title(measure + over)} were recorded with these rows.")
            return
        chance = [f"{line} and {against}" for line, against, *_, verdict in pairs if verdict != "real"]
        said = f"{len(pairs) - len(chance)} of {len(pairs)} differences in {title(measure + over)} are real"
        said += f"; these may be chance: {', '.join(chance)}." if chance else "."
        say(self.real, f"{said} Real: the 95 % interval over dialogues leaves out 0; other seeds are another matter.")

    def _differences(self, measure: str, over: str) -> list[list[Any]]:
        if self.compared is None:
            known = self.recorded if (measure, over) == ("rouge1", "") else []
            told = [(d["label"], d["against"], d["rouge1"], *d["interval"], d["real"]) for d in known]
        else:
            entries = self.compared.entries
            way: ReferencesBy = "max" if over else "mean"
            pairs = [(a, b) for i, a in enumerate(entries) for b in entries[i + 1 :]]
            found = [(b, a, paired_difference(b.scores, a.scores, measure, references_by=way)) for a, b in pairs]
            told = [(b.label, a.label, d.mean, d.low, d.high, d.real) for b, a, d in found]
        return [[*rest, "real" if real else "may be chance"] for *rest, real in told]

    def _show_tradeoff(self, _: Any = None) -> None:
        x, y = self.across.value, self.up.value
        self.tradeoff.show(tradeoff_plot(self.rows, x, y))
        here, front = placed(self.rows, x, y), pareto_front(self.rows, x, y)
        names = [line["label"] for line in front]
        if front:
            said = f"On the Pareto front, where no other is as good in both and better in one: {', '.join(names)}."
        else:
            said = "No Pareto front: more words are neither better nor worse." if here else "No line has both."
        if left := [line["label"] for line in self.rows if line not in here]:
            said += f" Left out, because one of the two is missing: {', '.join(left)}."
        say(self.front, said)
        self.table.show(*_whole(self.rows, names))


def _rows(table: Comparison | Sequence[dict[str, Any]]) -> Rows:
    if isinstance(table, Comparison):
        rows = table.rows()
        for line, entry in zip(rows, table.entries, strict=True):
            for measure in MEASURES:
                line[f"{measure}_max_interval"] = list(entry.scores.interval(measure, references_by="max"))
        return rows
    needed = {"label", *(f"{measure}{end}" for measure in MEASURES for end in ("", "_interval", "_max"))}
    if not table or not all(isinstance(line, dict) and needed <= line.keys() for line in table):
        raise LabError("these are no rows of a comparison: give what compare returned, or its rows")
    return list(table)


def _whole(rows: Rows, front: Sequence[str]) -> tuple[list[str | Column], list[list[Any]]]:
    """All columns; an interval has one for each end."""
    columns: list[str | Column] = ["line", "Pareto front", "seeds"]
    lines: list[list[Any]] = [[line["label"], "yes" if line["label"] in front else "", line["seeds"]] for line in rows]

    def add(named: str, form: str, values: Sequence[Any]) -> None:
        columns.append(Column(named, form))
        for line, value in zip(lines, values, strict=True):
            line.append(value)

    def add_ends(named: str, form: str, interval: str) -> None:
        for end, word in enumerate(("from", "to")):
            add(f"{named}, {word}", form, [line[interval][end] if line.get(interval) else None for line in rows])

    for name, quantity in QUANTITIES.items():
        add(quantity.title, quantity.form, [line.get(name) for line in rows])
        for measure in (name, f"{name}_max") if name in MEASURES else ():
            if measure != name:
                add(title(measure), "{:.3f}", [line[measure] for line in rows])
            add_ends(title(measure), "{:.3f}", f"{measure}_interval")
    add("ROUGE-1 over the base", "{:+.3f}", [line.get("rouge1_gain") for line in rows])
    add_ends("ROUGE-1 over the base", "{:+.3f}", "rouge1_gain_interval")
    return columns, lines
