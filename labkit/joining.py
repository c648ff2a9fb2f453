"""Rows of a table, checked and joined to dialogues: what `load_dialogues` does between reading and the three splits."""

import random
import re
from collections.abc import Iterable, Mapping
from typing import Any

from labkit.errors import LabError
from labkit.tables import SPLITS, Rows


def rename(table: Rows, columns: Mapping[str, str], where: str) -> Rows:
    """Bring a table to the columns id, dialogue, summaries and topic, and check that no text is missing."""
    there = dict.fromkeys(column for row in table for column in row)
    many = "summaries" in columns or ("summaries" in there and "summary" not in columns)
    summary = "summaries" if many else "summary"
    for ours, column in {"dialogue": "dialogue", summary: summary, **columns}.items() if table else ():
        if column not in there:
            raise LabError(
                f'{where} lacks the column "{column}", it has {quoted(there)}: '
                f'say which one it is with columns={{"{ours}": ...}} or --columns {ours}=...'
            )
    theirs = {ours: columns.get(ours, ours) for ours in ("id", "dialogue", "topic")} | {
        "summaries": columns.get(summary, summary)
    }
    rows = [
        {ours: row.get(column) for ours, column in theirs.items()} | {"number": number}
        for number, row in enumerate(table, start=1)
    ]
    for ours in ("dialogue", "summaries"):
        bad = [row["number"] for row in rows if not _all_text(row[ours], ours == "summaries")]
        if bad:
            raise LabError(
                f'{where}: "{theirs[ours]}" is empty or not text in {len(bad)} of {len(rows)} rows, '
                f"first in row {bad[0]}: fill or remove them"
            )
    return rows


def group(rows: Rows, where: str) -> Rows:
    """Join the rows of one dialogue, in order, and check that one id belongs to one dialogue."""
    for row in rows:
        row["dialogue"] = row["dialogue"].replace("\r\n", "\n")
        row["id"] = "" if row["id"] is None else str(row["id"])
    # A last number counts the references of a dialogue only where all ids that are alike but for it share one.
    shared: dict[str, set[str]] = {}
    for row in rows:
        shared.setdefault(_stem(row["id"]), set()).add(row["dialogue"])
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    first: dict[str, tuple[str, int]] = {}
    for row in rows:
        stem = _stem(row["id"])
        key = stem if len(shared[stem]) == 1 else row["id"]
        dialogue, number = first.setdefault(key, (row["dialogue"], row["number"]))
        if key and dialogue != row["dialogue"]:
            raise LabError(
                f'{where}: the id "{key}" belongs to two different dialogues, in rows {number} and {row["number"]}: '
                "give each dialogue an id of its own"
            )
        joined = groups.setdefault((key, row["dialogue"]), {**row, "id": key, "summaries": []})
        joined["summaries"] += row["summaries"] if isinstance(row["summaries"], list) else [row["summaries"]]
    return list(groups.values())


def divide(rows: Rows, seed: int, name: str) -> dict[str, Rows]:
    """Split 80/10/10 so that rows with the same dialogue stay together, at least one dialogue in each part."""
    dialogues = list(dict.fromkeys(row["dialogue"] for row in rows))
    if len(dialogues) < 3:
        raise LabError(f'"{name}" has {len(dialogues)} different dialogues, too few to split in three: give 3 or more')
    random.Random(seed).shuffle(dialogues)
    tenth = max(1, len(dialogues) // 10)
    part = dict.fromkeys(dialogues, "train")
    part.update(dict.fromkeys(dialogues[:tenth], "test") | dict.fromkeys(dialogues[tenth : 2 * tenth], "validation"))
    return {split: [row for row in rows if part[row["dialogue"]] == split] for split in SPLITS}


def _stem(identity: str) -> str:
    """The id without the number of the reference: test_0 of test_0_2, but train_0 of train_0."""
    numbered = re.fullmatch(r"(.*_\d+)_\d+", identity)
    return numbered[1] if numbered else identity


def _all_text(value: object, many: bool) -> bool:
    """Whether a text, or with `many` each of one or more, has something in it and can be written as UTF-8."""
    texts = value if many and isinstance(value, list) else [value]
    return bool(texts) and all(
        isinstance(text, str) and text.strip() and text == text.encode(errors="ignore").decode() for text in texts
    )


def quoted(names: Iterable[str]) -> str:
    """Names as an error lists them."""
    return ", ".join(f'"{name}"' for name in names)
