"""Dialogues: what the sources give, how rows become dialogues, and the line that each mistake gets."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub.errors
import pytest

from labkit import dialogues
from labkit.dialogues import SPLITS, lead, load_dialogues, turns
from labkit.errors import LabError

Row = dict[str, Any]


def rows(count: int, start: int = 0) -> list[Row]:
    return [
        {"id": f"d{i}", "dialogue": f"#Person1#: Hi {i}.\n#Person2#: Bye.", "summary": f"Summary {i}.", "topic": "t"}
        for i in range(start, start + count)
    ]


def jsonl(path: Path, table: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in table), encoding="utf-8")
    return path


def ids(data: dialogues.Dialogues) -> dict[str, list[str]]:
    return {split: list(getattr(data, split)["id"]) for split in SPLITS}


def all_ids(data: dialogues.Dialogues) -> list[str]:
    return [identity for split in ids(data).values() for identity in split]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    here = tmp_path / "chats"
    here.mkdir()
    for split, start in zip(SPLITS, (0, 10, 20), strict=True):
        jsonl(here / f"{split}.jsonl", rows(4, start))
    return here


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Makes the Hub give these tables, or fail with this exception."""

    def answer(outcome: Any) -> None:
        def load_dataset(name: str) -> Any:
            if isinstance(outcome, Exception):
                raise outcome
            return datasets.DatasetDict({split: datasets.Dataset.from_list(t) for split, t in outcome.items()})

        monkeypatch.setattr(datasets, "load_dataset", load_dataset)

    return answer


# What the sources give


def test_a_folder_gives_its_three_files_as_splits(folder: Path) -> None:
    data = load_dialogues(folder)
    assert repr(data) == 'Dialogues("chats": train 4, validation 4, test 4)'
    assert ids(data)["validation"] == ["d10", "d11", "d12", "d13"]
    assert data.train[0] == {
        "id": "d0",
        "dialogue": "#Person1#: Hi 0.\n#Person2#: Bye.",
        "summaries": ["Summary 0."],
        "topic": "t",
    }


