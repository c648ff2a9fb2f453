"""What a method costs against what it brings: two quantities of a comparison, and the disk space of many tasks."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from labkit.errors import LabError
from labkit.intervals import MEASURES
from labkit.plots import COLORS, GREY, SYMBOLS, error_bars, style, title

Rows = Sequence[dict[str, Any]]


class Quantity(NamedTuple):
    """A column of a comparison that can be an axis.

    Attributes:
        title: Its name and unit.
        better: 1 if more of it is better, -1 if less is, 0 if neither.
        form: How a value is written.
    """

    title: str
    better: int
    form: str


QUANTITIES = {
    "trainable": Quantity("trainable parameters", -1, "{:,}"),
    "percent": Quantity("trainable share in %", -1, "{:.3g}"),
    "train_seconds": Quantity("training in s", -1, "{:.1f}"),
    "peak_memory_mib": Quantity("peak memory in MiB", -1, "{:,.0f}"),
    "adapter_bytes": Quantity("bytes on disk", -1, "{:,.0f}"),
    "words": Quantity("words a summary", 0, "{:.1f}"),
    "validation_loss": Quantity("validation loss", -1, "{:.3f}"),
    **{measure: Quantity(title(measure), 1, "{:.3f}") for measure in MEASURES},
}


def placed(rows: Rows, x: str, y: str) -> list[dict[str, Any]]:
    """The rows that have a place on two axes: what was not trained has no cost, which is not a cost of 0.

    Args:
        rows: What `Comparison.rows` gives.
        x: A key of `QUANTITIES`.
        y: Another.

    Returns:
        Those of the rows that have both.

    Raises:
        LabError: There is no such quantity.
    """
    for name in (x, y):
        if name not in QUANTITIES:
            raise LabError(f"unknown quantity {name!r}: use one of {', '.join(QUANTITIES)}")
    return [row for row in rows if all(_has(row, name) for name in (x, y))]


def _has(row: dict[str, Any], name: str) -> bool:
    return row.get(name) is not None and (row[name] > 0 or QUANTITIES[name].better >= 0)


def pareto_front(rows: Rows, x: str, y: str) -> list[dict[str, Any]]:
    """The rows that no other beats: none is at least as good in both quantities and better in one.

    Args:
        rows: What `Comparison.rows` gives.
        x: A key of `QUANTITIES`.
        y: Another.

    Returns:
        Those rows, by rising x; none if more or less of a quantity is neither better nor worse.

    Raises:
        LabError: There is no such quantity.
    """
    candidates = placed(rows, x, y)
    signs = {name: QUANTITIES[name].better for name in (x, y)}
    if 0 in signs.values():
        return []
    goods = [tuple(sign * row[name] for name, sign in signs.items()) for row in candidates]

    def beaten(mine: tuple[float, ...]) -> bool:
        return any(other != mine and all(o >= m for o, m in zip(other, mine, strict=True)) for other in goods)

    front = [row for row, good in zip(candidates, goods, strict=True) if not beaten(good)]
    return sorted(front, key=lambda row: (row[x], row[y]))


def tradeoff_plot(rows: Rows, x: str, y: str) -> Any:
    """Two quantities of every row that has both, with the Pareto front.

    Args:
        rows: What `Comparison.rows` gives.
        x: A key of `QUANTITIES`, for the axis across.
        y: Another, for the axis up.

    Returns:
        A plotly figure; an axis is logarithmic where its values differ more than a hundredfold.

    Raises:
        LabError: There is no such quantity.
    """
    import plotly.graph_objects as go

    points, front = placed(rows, x, y), pareto_front(rows, x, y)
    figure = go.Figure()
    if len(front) > 1:
        steps = "hv" if QUANTITIES[x].better < 0 else "vh"  # what is under the line is beaten by a point on it
        line = {"shape": steps, "dash": "dot", "color": GREY, "width": 1.5}
        xs, ys = [row[x] for row in front], [row[y] for row in front]
        figure.add_scatter(x=xs, y=ys, mode="lines", line=line, name="Pareto front", hoverinfo="skip")
    for number, row in enumerate(points):
        figure.add_scatter(
            x=[row[x]],
            y=[row[y]],
            error_x=error_bars([row], x),
            error_y=error_bars([row], y),
            mode="markers",
            name=row["label"],
            marker={"size": 11, "color": COLORS[number % 8], "symbol": SYMBOLS[number % 6]},
        )
    figure.update_layout(xaxis=_axis(points, x), yaxis=_axis(points, y), showlegend=True)
    return style(figure)


def _axis(points: Rows, name: str) -> dict[str, Any]:
    values = [row[name] for row in points]
    wide = bool(values) and min(values) > 0 and max(values) > 100 * min(values)
    return {"title": QUANTITIES[name].title, **({"type": "log", "dtick": 1} if wide else {})}


def storage(
    base: int, adapters: Mapping[str, int], full: int | None = None, tasks: Sequence[int] = (1, 2, 5, 10, 20, 50, 100)
) -> list[dict[str, Any]]:
    """Bytes on disk for many tasks: one base and an adapter a task, against a full copy a task.

    Args:
        base: Size of the base model in bytes.
        adapters: Size of an adapter in bytes, for each name.
        full: Size of a fully fine-tuned copy in bytes; as the base unless given.
        tasks: Numbers of tasks.

    Returns:
        A row a number of tasks: "tasks", "full copies", and "base and N NAME" as "base and NAME".

    Raises:
        LabError: A size or a number of tasks is below 1, or there is none.
    """
    full = base if full is None else full
    if not tasks:
        raise LabError("no number of tasks is given: use one or more")
    sizes = {"the base": base, "a full copy": full, **adapters}
    for name, number in [*sizes.items(), *(("the number of tasks", count) for count in tasks)]:
        if number < 1:
            raise LabError(f"{name} is {number}: use 1 or more")
    return [
        {"tasks": n, "full copies": n * full, **{f"base and {name}": base + n * adapters[name] for name in adapters}}
        for n in tasks
    ]


def storage_plot(rows: Rows) -> Any:
    """What `storage` counts, as lines over the number of tasks.

    Args:
        rows: Its rows.

    Returns:
        A plotly figure, logarithmic both ways.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    counts = [row["tasks"] for row in rows]
    for number, name in enumerate(key for key in rows[0] if key != "tasks"):
        marker = {"color": COLORS[number % 8], "symbol": SYMBOLS[number % 6], "size": 8}
        sizes = [row[name] / 1e6 for row in rows]
        figure.add_scatter(x=counts, y=sizes, mode="lines+markers", name=name, marker=marker)
    figure.update_layout(
        xaxis={"title": "tasks", "type": "log", "tickvals": counts},
        yaxis={"title": "on disk in MB", "type": "log", "dtick": 1},
        showlegend=True,
    )
    return style(figure)
