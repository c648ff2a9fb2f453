"""What panels are made of."""

from typing import Any

import plotly.graph_objects as go
import pytest

from labkit.widgets.parts import Chart, Column, Dial, Table, button, choice, note, say


def test_a_dial_stays_within_its_range() -> None:
    dial = Dial("rank", 8, 1, 64)
    dial.value = 1000
    assert dial.number == 64
    dial.value = -3
    assert dial.number == 1


def test_a_dial_with_a_whole_step_has_whole_values() -> None:
    assert isinstance(Dial("rank", 8, 1, 64).number, int)
    assert Dial("dropout", 0.25, 0, 1, 0.05).number == 0.25


def test_a_dial_tells_its_new_value_once() -> None:
    told: list[Any] = []
    dial = Dial("rank", 8, 1, 64, on_change=told.append)
    dial.value = 16
    assert told == [16]


def test_a_table_writes_values_in_the_form_of_their_column() -> None:
    table = Table(["name", Column("ROUGE-1", "{:.3f}")], [["lora", 0.37149], ["lead-2", None]])
    assert table.cells == [["lora", "0.371"], ["lead-2", ""]]
    assert table.values == [["lora", 0.37149], ["lead-2", None]]


def test_a_row_that_has_not_a_value_a_column_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Table(["name", "ROUGE-1"], [["lora"]])


def test_a_chart_holds_the_figure_without_a_button_that_uploads_it() -> None:
    chart = Chart(300)
    chart.show(go.Figure(go.Scatter(y=[1, 2])))
    (output,) = chart.outputs
    drawn = output["data"]["application/vnd.plotly.v1+json"]
    assert drawn["data"][0]["type"] == "scatter"
    assert drawn["config"]["showSendToCloud"] is False


def test_text_is_shown_as_text() -> None:
    line = note("<img src=x onerror=alert(1)>")
    assert "<img" not in line.value
    say(line, "<b>bold</b>")
    assert "&lt;b&gt;bold" in line.value


def test_a_button_does_what_it_is_for() -> None:
    pressed: list[int] = []
    button("Start", lambda: pressed.append(1)).click()
    assert pressed == [1]


def test_a_choice_tells_the_value_that_was_chosen() -> None:
    told: list[Any] = []
    drop = choice("targets", [("q, v", "qv"), ("all", "all")], "qv", told.append)
    drop.value = "all"
    assert told == ["all"]
