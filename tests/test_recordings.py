"""Recordings: what is read from them, and what they are not."""

import pytest

from labkit.errors import LabError
from labkit.recordings import read, recorded, recorded_names


def test_tells_on_how_many_dialogues_and_after_how_many_steps() -> None:
    shown = recorded("compare_nano")._repr_html_()
    assert "3 seeds, up to 300 steps, 500 test dialogues" in shown
    untrained = recorded("lab_1")._repr_html_()
    assert "Ours, recorded: 500 test dialogues" in untrained
    assert "steps" not in untrained


def test_is_a_short_line_where_there_is_no_notebook() -> None:
    assert repr(recorded("lab_1")) == "Recorded(name='lab_1', dialogues=500, steps=0)"


def test_leaves_out_a_column_that_is_empty_and_says_what_was_cut() -> None:
    shown = recorded("lab_7")._repr_html_()
    assert "<th>training</th>" not in shown
    assert "<th>training</th>" in recorded("compare_nano")._repr_html_()
    assert "lora: 5 train and 8 test dialogues were too long for the model" in shown


@pytest.mark.parametrize("name", ["lab_6", "sweep_rank"])
def test_what_is_no_comparison_is_told_in_one_line(name: str) -> None:
    with pytest.raises(LabError, match=f"{name} is no comparison: see what it holds with labkit.recordings.read"):
        recorded(name)
    assert read(name)


def test_an_unknown_name_is_told_what_there_is() -> None:
    with pytest.raises(LabError, match=", ".join(recorded_names())):
        recorded("nothing")
