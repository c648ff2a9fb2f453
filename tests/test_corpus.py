"""The embedded corpus: it comes from its generator, keeps its splits apart, and says what its frames say."""

import gzip
import json
import re
from collections import Counter
from typing import Any

import pytest
from generate_dialogues import FOLDER, REFERENCES, SIZES, as_line, row
from screenplay.engine import OUTCOMES, bucket, common, load_situations, named_pools, pool_values

GENERATED = ("train", "validation", "test")
SPLITS = (*GENERATED, "handwritten")
NAMES = ("first", "woman", "man", "surname")
# names that are also streets, a month, colours and a verb; as values of a slot they are looked at one by one
WORDS_TOO = {"Baker", "Brown", "June", "Lane", "White", "Will"}
Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def lines() -> dict[str, list[str]]:
    packed = (FOLDER / "train.jsonl.gz").read_bytes()
    plain = {split: (FOLDER / f"{split}.jsonl").read_bytes() for split in SPLITS[1:]}
    return {split: text.decode().splitlines() for split, text in ({"train": gzip.decompress(packed)} | plain).items()}


@pytest.fixture(scope="module")
def rows(lines: dict[str, list[str]]) -> Rows:
    return {split: [json.loads(line) for line in lines[split]] for split in SPLITS}


def everything(rows: Rows) -> list[tuple[str, dict[str, Any]]]:
    return [(split, one) for split in SPLITS for one in rows[split]]


@pytest.mark.parametrize("split", GENERATED)
def test_is_what_the_generator_writes_byte_for_byte(split: str, lines: dict[str, list[str]]) -> None:
    situations = load_situations()
    for index in range(21):
        assert as_line(row(situations, split, index)) == lines[split][index]


def test_is_large_enough(rows: Rows) -> None:
    sizes = {split: len(rows[split]) for split in SPLITS}
    assert all(sizes[split] == SIZES[split] for split in GENERATED)
    assert sizes["train"] >= 10_000
    assert sizes["validation"] >= 500
    assert sizes["test"] >= 500
    assert sizes["handwritten"] >= 60


