"""The panel Neighbours: virtual tokens and their nearest vocabulary tokens."""

from labkit.inside.neighbours import METRICS, Neighbourhood, VirtualToken, soft_prompt
from labkit.models import Model
from labkit.widgets.parts import Chart, Column, Dial, Panel, Table, choice, note, row, say

MAP_COLUMNS = ("point", "token", Column("first component", "{:.2f}"), Column("second component", "{:.2f}"))


class Neighbours(Panel):
    """The nearest tokens to each virtual token, in a table and on a map.

    Args:
        model: A model with prompt tuning.
        seed: The one that the method was attached with; with it the table says what each started as.

    Raises:
        LabError: The method has no virtual tokens.
    """

    def __init__(self, model: Model, seed: int | None = None):
        self.prompt = soft_prompt(model, seed)
        self.count = Dial("neighbours", 5, 1, 10, on_change=lambda _: self.show())
        self.metric = choice("metric", METRICS, on_change=lambda _: self.show())
        self.table = Table(caption="Virtual tokens and their nearest tokens (␣ is a space)", file="neighbours.csv")
        self.yardstick, self.norms, self.explained = note(""), note(""), note("")
        self.map, self.places = Chart(460), Table(caption="Virtual tokens and neighbours on the map")
        caution = note("Near is not the same as meaning it: prompts that work alike can be near quite other words.")
        super().__init__(
            f"Neighbours of {model.method.label}",
            row(self.count, self.metric),
            self.yardstick,
            self.norms,
            caution,
            self.table,
            self.explained,
            self.map,
            self.places,
        )
        self.show()

    def show(self) -> None:
        """Show as many neighbours as the dial says, by the chosen metric."""
        metric = self.metric.value
        found = self.prompt.nearest(int(self.count.number), metric)
        say(
            self.yardstick,
            f"Mean {metric} of the nearest token: {found.nearness:.2f} for a virtual token, {found.random:.2f} for a "
            f"random vector, {found.words:.2f} for a token of the vocabulary to another one.",
        )
        say(
            self.norms,
            f"Mean length: {found.norm:.2f} of the virtual tokens, {found.vocabulary_norm:.2f} of the vocabulary.",
        )
        say(
            self.explained,
            f"The map shows {100 * sum(found.map.explained):.0f} % of the spread: what is near on it may be far apart.",
        )
        columns = [Column("token"), Column("nearest"), Column(metric, "{:.2f}"), Column("next nearest")]
        columns += [Column("length", "{:.2f}"), Column("x vocabulary's mean", "{:.1f}")]
        columns += [Column("moved", "{:.2f}"), Column("started as")] if self.prompt.start is not None else []
        self.table.show(columns, [self._line(token, found)[: len(columns)] for token in found.tokens])
        self.map.show(found.map.plot())
        self.places.show(MAP_COLUMNS, [point for point in found.map.points if point.kind != "another token"])

    def _line(self, token: VirtualToken, found: Neighbourhood) -> list[object]:
        first, *others = token.nearest
        rest = ", ".join(f"{other.token} {other.nearness:.2f}" for other in others)
        line = [token.number, first.token, first.nearness, rest, token.norm, token.norm / found.vocabulary_norm]
        return [*line, token.moved, token.start]
