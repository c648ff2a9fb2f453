"""The cache of encoded rows: it gives what encoding gives, encodes nothing twice, and is never in the way."""

import gc
import os
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from transformers import DataCollatorForSeq2Seq, PreTrainedTokenizerFast

import labkit.batches
from labkit.batches import collator, encode_rows, in_order, kept_rows, training_rows
from labkit.dialogues import Dialogues
from labkit.methods import MultitaskPromptTuning, PromptTuning
from labkit.models import Model
from labkit.prompts import Prompt
from labkit.token_cache import UNUSED, TokenCache


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tokens"


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The dialogues that were encoded, one after the other."""
    seen, encode = list[str](), labkit.batches._encoded

    def watched(model: Model, dialogues: list[str], summaries: list[str]) -> Any:
        seen.extend(dialogues)
        return encode(model, dialogues, summaries)

    monkeypatch.setattr(labkit.batches, "_encoded", watched)
    return seen


def many(split: Any, count: int) -> Any:
    """So many rows, no two of them alike."""
    rows = [split[number % len(split)] for number in range(count)]
    return Dataset.from_list([row | {"dialogue": f"{row['dialogue']} {n}"} for n, row in enumerate(rows)])


@pytest.mark.parametrize("steps", [3, 40], ids=["some rows", "all rows, several times"])
def test_a_training_reads_the_rows_of_a_shuffle_in_batches_of_like_lengths(
    tiny: Model, tiny_data: Dialogues, steps: int
) -> None:
    split = many(tiny_data.train, 300)
    rows, cut = training_rows(tiny, split, steps, 16, seed=5)
    shuffled, _ = encode_rows(tiny, split.shuffle(seed=5).select(range(min(300, steps * 16))))
    order = in_order([len(row["input_ids"]) for row in shuffled], steps, 16, seed=5)
    assert [rows[at] for at in range(len(rows))] == [shuffled[number] for number in order]
    assert cut == 0


def test_a_row_of_several_tasks_keeps_its_own(tiny: Model, tiny_data: Dialogues) -> None:
    model = replace(tiny, method=MultitaskPromptTuning(tokens=5, tasks=2))
    both = tiny_data.with_task(tiny_data).train
    rows, _ = training_rows(model, both, 3, 16, seed=0)
    again = [row for row in encode_rows(model, both)[0] if row["task_ids"] == 1]
    assert sum(row["task_ids"] for row in rows) == 24
    assert all(row in again for row in rows if row["task_ids"] == 1)


def test_seeds_and_methods_encode_no_row_twice(tiny: Model, tiny_data: Dialogues, encoded: list[str]) -> None:
    for seed in range(20):
        for model in (tiny, replace(tiny, method=PromptTuning(tokens=7))):
            training_rows(model, tiny_data.train, 2, 4, seed)
    assert sorted(encoded) == sorted(tiny_data.train["dialogue"])


def test_a_row_that_was_cut_is_cut_anew_for_another_room(tiny: Model, tiny_data: Dialogues, encoded: list[str]) -> None:
    split = tiny_data.train.select(range(3)).to_list()
    split[1]["dialogue"] += "\n" + "tea " * 600
    for tokens in (5, 9, 5):
        model = replace(tiny, method=PromptTuning(tokens=tokens))
        rows = kept_rows(model, Dataset.from_list(split))
        assert list(rows) == encode_rows(model, Dataset.from_list(split))[0]
        assert rows.tokens.cut.tolist() == [False, True, False]
    assert len(encoded) == 3 + 1 + 3 * 3  # the last are those of encode_rows


def test_other_texts_tokenizers_and_prompts_have_files_of_their_own(
    tiny: Model, tiny_data: Dialogues, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = tiny_data.train
    kept_rows(tiny, split)
    tiny.tokenizer(["tea"], truncation=True, max_length=5, padding="max_length")  # leaves traces in its JSON
    kept_rows(tiny, split)
    assert len(list(cache.iterdir())) == 1
    kept_rows(tiny, split.select(range(5)))
    kept_rows(tiny, split.map(lambda row: {"summaries": [row["summaries"][0] + "!"]}))
    for name, value in (("LONGEST_SUMMARY", 5), ("ZERO_SHOT", Prompt("Shorten this.")), ("ENCODING", 0)):
        with monkeypatch.context() as patch:
            patch.setattr(labkit.batches, name, value)
            kept_rows(tiny, split)
    grown = PreTrainedTokenizerFast.from_pretrained(tiny.name)
    grown.add_tokens(["teapot"])
    kept_rows(replace(tiny, tokenizer=grown), split)
    assert len(list(cache.iterdir())) == 7


@pytest.mark.parametrize("damage", [b"", b"ARROW1", None], ids=["emptied", "overwritten", "cut short"])
def test_a_damaged_file_is_made_again(
    tiny: Model, tiny_data: Dialogues, cache: Path, encoded: list[str], damage: bytes | None
) -> None:
    kept_rows(tiny, tiny_data.train)
    (file,) = cache.glob("*/*")
    file.write_bytes(file.read_bytes()[:-99] if damage is None else damage)
    assert list(kept_rows(tiny, tiny_data.train)) == encode_rows(tiny, tiny_data.train)[0]
    assert len(encoded) == 3 * 24
    assert not file.exists()


def test_two_processes_may_keep_rows_at_a_time(cache: Path) -> None:
    first, second = TokenCache("name", 3, 512), TokenCache("name", 3, 512)
    for store, row in ((first, 0), (second, 0), (second, 2)):
        store.add([{"row": [row], "input_ids": [[5, row]], "labels": [[1]], "cut": [False]}])
    both = TokenCache("name", 3, 512)
    assert both.lengths.tolist() == [2, 0, 2]
    assert [both[row]["input_ids"] for row in (0, 2)] == [[5, 0], [5, 2]]


def test_what_is_broken_off_leaves_nothing(cache: Path) -> None:
    def blocks() -> Any:
        yield {"row": [0], "input_ids": [[5]], "labels": [[1]], "cut": [False]}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        TokenCache("name", 1, 512).add(blocks())
    assert not list(cache.glob("*/*"))


def test_files_that_nobody_used_for_a_month_go_and_others_stay(cache: Path) -> None:
    block = {"row": [0], "input_ids": [[5]], "labels": [[1]], "cut": [False]}
    for name in ("old", "used"):
        TokenCache(name, 1, 512).add([block])
        (file,) = (cache / name).iterdir()
        os.utime(file, times=(time.time() - UNUSED - 60,) * 2)
    TokenCache("used", 1, 512)
    TokenCache("new", 1, 512).add([block])
    assert {file.parent.name for file in cache.glob("*/*")} == {"used", "new"}


def test_without_a_folder_that_can_be_written_rows_are_kept_while_python_runs(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoded: list[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path / "file" / "cache"))
    for _ in range(2):
        kept_rows(tiny, tiny_data.train)
    assert len(encoded) == 24


def test_a_training_takes_little_memory_for_each_row_more(tiny: Model, tiny_data: Dialogues) -> None:
    def peak(count: int) -> int:
        split = many(tiny_data.train, count)
        gc.collect()
        tracemalloc.start()
        rows, _ = training_rows(tiny, split, count // 16, 16, seed=0)
        for row in rows:
            assert row["labels"]
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(300)  # libraries that are loaded on the way
    small, large = peak(512), peak(2048)
    assert (large - small) / (2048 - 512) < 150  # bytes, of row numbers; in lists, 60 tokens and their masks take 1,000


def test_pads_as_transformers_does(tiny: Model, tiny_data: Dialogues) -> None:
    rows = [row | {"task_ids": number} for number, row in enumerate(encode_rows(tiny, tiny_data.train)[0])]
    for multiple in (8, 64):
        ours = collator(tiny, multiple)(rows)
        theirs = DataCollatorForSeq2Seq(tiny.tokenizer, label_pad_token_id=-100, pad_to_multiple_of=multiple)(
            [dict(row) for row in rows]
        )
        assert ours.keys() == theirs.keys()
        for name, batch in ours.items():
            np.testing.assert_array_equal(batch, theirs[name])
            assert batch.dtype == theirs[name].dtype
