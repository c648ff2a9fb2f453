"""The panel Summaries: what it shows as its controls are turned."""

from pathlib import Path
from typing import Any

import pytest
from handmade import handmade_table

from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.reading.writers import Writers, Written
from labkit.widgets.summaries import Summaries

SUMMARIES = ["will meet", "<img src=x onerror=alert(1)> Anna", "", "zebra", "at the park on Monday", "Anna"]


@pytest.fixture
def panel(tiny_data: Dialogues, tmp_path: Path) -> Summaries:
    perfect = [row["summaries"][0] for row in tiny_data.test]
    return Summaries(handmade_table(tmp_path, tiny_data, {"perfect": perfect, "<b>odd": SUMMARIES}), tiny_data)


def press(panel: Summaries, text: str) -> None:
    found = [each for each in walk(panel) if getattr(each, "description", None) == text]
    found[0].click()


def walk(widget: Any) -> list[Any]:
    return [widget, *(inner for child in getattr(widget, "children", ()) for inner in walk(child))]


def test_shows_dialogue_references_and_every_summary(panel: Summaries, tiny_data: Dialogues) -> None:
    shown = panel._text.value
    for text in (*tiny_data.test[0]["dialogue"].split("\n"), *tiny_data.test[0]["summaries"]):
        assert text in shown
    assert "perfect" in shown
    assert "row_30" in shown


def test_shows_rouge_of_each_model_for_this_dialogue(panel: Summaries) -> None:
    labels = [cells[0] for cells in panel._scores.cells]
    assert labels == ["perfect", "<b>odd"]
    for cells, entry in zip(panel._scores.values, panel._writers._table.entries, strict=True):
        scores = entry.runs[0].scores
        assert cells[1:4] == [scores.mean[measure][0] for measure in ("rouge1", "rouge2", "rougeL")]
    assert panel._scores.values[1][4:] == [2, 2]  # "will meet": both words are in a reference


def test_marks_the_words_of_the_references(panel: Summaries) -> None:
    assert panel._text.value.count("<mark") == panel._scores.values[0][5] + panel._scores.values[1][5]
    panel._dial.value = 4
    panel._marking.value = 2
    assert panel._scores.values[1][5] == 0
    assert "zebra" in panel._text.value


def test_goes_forth_and_back_and_no_further_than_there_are(panel: Summaries) -> None:
    press(panel, "Previous")
    assert panel._dial.value == 1
    for _ in range(9):
        press(panel, "Next")
    assert panel._dial.value == 6
    assert "row_35" in panel._text.value


def test_searches_and_says_how_many_it_found(panel: Summaries) -> None:
    panel._dial.value = 6
    panel._search.value = "Zebra"
    assert "1 of 6 dialogues found" in panel._count.value
    assert "row_33" in panel._text.value
    assert panel._dial.high == panel._dial.value == 1
    panel._search.value = "no such words"
    assert "0 of 6" in panel._count.value
    assert panel._dial.disabled
    assert panel._text.value == ""
    assert panel._scores.cells == []
    panel._search.value = ""
    assert panel._dial.high == 6
    assert not panel._dial.disabled


def test_sorts_by_the_chosen_model(panel: Summaries) -> None:
    def scores() -> list[float]:
        found = []
        for number in range(1, 7):
            panel._dial.value = number
            found.append(panel._scores.values[1][1])
        return found

    panel._order.value = "worst first"
    assert scores() == sorted(scores())
    assert len(set(scores())) > 2
    panel._order.value = "best first"
    assert scores() == sorted(scores(), reverse=True)


def test_shows_text_as_text(panel: Summaries) -> None:
    panel._dial.value = 2
    assert "<img" not in panel._text.value
    assert "&lt;img src=x onerror=alert(1)&gt;" in panel._text.value.replace("<mark", "")
    assert "<b>odd" not in panel._text.value
    panel._dial.value = 3
    assert "(empty)" in panel._text.value


def test_every_model_summarizes_a_dialogue_of_the_learners(panel: Summaries, monkeypatch: pytest.MonkeyPatch) -> None:
    def summarize(_: Writers, dialogue: str) -> list[Written]:
        return [Written("perfect", dialogue.upper(), 0), Written("<b>odd", "<img>", 3)]

    monkeypatch.setattr(Writers, "summarize", summarize)
    panel._own.value = "#Person1#: hello"
    press(panel, "Summarize")
    panel._thread.join(60)
    assert "#PERSON1#: HELLO" in panel._written.value
    assert "&lt;img&gt;" in panel._written.value
    assert "its first 3 turns were not read" in panel._written.value
    assert "<img>" not in panel._written.value
    assert "2 of 2 models are done" in panel._status.value


@pytest.mark.parametrize("error", [LabError("no weights: train"), RuntimeError("no weights: train")])
def test_tells_what_went_wrong_in_one_line(panel: Summaries, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def summarize(_: Writers, dialogue: str) -> list[Written]:
        raise error

    monkeypatch.setattr(Writers, "summarize", summarize)
    press(panel, "Summarize")
    panel._thread.join(60)
    assert "no weights: train" in panel._status.value
    assert ("RuntimeError" in panel._status.value) == isinstance(error, RuntimeError)


def test_refuses_an_empty_dialogue_in_one_line(panel: Summaries) -> None:
    press(panel, "Summarize")
    panel._thread.join(60)
    assert "the dialogue is empty" in panel._status.value
    assert panel._written.value == ""
