"""A map of a soft prompt: virtual tokens among the vocabulary, in two dimensions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from labkit.intervals import FloatArray
from labkit.plots import COLORS, style

OTHERS = 150  # tokens that show where the vocabulary is


class Point(NamedTuple):
    """A "virtual token", a "nearest token", a "further neighbour" or "another token": its number or text, and place."""

    kind: str
    label: str
    x: float
    y: float


@dataclass(frozen=True)
class PromptMap:
    """Places along the first two principal components of what is on the map.

    Attributes:
        points: Virtual tokens, their neighbours, then 150 other tokens chosen by chance.
        explained: Share of the spread that each of the two directions holds, 0 to 1; what is near on the map may be
            far apart in all other directions.
    """

    points: tuple[Point, ...]
    explained: tuple[float, float]

    def plot(self) -> Any:
        """The map as a plotly figure, with the numbers of the virtual tokens and the text of the nearest ones."""
        import plotly.graph_objects as go

        figure = go.Figure()
        looks = {
            "another token": ("rgba(127,127,127,.5)", 4, "markers"),
            "further neighbour": (COLORS[5], 5, "markers"),
            "nearest token": (COLORS[0], 7, "markers+text"),
            "virtual token": (COLORS[3], 9, "markers+text"),
        }
        for kind, (color, size, mode) in looks.items():
            points = [point for point in self.points if point.kind == kind]
            figure.add_scatter(
                x=[point.x for point in points],
                y=[point.y for point in points],
                text=[_plain(point.label) for point in points],
                name=kind,
                mode=mode,
                marker={"color": color, "size": size},
                textfont={"color": color, "size": 11},
                textposition="top center",
                hoverinfo="text+name",
            )
        shares = [f"{100 * share:.0f} % of the spread" for share in self.explained]
        figure.update_xaxes(title_text=f"first principal component, {shares[0]}")
        figure.update_yaxes(title_text=f"second principal component, {shares[1]}")
        return style(figure)


def draw_map(vectors: FloatArray, table: FloatArray, names: Sequence[str], neighbours: Any) -> PromptMap:
    """Find the places of virtual tokens, their neighbours and 150 other tokens by principal component analysis.

    Args:
        vectors: Virtual tokens, shape (tokens, width).
        table: Embeddings of the vocabulary, shape (vocabulary, width).
        names: The text of each token.
        neighbours: Lines of the table, shape (tokens, k): those of each virtual token, the nearest first.

    Returns:
        The map.
    """
    nearest = np.unique(neighbours[:, 0])
    shuffled = np.random.default_rng(0).permutation(len(table))
    lines = {
        "nearest token": nearest,
        "further neighbour": np.setdiff1d(neighbours, nearest),
        "another token": shuffled[~np.isin(shuffled, neighbours)][:OTHERS],
    }
    labels = [("virtual token", str(number)) for number in range(1, len(vectors) + 1)]
    labels += [(kind, names[line]) for kind, chosen in lines.items() for line in chosen]
    all_vectors = np.concatenate([vectors, *(table[chosen] for chosen in lines.values())])
    centred = all_vectors - all_vectors.mean(axis=0)
    _, values, directions = np.linalg.svd(centred, full_matrices=False)
    two = directions[:2] * np.sign(directions[:2].sum(axis=1, keepdims=True))  # so that no new map is a mirror image
    places, shares = centred @ two.T, values[:2] ** 2 / (values**2).sum()
    points = tuple(Point(*label, float(x), float(y)) for label, (x, y) in zip(labels, places, strict=True))
    return PromptMap(points, (float(shares[0]), float(shares[1])))


def _plain(text: str) -> str:
    """Text that plotly does not take for markup."""
    return text.replace("<", "&lt;").replace(">", "&gt;")
