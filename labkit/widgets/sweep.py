"""A sweep to look at: the measure over the dial, with what others published about it."""

from typing import Any

from labkit.errors import LabError
from labkit.intervals import MEASURES
from labkit.plots import title
from labkit.published import Published, load_published
from labkit.sweep_results import SweepResult
from labkit.widgets.parts import Chart, Column, Panel, Table, choice, note, row, say


class Sweep(Panel):
    """Sweeps as a chart and a table, with published figures over them.

    Args:
        *results: What `sweep` returned, or `SweepResult.from_json` read; one or more.

    Raises:
        LabError: There is none.
    """

    def __init__(self, *results: SweepResult):
        if not results:
            raise LabError("there is no sweep to show: give what sweep returned")
        self.results = results
        self.dial = choice("dial", [(result.title, i) for i, result in enumerate(results)], 0, self._turn)
        self.measure = choice("measure", [(title(measure), measure) for measure in MEASURES], "rouge1", self._show)
        self.published = choice("published", [("none", -1)], -1, self._show)
        self.chart, self.verdict, self.source = Chart(400), note(""), note("")
        self.table = Table()
        self.theirs = Table()
        super().__init__(
            "Sweep",
            row(self.dial, self.measure, self.published),
            self.chart,
            self.verdict,
            self.table,
            self.source,
            self.theirs,
        )
        self._turn()

    @property
    def result(self) -> SweepResult:
        """The sweep that is shown."""
        return self.results[int(self.dial.value)]

    def _turn(self, _: Any = None) -> None:
        self.overlays: list[tuple[Published, str | None]] = [
            (table, of)
            for table in load_published().values()
            if table.dial == self.result.dial
            for of in table.measures or [None]
        ]
        named = [f"{table.title}: {of}" if of else table.title for table, of in self.overlays]
        self.published.options = [("none", -1), *((text, i) for i, text in enumerate(named))]
        self._show()

    def _show(self, _: Any = None) -> None:
        result, measure = self.result, self.measure.value
        over, of = self.overlays[self.published.value] if self.published.value >= 0 else (None, None)
        self.chart.show(result.plot(measure, over, of))
        say(self.verdict, result.verdict(measure))
        over_seeds = f", and a t-interval over {result.seeds} seeds" if result.seeds > 1 else ""
        self.table.caption = f"{title(measure)}, 95 % over {result.settings['dialogues']} dialogues{over_seeds}"
        self.table.file = f"sweep_{result.dial}_{measure}.csv"
        self.table.show(*_ours(result, measure))
        self.theirs.layout.display = "" if over else "none"
        if not over:
            say(self.source, "")
            return
        say(self.source, f"Published: {over.source}. {over.note}")
        self.theirs.caption = over.title
        shares: list[list[Any]] = [[share] for share in over.shares(of)] if of else [[] for _ in over.rows]
        columns = [*over.columns, Column("% of its best", "{:.1f}")] if of else over.columns
        self.theirs.show(columns, [[*line, *share] for line, share in zip(over.rows, shares, strict=True)])


def _ours(result: SweepResult, measure: str) -> tuple[list[str | Column], list[list[Any]]]:
    """The numbers of the chart, and what each value costs."""
    best = result.best(measure)[measure]
    ends = ("from", "to")
    columns: list[str | Column] = [
        result.dial,
        Column("trainable", "{:,}"),
        Column(title(measure), "{:.3f}"),
        *(Column(f"dialogues, {end}", "{:.3f}") for end in ends),
        *(Column(f"seeds, {end}", "{:.3f}") for end in ends if result.seeds > 1),
        Column("% of its best", "{:.1f}"),
        Column("to the best", "{:+.3f}"),
        *(Column(f"to the best, {end}", "{:+.3f}") for end in ends),
        Column("over the base", "{:+.3f}"),
        Column("validation loss", "{:.3f}"),
        Column("training in s", "{:.1f}"),
    ]
    lines = [
        [
            line["value"],
            line["trainable"],
            line[measure],
            *line[f"{measure}_interval"],
            *(line[f"{measure}_seeds_interval"] or []),
            100 * line[measure] / best if best else None,
            line[f"{measure}_behind"],
            *line[f"{measure}_behind_interval"],
            line[measure] - result.base[measure],
            line.get("validation_loss"),
            line.get("train_seconds"),
        ]
        for line in result.rows
    ]
    return columns, lines
