"""The look of all figures, and the bars of a comparison."""

import itertools

import numpy as np
import plotly.graph_objects as go
import pytest

from labkit.plots import COLORS, error_bars, rouge_bars, style, title

ROWS = [
    {"label": "base", "rouge1": 0.2, "rouge1_interval": [0.15, 0.3], "rouge1_max": 0.4},
    {"label": "lora", "rouge1": 0.5, "rouge1_interval": [0.4, 0.55], "rouge1_max": 0.6},
]
SEEN = {  # what an eye makes of linear RGB: Machado, Oliveira and Fernandes 2009, severity 1
    "all cones": np.eye(3),
    "no red cones": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green cones": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(color: str) -> np.ndarray:
    part = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    x, y, z = np.cbrt(TO_XYZ @ np.clip(rgb, 0, 1) / TO_XYZ.sum(axis=1))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(a: str, b: str) -> float:
    low, high = sorted(float(TO_XYZ[1] @ linear(color)) for color in (a, b))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("eye", SEEN)
def test_has_eight_colours_that_every_eye_tells_apart(eye: str) -> None:
    seen = [lab(np.array(SEEN[eye]) @ linear(color)) for color in COLORS]
    assert len(seen) == 8
    assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2)) > 10


@pytest.mark.parametrize("page", ["#ffffff", "#111111"])
def test_writes_in_a_grey_that_reads_on_light_and_dark_pages(page: str) -> None:
    figure = style(go.Figure())
    assert contrast(figure.layout.font.color, page) > 4
    assert min(contrast(color, page) for color in COLORS) > 2
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"


def test_keeps_what_a_figure_was_given_when_it_is_styled() -> None:
    figure = style(go.Figure(layout={"xaxis": {"title": "rank", "type": "log"}}))
    assert figure.layout.xaxis.title.text == "rank"
    assert figure.layout.xaxis.type == "log"


def test_draws_each_interval_around_its_bar() -> None:
    (bars,) = rouge_bars(ROWS).data
    assert list(bars.error_y.array) == pytest.approx([0.1, 0.05])
    assert list(bars.error_y.arrayminus) == pytest.approx([0.05, 0.1])


def test_draws_bars_without_intervals_where_none_were_recorded() -> None:
    (bars,) = rouge_bars(ROWS, "rouge1_max").data
    assert list(bars.y) == [0.4, 0.6]
    assert not error_bars(ROWS, "rouge1_max")["visible"]


@pytest.mark.parametrize(("measure", "named"), [("rougeLsum", "ROUGE-Lsum"), ("rouge2_max", "ROUGE-2, best reference")])
def test_names_a_measure_as_the_field_does(measure: str, named: str) -> None:
    assert title(measure) == named
