"""Figures of what was recorded for the whole family: little data, sizes of the model, hidden states."""

from statistics import fmean, stdev
from typing import Any

Recording = dict[str, Any]


def plot_little_data(told: Recording) -> Any:
    """ROUGE-1 over the number of training dialogues, a line a method, with the spread of the seeds.

    Args:
        told: What data/recorded/little_data.json holds.

    Returns:
        A plotly figure; all dialogues are at their number, on a logarithmic axis.
    """
    import plotly.graph_objects as go

    from labkit.plots import style

    figure = go.Figure()
    for label, look in _looks(told["rows"]):
        sizes: dict[int, list[float]] = {}
        for row in told["rows"]:
            if row["label"] == label:
                sizes.setdefault(row["dialogues"] or told["all"], []).append(row["rouge1"])
        means, spread = [fmean(each) for each in sizes.values()], [stdev(each) for each in sizes.values()]
        figure.add_scatter(x=list(sizes), y=means, error_y={"array": spread}, name=label, mode="lines+markers", **look)
    ticks = sorted({row["dialogues"] or told["all"] for row in told["rows"]})
    axis = {"title": "training dialogues", "type": "log", "tickvals": ticks, "ticktext": [f"{n:,}" for n in ticks]}
    figure.update_layout(xaxis=axis, yaxis={"title": "ROUGE-1, ± deviation of the seeds"}, height=460)
    return style(figure)


def plot_sizes(told: Recording) -> Any:
    """How far each method stays behind full fine-tuning, over the size of the model, with intervals.

    Args:
        told: What data/recorded/sizes.json holds.

    Returns:
        A plotly figure; 0 is as good as full fine-tuning.
    """
    import plotly.graph_objects as go

    from labkit.plots import error_bars, style

    figure = go.Figure()
    rows = [row for row in told["rows"] if row["percent"] and row["label"] != "full"]
    for label, look in _looks(rows):
        mine = [row for row in rows if row["label"] == label]
        x, y = [row["parameters"] for row in mine], [row["rouge1_to_full"] for row in mine]
        errors = error_bars(mine, "rouge1_to_full")
        figure.add_scatter(x=x, y=y, error_y=errors, name=label, mode="lines+markers", **look)
    sizes = sorted({row["parameters"] for row in rows})
    axis = {"title": "parameters of the model", "type": "log", "tickvals": sizes}
    axis["ticktext"] = [f"{size / 1e6:.2g} M" for size in sizes]
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


def _looks(rows: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """The labels in their order, each with a colour and a sign of its own."""
    from labkit.plots import COLORS, SYMBOLS

    labels = dict.fromkeys(row["label"] for row in rows)
    looks = zip(labels, COLORS * len(labels), SYMBOLS * len(labels), strict=False)
    return [(label, {"line_color": color, "marker": {"symbol": sign, "size": 8}}) for label, color, sign in looks]
