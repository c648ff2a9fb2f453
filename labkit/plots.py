"""Figures and tables of a comparison; every figure has a table with the same numbers beside it."""

from html import escape
from typing import Any


def rouge_bars(rows: list[dict[str, Any]], measure: str = "rouge1") -> Any:
    """ROUGE of each method with its 95 % interval.

    Args:
        rows: What `Comparison.rows` gives.
        measure: rouge1, rouge2, rougeL or rougeLsum.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    means = [row[measure] for row in rows]
    lows, highs = zip(*(row[f"{measure}_interval"] for row in rows), strict=True)
    figure = go.Figure(
        go.Bar(
            x=[row["label"] for row in rows],
            y=means,
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [high - mean for high, mean in zip(highs, means, strict=True)],
                "arrayminus": [mean - low for low, mean in zip(lows, means, strict=True)],
            },
            text=[f"{mean:.3f}" for mean in means],
            textposition="inside",
            insidetextanchor="start",  # at the foot of the bar, away from the interval
            marker_color="#4c78a8",
        )
    )
    figure.update_layout(
        yaxis={"title": f"{measure.replace('rouge', 'ROUGE-')}, mean over references", "rangemode": "tozero"},
        height=380,
        margin={"l": 60, "r": 20, "t": 20, "b": 60},
        template="plotly_white",
    )
    return figure


def quality_cells(row: dict[str, Any]) -> list[str]:
    """How good: the columns of `QUALITY`."""
    measures = [_interval(row[m], row[f"{m}_interval"]) for m in ("rouge1", "rouge2", "rougeL")]
    gain = _interval(row["rouge1_gain"], row["rouge1_gain_interval"], "+") if "rouge1_gain" in row else ""
    return [str(row["label"]), *measures, gain]


def cost_cells(row: dict[str, Any]) -> list[str]:
    """How dear: the columns of `COST`, empty for what is not trained."""
    if not row["trainable"]:
        return [str(row["label"]), *[""] * 5]
    return [
        str(row["label"]),
        f"{row['trainable']:,}",
        f"{row['percent']:.2f} %",
        f"{row['train_seconds']:.0f} s",
        f"{row['peak_memory_mib']:,.0f} MiB",
        f"{row['adapter_bytes'] / 1000:,.0f} kB",
    ]


QUALITY = ("", "ROUGE-1", "ROUGE-2", "ROUGE-L", "R1 over base")
COST = ("", "trainable", "share", "training", "peak memory", "on disk")


def html_table(rows: list[dict[str, Any]]) -> str:
    """A comparison as one HTML table, for a notebook."""
    head = "".join(f"<th>{escape(title)}</th>" for title in (*QUALITY, *COST[1:]))
    lines = ([*quality_cells(row), *cost_cells(row)[1:]] for row in rows)
    cell = '<td style="white-space: nowrap">{}</td>'
    body = "".join("<tr>" + "".join(cell.format(escape(text)) for text in line) + "</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _interval(mean: float, interval: list[float], sign: str = "") -> str:
    """A mean with half the width of its interval, without the leading zeros: ".306 ±.009"."""
    half = (interval[1] - interval[0]) / 2
    return f"{mean:{sign}.3f} ±{half:.3f}".replace("0.", ".")
