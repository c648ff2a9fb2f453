"""Dialogues with what every run made of them."""

from dataclasses import replace
from pathlib import Path

import pytest
from handmade import handmade_run

from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.reading.cases import by_rouge, find, read_cases
from labkit.runs import Run


def test_puts_the_summaries_of_all_runs_beside_the_dialogue(tiny_data: Dialogues, tmp_path: Path) -> None:
    a = handmade_run(tmp_path, "a", tiny_data, [f"one {i}" for i in range(6)])
    b = handmade_run(tmp_path, "b", tiny_data, [row["summaries"][1] for row in tiny_data.test])
    cases = read_cases([a, b], tiny_data)
    assert [case.id for case in cases] == list(tiny_data.test["id"])
    assert cases[2].dialogue == tiny_data.test[2]["dialogue"]
    assert cases[2].references == tuple(tiny_data.test[2]["summaries"])
    assert cases[2].summaries == ("one 2", tiny_data.test[2]["summaries"][1])
    for place, run in enumerate((a, b)):
        assert cases[2].rouge[place]["rougeL"] == run.scores.mean["rougeL"][2]


def test_has_the_dialogues_only_that_all_runs_have(tiny_data: Dialogues, tmp_path: Path) -> None:
    runs = [handmade_run(tmp_path, str(n), tiny_data, ["x"] * n) for n in (4, 6)]
    assert len(read_cases(runs, tiny_data)) == 4


def test_finds_text_in_dialogue_reference_and_summary_in_any_case(tiny_data: Dialogues, tmp_path: Path) -> None:
    summaries = ["Zebra", "", "", "", "", ""]
    cases = read_cases([handmade_run(tmp_path, "a", tiny_data, summaries)], tiny_data)
    assert [case.id for case in find(cases, " zebrA")] == ["row_30"]
    friday = [row["id"] for row in tiny_data.test if "Friday" in row["dialogue"]]
    assert 0 < len(friday) < 6
    assert [case.id for case in find(cases, "we meet on FRIDAY")] == friday
    park = [row["id"] for row in tiny_data.test if any("to the park" in text for text in row["summaries"])]
    assert 0 < len(park) < 6
    assert [case.id for case in find(cases, "to the park")] == park
    assert find(cases, "") == cases
    assert find(cases, "no such words") == []


def test_sorts_by_the_rouge_of_one_run(tiny_data: Dialogues, tmp_path: Path) -> None:
    perfect = tiny_data.test[1]["summaries"][0]
    texts = ["nothing at all", perfect, "will", "will meet", "x", "y"]
    runs = [handmade_run(tmp_path, "a", tiny_data, ["x"] * 6), handmade_run(tmp_path, "b", tiny_data, texts)]
    cases = read_cases(runs, tiny_data)
    worst, best = by_rouge(cases, 1), by_rouge(cases, 1, best_first=True)
    assert worst[-1].id == best[0].id == "row_31"
    assert worst[0].rouge[1]["rouge1"] == 0
    assert by_rouge(cases, 0) == cases  # all are as bad: nothing moves


def test_refuses_data_of_the_same_name_and_ids_with_other_texts(tiny_data: Dialogues, tmp_path: Path) -> None:
    run = handmade_run(tmp_path, "a", tiny_data, ["x"])
    changed = replace(tiny_data, test=tiny_data.test.map(lambda row: {"dialogue": row["dialogue"] + "!"}))
    with pytest.raises(LabError, match=r"a was scored on other dialogues than this tiny: give those unchanged"):
        read_cases([run], changed)


def test_refuses_runs_that_share_no_dialogue(tiny_data: Dialogues, tmp_path: Path) -> None:
    run = handmade_run(tmp_path, "a", tiny_data, ["x"])
    (run.folder / "predictions.jsonl").write_text("")
    with pytest.raises(LabError, match=r"no test dialogue of tiny is summarized by every run"):
        read_cases([run], tiny_data)


def test_refuses_an_unfinished_run_and_none(tiny_data: Dialogues, tmp_path: Path) -> None:
    run = handmade_run(tmp_path, "a", tiny_data, ["x"])
    (run.folder / "scores.json").unlink()
    with pytest.raises(LabError, match="the run is not finished"):
        read_cases([Run(run.folder)], tiny_data)
    with pytest.raises(LabError, match="there is no run to read"):
        read_cases([], tiny_data)
