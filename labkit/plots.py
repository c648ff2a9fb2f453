"""Figures and tables of a comparison; every figure has a table with the same numbers beside it."""

from html import escape
from typing import Any

# told apart with red-green blindness, too; the first six after Okabe and Ito, "Color Universal Design", 2008
COLORS = ["#4c78a8", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#7048e8", "#7a5230"]
SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "x")  # lines differ in more than colour
GREY = "#797979"  # reads on white and on #111


def style(figure: Any) -> Any:
    """Give a figure the look of all the others, which suits a light and a dark page; call it last.

    Args:
        figure: A plotly figure, which is changed.

    Returns:
        The same figure.
    """
    pale = "rgba(127,127,127,.25)"
    axis = {"gridcolor": pale, "zerolinecolor": pale, "automargin": True, "title_font_size": 13}
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"size": 13, "color": GREY},
        colorway=COLORS,
        margin={"l": 60, "r": 20, "t": 30, "b": 50},
        # of the whole figure, not of the axes, so that it never covers their title
        legend={"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0, "x": 0},
    )
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure


def title(measure: str) -> str:
    """How a ROUGE measure is written: "rouge1" is ROUGE-1, and "rouge1_max" the same over the best references."""
    return measure.replace("rouge", "ROUGE-").replace("_max", ", best reference").replace("_", " ")


def error_bars(rows: list[dict[str, Any]], measure: str) -> dict[str, Any]:
    """The intervals of a measure as error bars of plotly; none where a row has no interval of it."""
    above, below = [], []
    for row in rows:
        low, high = row.get(f"{measure}_interval") or (None, None)
        above.append(None if high is None else high - row[measure])
        below.append(None if low is None else row[measure] - low)
    known = any(end is not None for end in above)  # otherwise plotly draws intervals without a length
    return {"visible": known, "type": "data", "symmetric": False, "array": above, "arrayminus": below, "color": GREY}


def rouge_bars(rows: list[dict[str, Any]], measure: str = "rouge1") -> Any:
    """ROUGE of each method with its 95 % interval.

    Args:
        rows: What `Comparison.rows` gives.
        measure: rouge1, rouge2, rougeL or rougeLsum, over the mean of the references; rouge1_max and so on over the
            best of them.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    means = [row[measure] for row in rows]
    figure = go.Figure(
        go.Bar(
            x=[row["label"] for row in rows],
            y=means,
            error_y=error_bars(rows, measure),
            text=[f"{mean:.3f}" for mean in means],
            textposition="inside",
            insidetextanchor="start",  # at the foot of the bar, away from the interval
            textfont={"color": "white"},
            marker_color=COLORS[0],
        )
    )
    named = title(measure) if measure.endswith("_max") else f"{title(measure)}, mean over references"
    figure.update_layout(yaxis={"title": named, "rangemode": "tozero"}, height=380)
    return style(figure)


def quality_cells(row: dict[str, Any]) -> list[str]:
    """How good: the columns of `QUALITY`."""
    measures = [with_interval(row[m], row[f"{m}_interval"]) for m in ("rouge1", "rouge2", "rougeL")]
    gain = with_interval(row["rouge1_gain"], row["rouge1_gain_interval"], "+") if "rouge1_gain" in row else ""
    return [str(row["label"]), *measures, gain]


def cost_cells(row: dict[str, Any]) -> list[str]:
    """How dear: the columns of `COST`, empty for what is not trained."""
    if not row["trainable"]:
        return [str(row["label"]), *[""] * 5]
    return [
        str(row["label"]),
        f"{row['trainable']:,}",
        f"{row['percent']:.2f} %",
        _training(row),
        f"{row['peak_memory_mib']:,.0f} MiB",
        f"{row['adapter_bytes'] / 1000:,.0f} kB",
    ]


def _training(row: dict[str, Any]) -> str:
    """How long it took; of recorded runs that did not have the machine to themselves, how long a step takes alone."""
    if "step_seconds" in row:
        return f"{1000 * row['step_seconds']:.0f} ms/step"
    return f"{row['train_seconds']:.0f} s" if row["train_seconds"] is not None else ""


QUALITY = ("", "ROUGE-1", "ROUGE-2", "ROUGE-L", "ROUGE-1 over base")
COST = ("", "trainable", "share", "training", "peak memory", "on disk")


def html_table(rows: list[dict[str, Any]]) -> str:
    """A comparison as one HTML table, for a notebook; columns that nothing is known for are left out."""
    lines: list[tuple[str, ...]] = [(*QUALITY, *COST[1:])]
    lines += [(*quality_cells(row), *cost_cells(row)[1:]) for row in rows]
    columns = list(zip(*lines, strict=True))
    if any("forgetting" in row for row in rows):  # in the place of the gain, which the base's line tells, too
        columns[len(QUALITY) - 1] = ("earlier tasks", *(_forgetting(row) for row in rows))
    head, *body = ([escape(text) for text in line] for line in zip(*(c for c in columns if any(c[1:])), strict=True))
    cells = "".join(
        f"<tr><td>{label}</td>" + "".join(f'<td style="white-space: nowrap">{text}</td>' for text in line) + "</tr>"
        for label, *line in body
    )
    titles = "".join(f"<th>{text}</th>" for text in head)
    notes = "".join(f"<p>{escape(note)}</p>" for note in cut_notes(rows))
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{cells}</tbody></table>{notes}"


def _forgetting(row: dict[str, Any]) -> str:
    """How many more of the pre-training's tasks are right than before."""
    return with_interval(row["forgetting"], row["forgetting_interval"], "+") if "forgetting" in row else ""


def cut_notes(rows: list[dict[str, Any]]) -> list[str]:
    """A line for each model that could not read all dialogues in full."""
    cuts = [(row["label"], row.get("train_cut") or 0, row.get("test_cut") or 0) for row in rows]
    lost = "were too long for the model, and lost their oldest turns."
    return [
        f"{label}: {train:.0f} train and {test:.0f} test dialogues {lost}"
        for label, train, test in cuts
        if train or test
    ]


def with_interval(mean: float, interval: list[float], sign: str = "") -> str:
    """A mean with half the width of its interval, without the leading zeros: ".306 ±.009"."""
    half = (interval[1] - interval[0]) / 2
    return f"{mean:{sign}.3f} ±{half:.3f}".replace("0.", ".")