@pytest.mark.parametrize("extension", ["csv", "json", "jsonl", "parquet"])
def test_every_format_gives_the_same_rows(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"chats.{extension}"
    if extension == "csv":
        cells = [[f'"{value}"' for value in row.values()] for row in rows(10)]
        path.write_text("\n".join(",".join(line) for line in [list(rows(1)[0]), *cells]), encoding="utf-8")
    elif extension == "json":
        path.write_text(json.dumps(rows(10), indent=1), encoding="utf-8")
    elif extension == "jsonl":
        jsonl(path, rows(10))
    else:
        datasets.Dataset.from_list(rows(10)).to_parquet(path)
    data = load_dialogues(path)
    assert data.name == f"chats.{extension}"
    assert [len(getattr(data, split)) for split in SPLITS] == [8, 1, 1]
    assert data.fingerprint == load_dialogues(jsonl(tmp_path / "same.jsonl", rows(10))).fingerprint
    assert {file.name for file in tmp_path.iterdir()} == {path.name, "same.jsonl"}  # nothing written beside the data


def test_ids_and_summaries_of_a_csv_file_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "chats.csv"
    path.write_text("\ufeffid,dialogue,summary\r\n" + "".join(f"00{i},Hi {i}.,None\r\n" for i in range(3)), "utf-8")
    data = load_dialogues(path)
    found = [row for split in SPLITS for row in getattr(data, split)]
    assert sorted(row["id"] for row in found) == ["000", "001", "002"]
    assert {row["summaries"][0] for row in found} == {"None"}


def test_line_ends_of_windows_become_plain_ones(tmp_path: Path) -> None:
    data = load_dialogues(jsonl(tmp_path / "a.jsonl", [r | {"dialogue": f"A {r['id']}\r\nB"} for r in rows(3)]))
    assert data.train[0]["dialogue"].endswith("\nB")
    assert "\r" not in data.train[0]["dialogue"]


def test_columns_map_our_names_to_theirs(tmp_path: Path) -> None:
    table = [{"text": r["dialogue"], "short": r["summary"], "fname": r["id"]} for r in rows(3)]
    path = jsonl(tmp_path / "a.jsonl", table)
    data = load_dialogues(path, columns={"dialogue": "text", "summary": "short", "id": "fname"})
    assert sorted(all_ids(data)) == ["d0", "d1", "d2"]
    assert data.test[0]["topic"] == ""


def test_a_hub_dataset_is_fetched_by_name(hub: Callable[[Any], None]) -> None:
    hub({"train": rows(3), "validation": rows(2, 3), "test": rows(1, 5)})
    assert repr(load_dialogues("owner/chats")) == 'Dialogues("owner/chats": train 3, validation 2, test 1)'


def test_progress_bars_are_off_while_the_hub_is_read_and_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def load_dataset(name: str) -> datasets.DatasetDict:
        seen.append(datasets.utils.are_progress_bars_disabled())
        return datasets.DatasetDict(train=datasets.Dataset.from_list(rows(3)))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    load_dialogues("owner/chats")
    assert seen == [True]
    assert not datasets.utils.are_progress_bars_disabled()


def test_the_handwritten_dialogues_are_a_test_split_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dialogues").mkdir()
    frame = {"situation": "a_call", "outcome": "agreed", "details": [["time", "six"]]}
    extra = {"frame": frame, "actions": ["#Person1#: call at six"]}
    kept = [{"summaries": [row.pop("summary")], **row, **extra} for row in rows(5)]
    jsonl(tmp_path / "dialogues" / "handwritten.jsonl", kept)
    monkeypatch.setattr(dialogues, "DATA", tmp_path)
    data = load_dialogues("handwritten")
    assert repr(data) == 'Dialogues("handwritten": train 0, validation 0, test 5)'
    assert data.train.column_names == data.test.column_names
    assert data.test[0]["frame"] == frame


def test_the_embedded_corpora_are_whole_and_share_no_dialogue_between_splits() -> None:
    nano, handwritten = load_dialogues(), load_dialogues("handwritten")
    parts = [nano.train, nano.validation, nano.test, handwritten.test]
    assert all(len(part) > 0 and len(set(part["id"])) == len(part) for part in parts)
    assert all(summary.strip() for part in parts for several in part["summaries"] for summary in several)
    texts = [set(part["dialogue"]) for part in parts]
    assert len(set.union(*texts)) == sum(map(len, texts))


# How rows become dialogues


def test_three_reference_rows_of_dialogsum_become_one_dialogue(hub: Callable[[Any], None]) -> None:
    test = [
        {"id": f"test_{d}_{r}", "dialogue": f"D{d}", "summary": f"S{d}{r}", "topic": f"t{r}"}
        for d in range(2)
        for r in (1, 2, 3)
    ]
    train = [{"id": f"train_{d}", "dialogue": f"T{d}", "summary": "S", "topic": "t"} for d in range(3)]
    hub({"train": train, "validation": rows(1), "test": test})
    data = load_dialogues("knkarthick/dialogsum")
    assert data.test.to_list() == [
        {"id": "test_0", "dialogue": "D0", "summaries": ["S01", "S02", "S03"], "topic": "t1"},
        {"id": "test_1", "dialogue": "D1", "summaries": ["S11", "S12", "S13"], "topic": "t1"},
    ]
    assert ids(data)["train"] == ["train_0", "train_1", "train_2"]


def test_ids_that_end_in_numbers_are_left_alone_where_their_dialogues_differ(hub: Callable[[Any], None]) -> None:
    test = [{"id": f"chat_0_{r}", "dialogue": d, "summary": "S"} for r, d in ((1, "Hi"), (2, "Hi"), (3, "Bye"))]
    hub({"train": rows(1), "validation": rows(1), "test": test})
    assert ids(load_dialogues("o/n"))["test"] == ["chat_0_1", "chat_0_2", "chat_0_3"]


def test_numbers_in_ids_are_left_alone_where_no_dialogue_is_shared(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [r | {"id": f"chat_2024_{i}"} for i, r in enumerate(rows(3))])
    assert sorted(all_ids(load_dialogues(path))) == ["chat_2024_0", "chat_2024_1", "chat_2024_2"]


def test_rows_with_one_id_and_dialogue_are_joined_in_order(folder: Path) -> None:
    jsonl(folder / "test.jsonl", [rows(1)[0] | {"summary": s} for s in "ab"] + [rows(2)[1]])
    assert list(load_dialogues(folder).test["summaries"]) == [["a", "b"], ["Summary 1."]]


def test_a_list_of_summaries_is_kept_as_it_is(folder: Path) -> None:
    jsonl(folder / "test.jsonl", [{"dialogue": "A", "summaries": ["x", "y"]}, {"dialogue": "B", "summaries": "z"}])
    assert list(load_dialogues(folder).test["summaries"]) == [["x", "y"], ["z"]]


def test_missing_ids_are_made_from_the_split_and_the_first_row(folder: Path) -> None:
    jsonl(folder / "test.jsonl", [{"dialogue": d, "summary": "S"} for d in ("A", "A", "B")])
    assert ids(load_dialogues(folder))["test"] == ["test_1", "test_3"]


def test_a_single_file_is_split_80_10_10_by_dialogue(tmp_path: Path) -> None:
    # 31 rows, 30 dialogues: row 31 says the same as row 1 under another id, so 3 and 3 dialogues leave 24 for training
    data = load_dialogues(jsonl(tmp_path / "a.jsonl", [*rows(30), rows(1)[0] | {"id": "again"}]))
    texts = {split: set(getattr(data, split)["dialogue"]) for split in SPLITS}
    assert [len(texts[split]) for split in SPLITS] == [24, 3, 3]
    assert len(set.union(*texts.values())) == 30
    assert len(all_ids(data)) == 31


def test_three_dialogues_give_one_to_each_split(tmp_path: Path) -> None:
    data = load_dialogues(jsonl(tmp_path / "a.jsonl", rows(3)))
    assert [len(getattr(data, split)) for split in SPLITS] == [1, 1, 1]


def test_the_seed_decides_the_split(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", rows(30))
    assert ids(load_dialogues(path, seed=1)) == ids(load_dialogues(path, seed=1))
    assert ids(load_dialogues(path, seed=1)) != ids(load_dialogues(path, seed=2))


# What a Dialogues can do


def test_the_fingerprint_is_the_same_on_any_machine(tmp_path: Path) -> None:
    # computed once with sha256sum over the three JSON lists of this data, written out by hand
    table = {"train": "A", "validation": "B", "test": "C"}
    for split, text in table.items():
        jsonl(tmp_path / f"{split}.jsonl", [{"id": text, "dialogue": text, "summaries": ["é"]}])
    assert load_dialogues(tmp_path).fingerprint == "afb3bde83d800d1f"


@pytest.mark.parametrize("change", [{"id": "other"}, {"dialogue": "other"}, {"summary": "other"}])
def test_the_fingerprint_changes_with_the_data(folder: Path, change: Row) -> None:
    before = load_dialogues(folder).fingerprint
    jsonl(folder / "test.jsonl", [*rows(3, 20), rows(1, 23)[0] | change])
    assert load_dialogues(folder).fingerprint != before


def test_the_fingerprint_does_not_depend_on_the_topic(folder: Path) -> None:
    before = load_dialogues(folder).fingerprint
    jsonl(folder / "test.jsonl", [row | {"topic": "other"} for row in rows(4, 20)])
    assert load_dialogues(folder).fingerprint == before


def test_head_keeps_the_first_rows(folder: Path) -> None:
    few = load_dialogues(folder).head(train=2, test=0)
    assert ids(few) == {"train": ["d0", "d1"], "validation": ["d10", "d11", "d12", "d13"], "test": []}
    assert few.fingerprint != load_dialogues(folder).fingerprint


def test_head_keeps_all_where_there_are_fewer(folder: Path) -> None:
    assert len(load_dialogues(folder).head(train=99).train) == 4


def test_turns_are_the_lines_that_are_not_blank() -> None:
    assert turns("#Person1#: Hi.\r\n\n  #Person2#: Bye. \n") == ["#Person1#: Hi.", "#Person2#: Bye."]


def test_lead_copies_the_first_turns_with_their_speakers() -> None:
    assert lead("#Person1#: Hi.\n#Person2#: Hello.\n#Person1#: Bye.") == "#Person1#: Hi. #Person2#: Hello."
    assert lead("#Person1#: Hi.\n#Person2#: Hello.", count=1) == "#Person1#: Hi."


# The line that each mistake gets


def refused(line: str, source: Any, **options: Any) -> None:
    with pytest.raises(LabError, match=re.escape(line)) as caught:
        load_dialogues(source, **options)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    refused('none.csv": No such file or directory: check the path', tmp_path / "none.csv")


@pytest.mark.parametrize("text", ["", "id,dialogue,summary\n"])
def test_an_empty_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    refused('"a.csv" is empty: it has no rows', tmp_path / "a.csv")


@pytest.mark.parametrize("extension", ["csv", "jsonl"])
def test_the_byte_that_is_not_utf8_is_told(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    path.write_bytes(b"caf\xe9")  # Latin-1: c a f are bytes 0, 1, 2
    refused("is not UTF-8: byte 3 is 0xe9, counted from 0: save it again as UTF-8", path)


def test_a_missing_column_is_named_with_those_there_are(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"text": "A", "summary": "S"}])
    line = '"a.jsonl" lacks the column "dialogue", it has "text", "summary": say which one it is with '
    refused(line + 'columns={"dialogue": ...} or --columns dialogue=...', path)
    refused('lacks the column "words", it has "text", "summary"', path, columns={"dialogue": "words"})
    refused('lacks the column "fname"', path, columns={"dialogue": "text", "id": "fname"})


def test_a_column_that_labkit_does_not_use_is_refused(tmp_path: Path) -> None:
    refused('columns maps "speaker", which labkit does not use: map "id", "dialogue"', "nano", columns={"speaker": "x"})


def test_reads_a_file_that_is_compressed(tmp_path: Path) -> None:
    plain = jsonl(tmp_path / "a.jsonl", rows(10))
    packed = tmp_path / "b.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert load_dialogues(packed).fingerprint == load_dialogues(plain).fingerprint
    packed.write_bytes(gzip.compress(plain.read_bytes())[:-9])
    refused('"b.jsonl.gz" is not sound gzip (Compressed file ended', packed)
    packed.write_bytes(plain.read_bytes())
    refused('"b.jsonl.gz" is not sound gzip (Not a gzipped file', packed)


@pytest.mark.parametrize("value", [None, "", " \n", 7, [], ["fine", ""], [None], "\ud800"])
def test_rows_without_a_summary_are_counted_and_the_first_is_told(tmp_path: Path, value: Any) -> None:
    path = jsonl(tmp_path / "a.jsonl", [r | {"summary": value} if i in (1, 3) else r for i, r in enumerate(rows(5))])
    refused('"a.jsonl": "summary" is empty or not text in 2 of 5 rows, first in row 2: fill or remove them', path)


@pytest.mark.parametrize("value", [None, "", ["a", "b"]])
def test_rows_without_a_dialogue_are_counted_under_their_own_column_name(folder: Path, value: Any) -> None:
    for split in SPLITS:
        jsonl(folder / f"{split}.jsonl", [{"text": value if split == "test" else "A", "summary": "S"}])
    line = '"chats" (test): "text" is empty or not text in 1 of 1 rows, first in row 1'
    refused(line, folder, columns={"dialogue": "text"})


def test_an_unknown_extension_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Hi")
    refused('"a.txt" has the unknown extension ".txt": use .csv, .jsonl, .json, .parquet', tmp_path / "a.txt")


def test_an_unknown_name_is_answered_with_what_there_is() -> None:
    refused(
        'unknown dialogues "nono": use "nano", "handwritten" (embedded), a Hub dataset as "owner/name", a file', "nono"
    )


@pytest.mark.parametrize(
    "failure",
    [
        ConnectionError("Couldn't reach 'owner/chats' on the Hub\nsecond line"),
        huggingface_hub.errors.OfflineModeIsEnabled("offline"),
        huggingface_hub.errors.LocalEntryNotFoundError("no local entry"),
        datasets.exceptions.DatasetNotFoundError("Dataset 'owner/chats' doesn't exist on the Hub"),
        RuntimeError("Dataset scripts are no longer supported, but found chats.py"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_without_the_hub_the_line_names_the_embedded_corpus(hub: Callable[[Any], None], failure: Exception) -> None:
    hub(failure)
    line = f'"owner/chats" is no file or folder here, and the Hub did not give it ({type(failure).__name__}: '
    refused(line + str(failure).splitlines()[0], "owner/chats")
    refused('or use the embedded corpus "nano", which needs none', "owner/chats")


def test_an_id_of_two_dialogues_is_refused(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [r | {"id": 5} for r in rows(2)])
    refused('"a.jsonl": the id "5" belongs to two different dialogues, in rows 1 and 2', path)


def test_fewer_than_three_dialogues_cannot_be_split(tmp_path: Path) -> None:
    line = '"a.jsonl" has 2 different dialogues, too few to split in three: give 3 or more'
    refused(line, jsonl(tmp_path / "a.jsonl", rows(2)))


def test_a_missing_split_is_named(folder: Path) -> None:
    (folder / "validation.jsonl").unlink()
    refused('"chats" has the splits "train", "test" but not "validation": give train, validation and test', folder)


def test_two_files_for_one_split_are_refused(folder: Path) -> None:
    (folder / "test.csv").touch()
    refused('"chats" has 2 test files, test.csv, test.jsonl: keep one of them', folder)


def test_a_folder_without_splits_is_refused(tmp_path: Path) -> None:
    refused("no train, validation or test file (.csv, .jsonl, .json, .parquet) in the folder", tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.jsonl", '{"id": 1}\n\n{"id": }\n', '"a.jsonl" is not JSON at line 3 (Expecting value)'),
        ("a.json", "[{},\n}]", '"a.json" is not JSON at line 2 ('),
        ("a.jsonl", '{"id": 1}\n"Hi"\n', "\"a.jsonl\" row 2 is no object but 'Hi'"),
        (
            "a.csv",
            'id,dialogue\n1,"Hi\n',
            '"a.csv" is not a sound csv file, see the row of line 2: unexpected end of data',
        ),
        ("a.csv", "id,dialogue\n1,Hi, you\n", "see the row of line 2: more fields than the header, so quote fields"),
        ("a.parquet", "no parquet", '"a.parquet" cannot be read as parquet ('),
    ],
)
def test_a_broken_file_is_refused_with_the_place(tmp_path: Path, name: str, text: str, line: str) -> None:
    (tmp_path / name).write_text(text)
    refused(line, tmp_path / name)


def test_a_negative_number_of_rows_is_refused(folder: Path) -> None:
    with pytest.raises(LabError, match=re.escape("head(test=-1) asks for a negative number of rows")):
        load_dialogues(folder).head(test=-1)


def test_a_lead_of_no_turns_is_refused() -> None:
    with pytest.raises(LabError, match="lead copies 0 turns: copy 1 or more"):
        lead("#Person1#: Hi.", count=0)


# The other task: what has to be done next


def test_action_items_take_the_place_of_the_summary() -> None:
    data = load_dialogues("nano").head(train=40)
    actions = data.action_items()
    assert actions.name == "nano (actions)"
    kept = [row for row in data.train.to_list() if row["actions"]]
    assert 0 < len(kept) < 40
    for one, row in zip(actions.train.to_list(), kept, strict=True):
        assert one == row | {"summaries": ["; ".join(row["actions"])]}
    assert len(actions.test) == sum(map(bool, data.test["actions"]))


def test_another_task_is_other_data() -> None:
    data = load_dialogues("handwritten")
    actions = data.action_items()
    assert (len(actions.train), len(actions.validation)) == (0, 0)
    assert actions.fingerprint != data.fingerprint
    assert all(re.fullmatch(r"#Person[12]#: .+", summary) for (summary,) in actions.test["summaries"])


def test_dialogues_without_action_items_have_no_such_task(folder: Path) -> None:
    with pytest.raises(LabError, match=r'^"chats" has no action items: use one of "nano", "handwritten", which have$'):
        load_dialogues(folder).action_items()
