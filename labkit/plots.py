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
            x=[row["method"] for row in rows],
            y=means,
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [high - mean for high, mean in zip(highs, means, strict=True)],
                "arrayminus": [mean - low for low, mean in zip(lows, means, strict=True)],
            },
            text=[f"{mean:.3f}" for mean in means],
            textposition="inside",
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


def cells(row: dict[str, Any]) -> list[str]:
    """One row of a comparison as text: the columns of `HEADS`."""
    gain = ""
    if "rouge1_gain" in row:
        first, last = row["rouge1_gain_interval"]
        gain = f"{row['rouge1_gain']:+.3f} [{first:+.3f}, {last:+.3f}]"
    size = row.get("adapter_bytes")
    return [
        str(row["method"]),
        f"{row['trainable']:,}" if row["trainable"] else "",
        f"{row['percent']:.2f}" if row["trainable"] else "",
        *(_interval(row, measure) for measure in ("rouge1", "rouge2", "rougeL")),
        gain,
        f"{row['train_seconds']:.0f} s" if row.get("train_seconds") else "",
        f"{row['peak_memory_mib']:.0f}" if row.get("peak_memory_mib") else "",
        f"{size / 1000:,.0f} kB" if size else "",
    ]


HEADS = (
    "method", "trainable", "%", "ROUGE-1 [95 %]", "ROUGE-2 [95 %]", "ROUGE-L [95 %]",
    "R1 against base", "trained", "peak MiB", "adapter",
)  # fmt: skip


def html_table(rows: list[dict[str, Any]]) -> str:
    """A comparison as an HTML table, for a notebook."""
    head = "".join(f"<th>{escape(title)}</th>" for title in HEADS)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells(row)) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _interval(row: dict[str, Any], measure: str) -> str:
    low, high = row[f"{measure}_interval"]
    return f"{row[measure]:.3f} [{low:.3f}, {high:.3f}]"
