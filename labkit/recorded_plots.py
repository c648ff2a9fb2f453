"""Figures of what was recorded for the whole family: little data, sizes of the model, hidden states."""

from typing import Any

Recording = dict[str, Any]


def plot_little_data(told: Recording, measure: str = "rouge1") -> Any:
    """How far each method is above full fine-tuning on the same dialogues, for each number of training dialogues.

    Args:
        told: What data/recorded/little_data.json holds.
        measure: "rouge1", in brackets where the interval holds zero, or "validation_loss". Blue is better than full.

    Returns:
        A plotly heatmap, a line a method, a column a number of dialogues; intervals are shown on hovering.
    """
    rows = {(row["label"], row["dialogues"]): row for row in told["rows"]}
    sizes, labels = list(dict.fromkeys(size for _, size in rows)), list(dict.fromkeys(label for label, _ in rows))
    labels.remove("full")
    gap, loss = f"{measure}_to_full", measure == "validation_loss"
    gaps = [[rows[label, size][gap] for size in sizes] for label in labels]
    ends = [[rows[label, size].get(f"{gap}_interval") for size in sizes] for label in labels]
    columns = [f"{size:,}<br>full: {rows['full', size][measure]:.3f}" for size in sizes]
    shown = [[_gap(*pair) for pair in zip(*line, strict=True)] for line in zip(gaps, ends, strict=True)]
    over = [["" if end is None else f"[{end[0]:+.3f}, {end[1]:+.3f}]" for end in line] for line in ends]
    most = min(0.5, max(abs(value) for line in gaps for value in line))  # else what is far off makes the rest pale
    name = "loss above<br>full" if loss else "above full"
    figure = _heatmap(
        gaps, columns, labels, text=shown, texttemplate="%{text}", hovertext=over,
        colorscale="RdBu_r" if loss else "RdBu", zmin=-most, zmax=most, colorbar={"title": name},
    )  # fmt: skip
    return figure.update_xaxes(title="training dialogues")


def plot_sizes(told: Recording) -> Any:
    """How far each method stays behind full fine-tuning, over the size of the model, with intervals.

    Args:
        told: What data/recorded/sizes.json holds.

    Returns:
        A plotly figure; 0 is as good as full fine-tuning.
    """
    import plotly.graph_objects as go

    from labkit.plots import COLORS, SYMBOLS, error_bars, style

    figure, gap = go.Figure(), "rouge1_to_full"
    rows = [row for row in told["rows"] if row["percent"] and row["label"] != "full"]
    labels = dict.fromkeys(row["label"] for row in rows)
    for label, color, sign in zip(labels, COLORS, SYMBOLS, strict=False):
        mine = [row for row in rows if row["label"] == label]
        x, y = [row["parameters"] / 1e6 for row in mine], [row[gap] for row in mine]
        look = {"line_color": color, "marker": {"symbol": sign, "size": 8}}
        figure.add_scatter(x=x, y=y, error_y=error_bars(mine, gap), name=label, mode="lines+markers", **look)
    ticks = sorted({row["parameters"] / 1e6 for row in rows})
    names = [f"{tick:.2g} M" for tick in ticks]
    axis = {"title": "parameters of the model", "type": "log", "tickvals": ticks, "ticktext": names}
    figure.update_layout(xaxis=axis, yaxis={"title": "ROUGE-1 above full fine-tuning"})
    return style(figure)


def plot_moved(told: Recording, where: str) -> Any:
    """How far each method moves the hidden states, layer by layer.

    Args:
        told: What data/recorded/family.json holds.
        where: "dialogues" of the task that was trained, or "tasks" of the pre-training.

    Returns:
        A plotly heatmap of ||h' - h|| / ||h||, a line a method.
    """
    rows = [row for row in told["rows"] if "hidden" in row]
    moved = [[layer["change"] for layer in row["hidden"][where]] for row in rows]
    layers = [f"{each['stack']}<br>{each['layer'].replace(', ', '<br>')}" for each in rows[0]["hidden"][where]]
    return _heatmap(
        moved, layers, [row["label"] for row in rows], text=moved, texttemplate="%{text:.2f}",
        colorscale="Blues", zmin=0, zmax=1.1, colorbar={"title": "‖Δh‖ / ‖h‖"},
    )  # fmt: skip


def _heatmap(z: list[list[float]], columns: list[str], lines: list[str], **look: Any) -> Any:
    """A heatmap with its numbers, the first line on top."""
    import plotly.graph_objects as go

    from labkit.plots import style

    figure = go.Figure(go.Heatmap(z=z, x=columns, y=lines, **look))
    figure.update_layout(height=120 + 24 * len(lines), xaxis={"tickangle": 0}, yaxis={"autorange": "reversed"})
    return style(figure)


def _gap(value: float, interval: list[float] | None) -> str:
    """+.012, in brackets where the interval holds zero."""
    shown = f"{value:+.3f}"
    return f"({shown})" if interval and interval[0] <= 0 <= interval[1] else shown
