"""What a sweep came to: a row a value of the dial, from where on more brings little, and a picture of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from labkit.errors import LabError
from labkit.intervals import MEASURES
from labkit.plots import COLORS, error_bars, style, title
from labkit.published import Published


@dataclass(frozen=True)
class SweepResult:
    """One dial over several values.

    Attributes:
        dial: Which dial was turned.
        method: The method's name, and its dials that were left alone.
        settings: Model, data, training, evaluation and environment of the runs, and how many dialogues were scored.
        base: The untouched model's row, as `Comparison.rows` gives it.
        rows: A row a value of the dial, by rising "value": what `Comparison.rows` gives, and for each ROUGE measure
            NAME also NAME_seeds (one mean a seed), NAME_seeds_interval (95 % t-interval over the seeds, None for one
            seed), NAME_behind (difference to the best value, paired by dialogue) and NAME_behind_interval.
    """

    dial: str
    method: dict[str, Any]
    settings: dict[str, Any]
    base: dict[str, Any]
    rows: list[dict[str, Any]]

    @property
    def title(self) -> str:
        """What was turned of what: "rank of lora"."""
        return f"{self.dial} of {self.method['method']}"

    @property
    def seeds(self) -> int:
        """How many trainings each value had."""
        return int(self.rows[0]["seeds"])

    def best(self, measure: str = "rouge1") -> dict[str, Any]:
        """The row with the highest mean, the smallest value of several; arguments and errors as for `enough`."""
        if measure not in MEASURES:
            raise LabError(f"measure {measure!r} is unknown: use one of {', '.join(MEASURES)}")
        return max(self.rows, key=lambda row: float(row[measure]))

    def enough(self, measure: str = "rouge1") -> dict[str, Any]:
        """The row of the smallest value that is not really below the best one.

        Args:
            measure: rouge1, rouge2, rougeL or rougeLsum, over the mean of the references.

        Returns:
            The first row whose paired difference to the best has an interval that reaches 0.

        Raises:
            LabError: There is no such measure.
        """
        best = self.best(measure)
        return next(row for row in self.rows if row is best or not _really_below(row, measure))

    def verdict(self, measure: str = "rouge1") -> str:
        """Whether there is a plateau, and how far that can be trusted; arguments and errors as for `enough`."""
        best, enough = self.best(measure), self.enough(measure)
        said = f"{title(measure)} is best at {self.dial} {best['value']}"
        if enough is not best:
            behind, (low, high) = enough[f"{measure}_behind"], enough[f"{measure}_behind_interval"]
            said += f"; the smallest that is not really below it is {enough['value']}: {behind:+.3f} "
            said += f"[{low:+.3f}, {high:+.3f}]. That does not make it equal: it may be {-low:.3f} worse."
            if dips := [
                str(row["value"]) for row in self.rows if row["value"] > enough["value"] and _really_below(row, measure)
            ]:
                said += f" And what lies higher is no plateau: really below the best again at {', '.join(dips)}."
        elif best is self.rows[0]:
            said += ", the lowest tried: more of it brought nothing."
        elif best is self.rows[-1]:
            said += ", the highest tried, and all others are really below it: no plateau is in sight."
        else:
            said += ", and all lower ones are really below it; higher ones brought no more."
        if self.seeds == 1:
            return f"{said} All this is from one seed: another may give another order."
        spread = max(max(row[f"{measure}_seeds"]) - min(row[f"{measure}_seeds"]) for row in self.rows)
        return f"{said} The {self.seeds} seeds of one and the same value differ by up to {spread:.3f}."

    def plot(self, measure: str = "rouge1", published: Published | None = None, of: str | None = None) -> Any:
        """The measure over the dial: mean with its interval over the dialogues, each seed, and the interval over seeds.

        Args:
            measure: rouge1, rouge2, rougeL or rougeLsum, over the mean of the references.
            published: A table of others over the same dial. One without measures is drawn as marks on the dial.
            of: Which of its measures to draw; all is then in % of its own best value, because the scales differ.

        Returns:
            A plotly figure.

        Raises:
            LabError: There is no such measure, or the published table is over another dial.
        """
        import plotly.graph_objects as go

        best = self.best(measure)[measure]
        if published and published.dial != self.dial:
            raise LabError(f"{published.title!r} is over {published.dial}: lay it over a sweep of that dial")
        figure, named = go.Figure(), f"{title(measure)}, mean over references"
        if published and of:
            unit, named = best / 100 or 1.0, f"{title(measure)} in % of its best value"
            self._draw(figure, measure, unit)
            theirs = {"line": {"dash": "dash", "color": COLORS[1]}, "name": f"{of}, {published.title}"}
            figure.add_scatter(x=published.values, y=published.shares(of), mode="lines+markers", **theirs)
        else:
            self._draw(figure, measure, 1)
            for number, (value, finding, *_) in enumerate(published.rows if published else [], start=1):
                mark = {"line": {"dash": "dot", "color": COLORS[number]}, "name": f"{value}: {finding}"}
                lowest = min(row[measure] for row in self.rows)
                figure.add_scatter(x=[value, value], y=[lowest, best], mode="lines+markers", **mark)
        values = [row["value"] for row in self.rows] + (published.values if published else [])
        figure.update_layout(xaxis=_axis(self.dial, values), yaxis={"title": named}, showlegend=True)
        return style(figure)

    def _draw(self, figure: Any, measure: str, unit: float) -> None:
        rows, seeds = [_divided(row, measure, unit) for row in self.rows], f"{measure}_seeds"
        values = [row["value"] for row in rows]
        if self.seeds > 1:
            lows, highs = zip(*(row[f"{seeds}_interval"] for row in rows), strict=True)
            band = {"fill": "toself", "fillcolor": "rgba(76,120,168,.18)", "name": "95 % t-interval over the seeds"}
            # one outline there and back
            figure.add_scatter(
                x=[*values, *values[::-1]],
                y=[*highs, *lows[::-1]],
                mode="lines",
                line={"width": 0},
                hoverinfo="skip",
                **band,
            )
            dots = [(row["value"], mean) for row in rows for mean in row[seeds]]
            xs, ys = zip(*dots, strict=True)
            small = {"symbol": "circle-open", "size": 7, "color": COLORS[0]}
            figure.add_scatter(x=xs, y=ys, mode="markers", marker=small, name="each seed")
        figure.add_scatter(
            x=values,
            y=[row[measure] for row in rows],
            error_y=error_bars(rows, measure) | {"color": COLORS[0]},
            mode="lines+markers",
            marker={"color": COLORS[0], "size": 9},
            name="mean, 95 % interval over the dialogues",
        )

    def to_json(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "SweepResult":
        """The sweep that `to_json` told of.

        Raises:
            LabError: Something is missing.
        """
        names = [field.name for field in fields(cls)]
        if missing := [name for name in names if not told.get(name)]:
            raise LabError(f"a recorded sweep without {', '.join(missing)}: record it again")
        return cls(**{name: told[name] for name in names})


def _axis(dial: str, values: list[float]) -> dict[str, Any]:
    ticks = sorted(set(values))
    wide = ticks[0] > 0 and ticks[-1] > 4 * ticks[0]  # ranks and lengths are doubled rather than counted up
    named = "virtual tokens" if dial == "tokens" else dial
    return {"title": named, "type": "log" if wide else "linear", "tickvals": ticks, "ticktext": [str(t) for t in ticks]}


def _divided(row: dict[str, Any], measure: str, unit: float) -> dict[str, Any]:
    """A row with all that is drawn divided by a unit."""
    lists = {name: row[name] for name in row if name.startswith(f"{measure}_") and isinstance(row[name], list)}
    return row | {measure: row[measure] / unit} | {name: [one / unit for one in many] for name, many in lists.items()}


def _really_below(row: dict[str, Any], measure: str) -> bool:
    return float(row[f"{measure}_behind_interval"][1]) < 0
