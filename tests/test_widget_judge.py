"""The panel Judge: blind until the result is asked for, and the votes outlive it."""

from pathlib import Path

import pytest
from handmade import handmade_table

from labkit.comparison import Comparison
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.widgets.judge import Judge

WORSE, BETTER = "<img src=x onerror=alert(1)>", "Anna and Ben will meet"


@pytest.fixture
def table(tiny_data: Dialogues, tmp_path: Path) -> Comparison:
    lines = {"base": [WORSE] * 6, "lora": ["same"] + [BETTER] * 5, "full": ["same"] + [WORSE] * 5}
    return handmade_table(tmp_path, tiny_data, lines)


@pytest.fixture
def panel(table: Comparison, tiny_data: Dialogues) -> Judge:
    return Judge(table, tiny_data, "full", "lora")


def vote_for_better(panel: Judge) -> None:
    """Press the button of the side on which the better summary stands."""
    sides = panel._text.value
    panel._votes["left" if sides.index("Anna and Ben") < sides.index("&lt;img") else "right"].click()


def hidden(panel: Judge) -> bool:
    return [part.layout.display for part in panel._shown] == ["none"] * 3


def test_shows_two_summaries_and_not_whose_they_are(panel: Judge) -> None:
    text = panel._text.value
    assert text.index("Left") < text.index("Right")
    assert BETTER in text
    assert "&lt;img src=x" in text
    assert "<img" not in text
    assert "lora" not in text
    assert "full" not in text
    assert hidden(panel)


def test_says_how_far_one_is_and_what_is_passed_over(panel: Judge) -> None:
    assert "0 of 5 pairs judged; passed over: 1 of 6 dialogues" in panel._status.value
    vote_for_better(panel)
    assert "1 of 5 pairs judged" in panel._status.value


def test_reveals_the_result_when_asked(panel: Judge) -> None:
    for _ in range(5):
        vote_for_better(panel)
    assert "there are no more" in panel._status.value
    assert all(button.disabled for button in panel._votes.values())
    panel._reveal.click()
    assert not hidden(panel)
    assert "A is full, B is lora" in panel._said.value
    assert "agree on 100% of the 5 pairs" in panel._said.value
    you, rouge = panel._tallies.cells
    assert you[:5] == ["you", "5", "0", "1", "0.92"]  # 5.5 of 6
    assert rouge[:5] == ["ROUGE-1", "5", "0", "1", "0.92"]
    assert {tuple(cells[1:3]) for cells in panel._each.cells} == {("lora", "lora")}
    assert len(panel._each.cells) == 5


def test_hides_the_result_from_the_next_vote(panel: Judge) -> None:
    vote_for_better(panel)
    panel._reveal.click()
    assert not hidden(panel)
    vote_for_better(panel)
    assert hidden(panel)


def test_takes_back_a_vote(panel: Judge) -> None:
    before = panel._text.value
    assert panel._undo.disabled
    assert panel._reveal.disabled
    panel._votes["tie"].click()
    assert panel._text.value != before
    panel._undo.click()
    assert panel._text.value == before
    assert panel._undo.disabled


def test_shows_the_votes_again_when_it_is_made_anew(panel: Judge, table: Comparison, tiny_data: Dialogues) -> None:
    vote_for_better(panel)
    vote_for_better(panel)
    again = Judge(table, tiny_data, "full", "lora")
    assert "2 of 5 pairs judged" in again._status.value
    assert again._text.value == panel._text.value


def test_keeps_the_votes_of_each_two_models_apart(panel: Judge) -> None:
    panel._votes["tie"].click()
    panel._first.value = "base"
    assert "0 of 6 pairs judged" in panel._status.value
    panel._first.value = "full"
    assert "1 of 5 pairs judged" in panel._status.value


def test_tells_in_one_line_what_cannot_be_judged(panel: Judge) -> None:
    panel._first.value = "lora"
    assert "is set against itself: choose two different runs" in panel._status.value
    assert panel._text.value == ""
    assert all(button.disabled for button in (*panel._votes.values(), panel._undo, panel._reveal))
    panel._first.value = "base"
    assert not panel._votes["left"].disabled


def test_tells_that_a_vote_was_not_kept(panel: Judge, table: Comparison) -> None:
    (table["lora"].runs[0].folder / f"votes-{table['full'].runs[0].folder.name}.jsonl").mkdir()
    shown = panel._text.value
    panel._votes["left"].click()
    assert "cannot be written" in panel._status.value
    assert panel._text.value == shown


def test_sets_the_last_two_lines_against_each_other_unless_told(table: Comparison, tiny_data: Dialogues) -> None:
    panel = Judge(table, tiny_data)
    assert (panel._first.value, panel._second.value) == ("lora", "full")
    with pytest.raises(LabError, match="'none' is not compared here"):
        Judge(table, tiny_data, "none")
