"""The models of a comparison summarize a dialogue of the learner's own."""

from pathlib import Path
from typing import Any

import pytest
from handmade import handmade_run

import labkit.reading.writers
from labkit.comparison import Comparison, Entry
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.generation import summarize
from labkit.models import Model
from labkit.reading.writers import Writers

DIALOGUE = "#Person1#: Hello Ben, can we meet?\n#Person2#: At six.\n#Person1#: Bye."


@pytest.fixture
def table(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> Comparison:
    lead = handmade_run(tmp_path, "lead", tiny_data, ["x"])
    model = {"name": tiny.name}
    how = {"rows": None, "beams": 1, "max_new_tokens": 4}
    base = handmade_run(
        tmp_path, "base", tiny_data, ["x"], method=None, model=model, loaded={"revision": tiny.revision}, evaluation=how
    )
    return Comparison(tiny.name, "tiny", (Entry("lead-2", "lead-2", (lead,)), Entry("base", "base", (base,))))


def test_each_model_writes_as_it_was_scored(table: Comparison, tiny: Model) -> None:
    lead, base = Writers(table, tiny).summarize(DIALOGUE)
    assert lead == ("lead-2", "#Person1#: Hello Ben, can we meet? #Person2#: At six.", 0)
    assert base == ("base", summarize(tiny, [DIALOGUE], max_new_tokens=4)[0], 0)
    assert base.summary != summarize(tiny, [DIALOGUE], max_new_tokens=8)[0]


def test_models_are_opened_once(table: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    real = labkit.reading.writers.open_run
    monkeypatch.setattr(
        labkit.reading.writers, "open_run", lambda run, base=None: opened.append(base) or real(run, base)
    )
    writers = Writers(table)
    assert list(writers.summarize(DIALOGUE)) == list(writers.summarize(DIALOGUE))
    assert len(opened) == 2  # once as the base of all, once as a line of the table, which loads nothing
    assert opened[0] is None
    assert opened[1] is not None


def test_tells_of_turns_that_a_model_had_no_room_for(table: Comparison, tiny: Model) -> None:
    lead, base = Writers(table, tiny).summarize(DIALOGUE.replace("At six", "Hello " * 600))
    assert (lead.turns_cut, base.turns_cut) == (0, 2)


@pytest.mark.parametrize("dialogue", ["", " \n "])
def test_refuses_an_empty_dialogue(table: Comparison, dialogue: str) -> None:
    with pytest.raises(LabError, match="the dialogue is empty: write at least one turn"):
        next(Writers(table).summarize(dialogue))