def test_names_every_row_once(rows: Rows) -> None:
    ids = [one["id"] for _, one in everything(rows)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("kind", ["dialogue", "summaries"])
def test_shares_no_text_between_splits(rows: Rows, kind: str) -> None:
    seen: dict[str, str] = {}
    for split, one in everything(rows):
        for text in [one[kind]] if kind == "dialogue" else one[kind]:
            assert seen.setdefault(text, split) == split, text


def test_has_no_dialogue_twice(rows: Rows) -> None:
    counts = Counter(one["dialogue"] for _, one in everything(rows))
    assert [dialogue for dialogue, count in counts.items() if count > 1] == []


def test_no_combination_of_facts_is_in_two_of_the_generated_splits(rows: Rows) -> None:
    frames = {
        split: {f"{one['frame']['situation']} {sorted(one['frame']['details'])}" for one in rows[split]}
        for split in GENERATED
    }
    assert not frames["train"] & (frames["validation"] | frames["test"])
    assert not frames["validation"] & frames["test"]


def test_draws_names_for_one_split_only() -> None:
    for pool in NAMES:
        drawn = [set(pool_values(f"@{pool}", split)) for split in GENERATED]
        assert all(drawn)
        assert sum(map(len, drawn)) == len(set.union(*drawn)) == len(set(named_pools()[pool]))


def test_says_no_name_of_test_or_validation_in_train(rows: Rows) -> None:
    names = {name for pool in NAMES for name in named_pools()[pool]}
    held_out = {name for name in names if bucket(name) != "train"} - WORDS_TOO
    assert len(held_out) > 50
    for one in rows["train"]:
        words = set(re.findall(r"\w+", " ".join([one["dialogue"], *one["summaries"], *one["actions"]])))
        assert not words & held_out, one["id"]


@pytest.mark.parametrize("split", GENERATED)
def test_fills_name_slots_with_names_of_the_split(rows: Rows, split: str) -> None:
    slots = {
        (situation.name, name)
        for situation in load_situations()
        for names, pool in situation.pools + common()[situation.tone].pools
        for name in names
        if pool.removeprefix("@") in NAMES
    }
    values = {
        detail[1]
        for one in rows[split]
        for detail in one["frame"]["details"]
        if (one["frame"]["situation"], detail[0]) in slots
    }
    assert values
    assert {bucket(value) for value in values} == {split}


def test_alternates_between_two_speakers_for_4_to_14_turns(rows: Rows) -> None:
    for _, one in everything(rows):
        turns = [re.fullmatch(r"#Person([12])#: (\S.*\S|\S)", turn) for turn in one["dialogue"].split("\n")]
        assert 4 <= len(turns) <= 14, one["id"]
        assert [turn and turn[1] for turn in turns] == (["1", "2"] * 7)[: len(turns)], one["id"]


def test_has_three_different_references_where_it_is_tested(rows: Rows) -> None:
    for split, one in everything(rows):
        assert len(one["summaries"]) == len(set(one["summaries"])) == REFERENCES.get(split, 3), one["id"]


def test_plays_every_situation_in_every_split(rows: Rows) -> None:
    situations = {situation.name for situation in load_situations()}
    assert len(situations) >= 40
    for split in GENERATED:
        assert {one["frame"]["situation"] for one in rows[split]} == situations


def test_says_every_detail_of_a_frame_in_the_dialogue(rows: Rows) -> None:
    for split in GENERATED:
        for one in rows[split]:
            said = one["dialogue"].lower()  # a value may begin a sentence
            assert all(detail[1].lower() in said for detail in one["frame"]["details"]), one["id"]


def test_has_well_formed_frames_and_actions(rows: Rows) -> None:
    for _, one in everything(rows):
        assert one.keys() == {"id", "dialogue", "summaries", "topic", "frame", "actions"}
        frame = one["frame"]
        assert frame.keys() == {"situation", "outcome", "details"}
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", frame["situation"]), one["id"]
        assert frame["outcome"] in OUTCOMES
        assert all(len(detail) == 2 and detail[1].strip() for detail in frame["details"])
        names = [detail[0] for detail in frame["details"]]
        assert names, one["id"]
        assert len(set(names)) == len(names), one["id"]
        assert all(re.fullmatch(r"#Person[12]#: [a-z].*[^.]", action) for action in one["actions"]), one["id"]
        assert one["topic"].strip()


def test_ends_every_summary_with_a_full_stop_and_leaves_no_template_in_it(rows: Rows) -> None:
    for _, one in everything(rows):
        for text in one["summaries"]:
            assert text.endswith("."), one["id"]
            assert text == " ".join(text.split()), one["id"]
        assert not re.search(r"[{}\[\]|]", " ".join([one["dialogue"], *one["summaries"], *one["actions"]])), one["id"]


def test_cannot_be_summarized_by_copying_the_first_two_turns() -> None:
    from labkit.dialogues import load_dialogues
    from labkit.evaluation import Evaluation, evaluate

    data = load_dialogues("handwritten")
    assert evaluate(None, data, Evaluation(rows=60)).average("rouge1") < 0.35


def test_reads_as_the_package_reads_it(rows: Rows) -> None:
    from labkit.dialogues import load_dialogues

    data = load_dialogues("nano").head(train=20, validation=20)
    assert data.test.num_rows == len(rows["test"])
    assert data.test[0] == rows["test"][0]
    assert data.train[19] == rows["train"][19]


def test_says_an_before_a_vowel(rows: Rows) -> None:
    texts = [text for _, row in everything(rows) for text in (row["dialogue"], *row["summaries"], *row["actions"])]
    assert not [text for text in texts if re.search(r"\b[Aa] (?!one\b|once\b|use|uni|eu)[aeiouAEIOU]", text)]
