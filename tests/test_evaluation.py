"""Scoring on the test split: lead-2 by hand, and what a run keeps."""

from pathlib import Path

import pytest

from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.evaluation import Evaluation, evaluate
from labkit.generation import summarize
from labkit.models import Model
from labkit.rouge import score
from labkit.runs import Run


def one_row(data: Dialogues, dialogue: str, summaries: list[str]) -> Dialogues:
    from datasets import Dataset

    row = {"id": "a", "dialogue": dialogue, "summaries": summaries, "topic": ""}
    return Dialogues("hand", data.train, data.validation, Dataset.from_list([row]))


def test_scores_the_first_two_turns_as_worked_out_by_hand(tiny_data: Dialogues) -> None:
    dialogue = "#Person1#: Tea at six?\n#Person2#: Yes.\n#Person1#: Bring cake."
    data = one_row(tiny_data, dialogue, ["Tea at six.", "Person1 wants cake."])
    scores = evaluate(None, data)
    # copied: person1 tea at six person2 yes, 6 words ("#" and ":" are no words)
    # reference 1: tea at six, 3 words, 3 in common: precision 3/6, recall 3/3, F = 2/3
    # reference 2: person1 want cake, 3 words, 1 in common: precision 1/6, recall 1/3, F = 2/9
    assert scores.average("rouge1") == pytest.approx((2 / 3 + 2 / 9) / 2)
    assert scores.average("rouge1", "max") == pytest.approx(2 / 3)
    # reference 1 has 2 pairs of words, both among the 5 copied: precision 2/5, recall 1, F = 4/7; reference 2 has none
    assert scores.average("rouge2") == pytest.approx(4 / 7 / 2)
    assert scores.words.tolist() == [6]


def test_scores_what_the_model_writes_against_all_references(tiny: Model, tiny_data: Dialogues) -> None:
    scores = evaluate(tiny, tiny_data)
    rows = tiny_data.test
    expected = score(rows["id"], summarize(tiny, list(rows["dialogue"])), rows["summaries"])
    assert scores.to_json() == expected.to_json()


def test_takes_the_first_rows_only_if_told_so(tiny_data: Dialogues) -> None:
    assert evaluate(None, tiny_data, Evaluation(rows=4)).ids == tuple(tiny_data.test["id"][:4])
    assert evaluate(None, tiny_data, Evaluation(rows=400)).ids == tuple(tiny_data.test["id"])


def test_keeps_predictions_scores_and_results_in_the_run(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.start({"method": None})
    done: list[int] = []
    scores = evaluate(
        tiny, tiny_data, Evaluation(max_new_tokens=5), run=run, results={"trainable": 7}, progress=done.append
    )
    assert run.scores.to_json() == scores.to_json()
    assert run.results["trainable"] == 7
    assert run.results["generation_seconds"] >= 0
    assert [row["id"] for row in run.predictions] == list(tiny_data.test["id"])
    assert [row["summary"] for row in run.predictions] == summarize(
        tiny, list(tiny_data.test["dialogue"]), max_new_tokens=5
    )
    assert done == [6]


def test_refuses_data_without_test_rows(tiny_data: Dialogues) -> None:
    with pytest.raises(LabError, match="tiny has no test rows"):
        evaluate(None, tiny_data.head(test=0))


@pytest.mark.parametrize("dial", ["rows", "beams", "max_new_tokens"])
@pytest.mark.parametrize("value", [0, -1])
def test_refuses_a_number_below_one(dial: str, value: int) -> None:
    with pytest.raises(LabError, match=f"{dial} is {value}: use 1 or more"):
        Evaluation(**{dial: value})
