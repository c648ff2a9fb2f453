"""Figures of what a method changed in the weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from labkit.inside.anatomy import LayerChange, Update
from labkit.intervals import FloatArray
from labkit.plots import COLORS, style

MOST = 64  # rows and columns that are drawn of a matrix
SHOWN = 32  # singular values
NOTHING = "rgba(127,127,127,.12)"  # zero, on a light and on a dark page
BOTH_SIGNS = [[0, COLORS[3]], [0.5, NOTHING], [1, COLORS[0]]]
AXES = {"A": ("input", "rank"), "B": ("rank", "output")}


def heatmaps(update: Update) -> Any:
    """W, A, B and the change side by side, each on its own scale, orange below 0 and blue above.

    Args:
        update: One layer.

    Returns:
        A plotly figure; of a matrix over 64 x 64 it shows means of blocks.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    matrices = update.matrices
    titles = [f"{name}, {' x '.join(map(str, matrix.shape))}" for name, matrix in matrices.items()]
    figure = make_subplots(1, len(matrices), subplot_titles=titles, horizontal_spacing=0.09)
    for column, (name, matrix) in enumerate(matrices.items(), 1):
        drawn = block_means(matrix)
        most = float(np.abs(drawn).max()) or 1.0
        steps = {"dy": matrix.shape[0] / drawn.shape[0], "dx": matrix.shape[1] / drawn.shape[1]}
        colors = {"colorscale": BOTH_SIGNS, "zmin": -most, "zmax": most, "showscale": False}
        figure.add_trace(go.Heatmap(z=drawn.astype(np.float32), **steps, **colors), 1, column)
        across, down = AXES.get(name, ("input", "output"))
        figure.update_xaxes(title_text=across, row=1, col=column)
        figure.update_yaxes(title_text=down, autorange="reversed", row=1, col=column)
    figure.update_annotations(font_size=13)
    style(figure).update_layout(margin_t=55)  # the titles stand below the buttons
    return without_grid(figure)


def spectrum(update: Update) -> Any:
    """The largest singular values of the change, and the share of its energy that the first ones hold.

    Args:
        update: One layer.

    Returns:
        A plotly figure with at most 32 bars.
    """
    import plotly.graph_objects as go

    values, energy = update.singular_values[:SHOWN], 100 * update.energy[:SHOWN]
    numbers = np.arange(1, len(values) + 1)
    figure = go.Figure(
        [
            go.Bar(x=numbers, y=values, name="singular value", marker_color=COLORS[0]),
            go.Scatter(x=numbers, y=energy, name="energy of the first", yaxis="y2", line_color=COLORS[1]),
        ]
    )
    figure.update_layout(
        xaxis_title="number of the singular value",
        yaxis_title="singular value",
        yaxis2={"title": "energy, %", "overlaying": "y", "side": "right", "range": [0, 105]},
        yaxis2_tickmode="auto",  # else the ticks stand where those on the left do
    )
    return style(figure).update_layout(margin_r=60, yaxis2_showgrid=False)


def changes_map(rows: Sequence[LayerChange]) -> Any:
    """How much each weight matrix changed, a line a block of the model, a column a kind of matrix.

    Args:
        rows: What `layer_changes` gives; embeddings, output head and norms are left out, and stand in the table.

    Returns:
        A plotly figure; grey is unchanged, and no cell stands where a block has no such matrix.
    """
    import plotly.graph_objects as go

    cells = {}
    for row in rows:
        words = row.layer.split(" ", 2)
        if row.effective_rank is not None and len(words) == 3:
            cells[" ".join(words[:2]), words[2]] = 100 * row.relative
    blocks, kinds = (list(dict.fromkeys(part)) for part in zip(*cells, strict=True))
    kinds.sort(key=lambda kind: ("self", "cross", "feed").index(kind.split("-")[0]))
    figure = go.Figure(
        go.Heatmap(
            x=kinds,
            y=blocks,
            z=[[cells.get((block, kind)) for kind in kinds] for block in blocks],
            zmin=0,
            zmax=max(cells.values()) or 1,
            colorscale=[[0, NOTHING], [1, COLORS[0]]],
            colorbar={"title": "change, % of W"},
            xgap=1,
            ygap=1,
        )
    )
    figure.update_yaxes(autorange="reversed")
    return without_grid(style(figure))


def block_means(matrix: FloatArray, most: int = MOST) -> FloatArray:
    """A matrix made smaller by the means of its blocks.

    Args:
        matrix: Shape (rows, columns).
        most: Rows and columns that are kept.

    Returns:
        Shape (min(rows, most), min(columns, most)).
    """
    for axis, size in enumerate(matrix.shape):
        edges = np.linspace(0, size, min(size, most) + 1).astype(int)
        sums = np.add.reduceat(matrix, edges[:-1], axis=axis)
        matrix = sums / np.expand_dims(np.diff(edges), 1 - axis)
    return matrix


def without_grid(figure: Any) -> Any:
    """Take the lines behind a figure away, which a map covers; the same figure comes back."""
    return figure.update_xaxes(showgrid=False, zeroline=False).update_yaxes(showgrid=False, zeroline=False)
