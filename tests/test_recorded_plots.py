"""The figures show the numbers that they are given; the numbers here are made up."""

import pytest

from labkit.recorded_plots import plot_little_data, plot_moved, plot_sizes


def row(label: str, over: float, **told: float) -> dict[str, object]:
    gap = {"rouge1_to_full": over, "rouge1_to_full_interval": [over - 0.01, over + 0.02]}
    return {"label": label, **told, **gap}


def test_little_data_has_a_line_a_method_and_a_column_a_number_of_dialogues() -> None:
    rows = [row("lora", -0.015, dialogues=16), row("lora", -0.03, dialogues=2400)]
    full = [row("full", 0, dialogues=16, rouge1=0.3), row("full", 0, dialogues=2400, rouge1=0.4)]
    (heat,) = plot_little_data({"rows": full + rows}).data
    assert ([list(line) for line in heat.z], list(heat.y)) == ([[-0.015, -0.03]], ["lora"])
    assert list(heat.x) == ["16<br>full: 0.300", "2,400<br>full: 0.400"]
    assert [list(line) for line in heat.text] == [["(-0.015)", "-0.030"]]  # brackets: the interval holds zero
    assert [list(line) for line in heat.hovertext] == [["[-0.025, +0.005]", "[-0.040, -0.010]"]]


def test_a_lower_validation_loss_than_full_fine_tuning_is_blue_as_a_higher_rouge_is() -> None:
    def blue_end(measure: str, value: float) -> bool:
        rows = [{"label": each, "dialogues": 16, measure: value, f"{measure}_to_full": value} for each in ("full", "a")]
        (heat,) = plot_little_data({"rows": rows}, measure).data
        assert heat.zmin == -heat.zmax
        end = (heat.colorscale[-1] if value > 0 else heat.colorscale[0])[1]
        red, _, blue = (int(part) for part in end.removeprefix("rgb(").rstrip(")").split(","))
        return blue > red

    assert blue_end("validation_loss", -0.3)
    assert not blue_end("validation_loss", 0.3)
    assert blue_end("rouge1", 0.02)


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
