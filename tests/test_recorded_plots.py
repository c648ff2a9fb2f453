"""The figures show the numbers that they are given; the numbers here are made up."""

import pytest

from labkit.recorded_plots import plot_little_data, plot_moved, plot_sizes


def test_little_data_is_the_mean_over_seeds_with_their_spread() -> None:
    scores = {16: (0.1, 0.2, 0.3), None: (0.4, 0.4, 0.4)}
    rows = [{"label": "lora", "dialogues": n, "rouge1": one} for n, seeds in scores.items() for one in seeds]
    (line,) = plot_little_data({"rows": rows, "all": 9000}).data
    assert list(line.x) == [16, 9000]
    assert list(line.y) == pytest.approx([0.2, 0.4])
    assert list(line.error_y.array) == pytest.approx([0.1, 0])


def test_sizes_are_shown_for_what_is_trained_beside_full_fine_tuning() -> None:
    def row(label: str, percent: float, over: float) -> dict[str, object]:
        told = {"label": label, "percent": percent, "parameters": 450_000}
        return told | {"rouge1_to_full": over, "rouge1_to_full_interval": [over - 0.01, over + 0.02]}

    (line,) = plot_sizes({"rows": [row("base", 0, -0.2), row("full", 100, 0), row("lora", 1, -0.03)]}).data
    assert (list(line.x), list(line.y)) == ([450_000], [-0.03])
    assert (line.error_y.array[0], line.error_y.arrayminus[0]) == pytest.approx((0.02, 0.01))


def test_moved_has_a_line_a_method_and_a_column_a_layer() -> None:
    def hidden(change: float) -> dict[str, object]:
        return {"tasks": [{"stack": "encoder", "layer": "layer 0", "change": change}]}

    rows = [{"label": "base"}, {"label": "lora", "hidden": hidden(0.25)}, {"label": "full", "hidden": hidden(0.5)}]
    (heat,) = plot_moved({"rows": rows}, "tasks").data
    assert [list(line) for line in heat.z] == [[0.25], [0.5]]
    assert list(heat.y) == ["lora", "full"]
    assert list(heat.x) == ["encoder<br>layer 0"]
