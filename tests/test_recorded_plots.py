"""The figures show the numbers that they are given; the numbers here are made up."""

import pytest

from labkit.recorded_plots import plot_little_data, plot_moved, plot_sizes


def row(label: str, over: float, **told: float) -> dict[str, object]:
    gap = {"rouge1_to_full": over, "rouge1_to_full_interval": [over - 0.01, over + 0.02]}
    return {"label": label, **told, **gap}


def test_little_data_has_a_line_a_method_over_the_number_of_dialogues() -> None:
    rows = [row(label, over, dialogues=n) for n, over in ((16, 0.01), (2400, -0.02)) for label in ("full", "lora")]
    figure = plot_little_data({"rows": rows})
    (line,) = figure.data
    assert (line.name, list(line.x), list(line.y)) == ("lora", [16, 2400], [0.01, -0.02])
    assert list(figure.layout.xaxis.ticktext) == ["16", "2,400"]
    losses = [{"label": "lora", "dialogues": 16, "validation_loss_to_full": -0.3}]
    (line,) = plot_little_data({"rows": losses}, "validation_loss").data
    assert (list(line.y), line.error_y.visible) == ([-0.3], False)


def test_sizes_are_shown_for_what_is_trained_beside_full_fine_tuning() -> None:
    rows = [("base", -0.2, 0), ("full", 0, 100), ("lora", -0.03, 1)]
    figure = plot_sizes({"rows": [row(label, over, percent=own, parameters=450_000) for label, over, own in rows]})
    (line,) = figure.data
    assert (list(line.x), list(line.y)) == ([0.45], [-0.03])
    assert (line.error_y.array[0], line.error_y.arrayminus[0]) == pytest.approx((0.02, 0.01))
    assert list(figure.layout.xaxis.ticktext) == ["0.45 M"]


def test_moved_has_a_line_a_method_and_a_column_a_layer() -> None:
    def hidden(change: float) -> dict[str, object]:
        return {"tasks": [{"stack": "encoder", "layer": "layer 0", "change": change}]}

    rows = [{"label": "base"}, {"label": "lora", "hidden": hidden(0.25)}, {"label": "full", "hidden": hidden(0.5)}]
    (heat,) = plot_moved({"rows": rows}, "tasks").data
    assert [list(line) for line in heat.z] == [[0.25], [0.5]]
    assert list(heat.y) == ["lora", "full"]
    assert list(heat.x) == ["encoder<br>layer 0"]
