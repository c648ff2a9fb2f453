import numpy as np
import pytest

from labkit.inside.anatomy import LayerChange, Update
from labkit.inside.anatomy_plots import block_means, changes_map, heatmaps, spectrum

NOISE = np.random.default_rng(0)


def test_a_large_matrix_is_drawn_as_means_of_its_blocks() -> None:
    matrix = np.arange(24.0).reshape(4, 6)
    np.testing.assert_allclose(block_means(matrix, 2), [[4, 7], [16, 19]])  # (0+1+2+6+7+8)/6 = 4, ...
    np.testing.assert_allclose(block_means(np.array([[1.0, 2.0, 6.0]]), 2), [[1, 4]])
    np.testing.assert_array_equal(block_means(matrix), matrix)


def test_four_heatmaps_of_large_matrices_stay_small() -> None:
    a, b = NOISE.normal(size=(128, 512)), NOISE.normal(size=(384, 128))
    figure = heatmaps(Update("q", NOISE.normal(size=(384, 512)), 2 * b @ a, a, b, 2.0))
    assert [trace.z.shape for trace in figure.data] == [(64, 64)] * 4
    assert len(figure.to_json()) < 300_000
    titles = [note.text for note in figure.layout.annotations]
    assert titles == ["W, 384 x 512", "A, 128 x 512", "B, 384 x 128", "2 BA, 384 x 512"]
    assert all(trace.zmin == -trace.zmax for trace in figure.data)


def test_a_change_of_nothing_can_be_drawn() -> None:
    zero = Update("q", np.ones((3, 4)), np.zeros((3, 4)))
    assert len(heatmaps(zero).data) == 2
    assert list(spectrum(zero).data[1].y) == [0, 0, 0]


def test_the_spectrum_shows_the_largest_values_and_their_energy_in_percent() -> None:
    figure = spectrum(Update("q", np.ones((50, 50)), np.diag([3.0, 4.0, *[0.0] * 48])))
    values, energy = figure.data
    assert len(values.y) == 32
    np.testing.assert_allclose(values.y[:3], [4, 3, 0])
    np.testing.assert_allclose(energy.y[:3], [64, 100, 100])


def test_the_map_has_a_cell_for_each_matrix_of_a_block_and_none_for_what_is_missing() -> None:
    rows = [
        LayerChange("embeddings", 1, 0.9, 3),
        LayerChange("encoder 0 self-attention q", 1, 0.5, 2),
        LayerChange("encoder 0 feed-forward wo", 0, 0.0, 0),
        LayerChange("encoder 0 feed-forward norm", 1, 0.8, None),
        LayerChange("decoder 0 self-attention q", 1, 0.25, 2),
        LayerChange("decoder 0 cross-attention q", 1, 0.125, 2),
    ]
    (cells,) = changes_map(rows).data
    assert list(cells.y) == ["encoder 0", "decoder 0"]
    assert list(cells.x) == ["self-attention q", "cross-attention q", "feed-forward wo"]
    assert [list(line) for line in cells.z] == [[50, None, 0], [25, 12.5, None]]
    assert cells.zmax == pytest.approx(50)
