"""Figures of what was recorded for the whole family: little data, sizes of the model, hidden states."""

from typing import Any

Recording = dict[str, Any]


def plot_little_data(told: Recording, measure: str = "rouge1") -> Any:
    """How far each method is above full fine-tuning, over the number of training dialogues.

    Args:
        told: What data/recorded/little_data.json holds.
        measure: "rouge1", with intervals, or "validation_loss".

    Returns:
        A plotly figure; 0 is as good as full fine-tuning on the same dialogues.
    """
    return _gaps(told["rows"], measure, "dialogues", "training dialogues", "{:,}")


def plot_sizes(told: Recording) -> Any:
    """How far each method stays behind full fine-tuning, over the size of the model, with intervals.

    Args:
        told: What data/recorded/sizes.json holds.

    Returns:
        A plotly figure; 0 is as good as full fine-tuning.
    """
    rows = [row | {"millions": row["parameters"] / 1e6} for row in told["rows"] if row["percent"]]
    return _gaps(rows, "rouge1", "millions", "parameters of the model", "{:.2g} M")


def plot_moved(told: Recording, where: str) -> Any:
    """How far each method moves the hidden states, layer by layer.

    Args:
        told: What data/recorded/family.json holds.
        where: "dialogues" of the task that was trained, or "tasks" of the pre-training.

    Returns:
        A plotly heatmap of ||h' - h|| / ||h||, a line a method.
    """
    import plotly.graph_objects as go

    from labkit.plots import style

    rows = [row for row in told["rows"] if "hidden" in row]
    moved = [[layer["change"] for layer in row["hidden"][where]] for row in rows]
    layers = [f"{each['stack']}<br>{each['layer'].replace(', ', '<br>')}" for each in rows[0]["hidden"][where]]
    figure = go.Figure()
    figure.add_heatmap(
        z=moved, x=layers, y=[row["label"] for row in rows], colorscale="Blues", zmin=0, zmax=1.1,
        text=moved, texttemplate="%{text:.2f}", colorbar={"title": "‖Δh‖ / ‖h‖"},
    )  # fmt: skip
    figure.update_layout(height=120 + 24 * len(rows), xaxis={"tickangle": 0}, yaxis={"autorange": "reversed"})
    return style(figure)


def _gaps(rows: list[dict[str, Any]], measure: str, over: str, name: str, shown: str) -> Any:
    """What each method has above full fine-tuning, over one number on a logarithmic axis."""
    import plotly.graph_objects as go

    from labkit.plots import error_bars, style, title

    gap = f"{measure}_to_full"
    figure, rows = go.Figure(), [row for row in rows if row["label"] != "full"]
    for label, look in _looks(rows):
        mine = [row for row in rows if row["label"] == label]
        x, y = [row[over] for row in mine], [row[gap] for row in mine]
        errors = error_bars(mine, gap)
        figure.add_scatter(x=x, y=y, error_y=errors, name=label, mode="lines+markers", **look)
    ticks = sorted({row[over] for row in rows})
    axis = {"title": name, "type": "log", "tickvals": ticks, "ticktext": [shown.format(tick) for tick in ticks]}
    figure.update_layout(xaxis=axis, yaxis={"title": f"{title(measure)} above full fine-tuning"})
    return style(figure)


def _looks(rows: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """The labels in their order, each with a colour and a sign of its own."""
    from labkit.plots import COLORS, SYMBOLS

    labels = dict.fromkeys(row["label"] for row in rows)
    looks = zip(labels, COLORS * len(labels), SYMBOLS * len(labels), strict=False)
    return [(label, {"line_color": color, "marker": {"symbol": sign, "size": 8}}) for label, color, sign in looks]
