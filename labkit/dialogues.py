"""Dialogues with their reference summaries, from the embedded corpus, the Hub, or the user's own file.

rows ----------> columns renamed --> rows of one dialogue --> train / validation / test:
(labkit.tables)  and checked         joined: 1+ summaries     given, or 80/10/10 by dialogue
                 (labkit.joining)
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.errors import LabError
from labkit.joining import divide, group, quoted, rename
from labkit.paths import DATA
from labkit.tables import READERS, SPLITS, Rows, read_file, read_folder, read_hub, reader_of

if TYPE_CHECKING:
    from datasets import Dataset

EMBEDDED = ("nano", "handwritten")
COLUMNS = ("id", "dialogue", "summary", "summaries", "topic")


@dataclass(frozen=True)
class Dialogues:
    """A corpus in three splits.

    Each split is a `datasets.Dataset` with the columns id (str), dialogue (str, one turn a line), summaries (list of
    one or more reference summaries) and topic (str, "" where unknown). The embedded corpus also has frame (situation,
    outcome and details) and actions (who has to do what next).

    Example:
        >>> load_dialogues("nano").head(train=100).train[0]["summaries"]
    """

    name: str
    train: Dataset
    validation: Dataset
    test: Dataset

    def __repr__(self) -> str:
        return f'Dialogues("{self.name}": ' + ", ".join(f"{s} {len(getattr(self, s)):,}" for s in SPLITS) + ")"

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of SHA-256 over id, dialogue, summaries and, if there are several, the task of all rows."""
        digest = hashlib.sha256()
        for split in SPLITS:
            data = getattr(self, split)
            known = [name for name in ("id", "dialogue", "summaries", "task") if name in data.column_names]
            data = data.select_columns(known)
            digest.update(f'["{split}", ['.encode())  # one list as JSON, some rows in memory at a time
            for at in range(0, len(data), 1000):
                columns = data[at : at + 1000]
                rows = json.dumps(list(zip(*(columns[name] for name in known), strict=True)))
                digest.update((", " * (at > 0) + rows[1:-1]).encode())
            digest.update(b"]]")
        return digest.hexdigest()[:16]

    def head(self, train: int | None = None, validation: int | None = None, test: int | None = None) -> Dialogues:
        """Give the first rows only.

        Args:
            train: How many rows of this split to keep, or all that there are if fewer; None keeps all.
            validation: The same for this split.
            test: The same for this split.

        Raises:
            LabError: if a number is negative.
        """
        kept = []
        for split, count in zip(SPLITS, (train, validation, test), strict=True):
            rows = getattr(self, split)
            if count is not None and count < 0:
                raise LabError(f"head({split}={count}) asks for a negative number of rows: use 0 or more")
            kept.append(rows if count is None else rows.select(range(min(count, len(rows)))))
        return Dialogues(self.name, *kept)

    def action_items(self) -> Dialogues:
        """Give the same dialogues with another task: to write down who has to do what next.

        Returns:
            Rows with one reference, the action items joined ("#Person1#: call Ann; #Person2#: wait until Saturday"),
            under the name "nano (actions)"; dialogues without action items are left out.

        Raises:
            LabError: if the dialogues have no column of action items.
        """
        if "actions" not in self.train.column_names:
            raise LabError(f'"{self.name}" has no action items: use one of {quoted(EMBEDDED)}, which have')
        return Dialogues(f"{self.name} (actions)", *(_with_actions(getattr(self, split)) for split in SPLITS))

    def with_task(self, other: Dialogues) -> Dialogues:
        """Give two tasks as one corpus, for `MultitaskPromptTuning(tasks=2)`.

        Args:
            other: The second task; the result can be joined with a third.

        Returns:
            Train and validation rows of both by turns, with the number of their task in a column more, and the test
            rows of the first task alone, since a score is of one task.

        Example:
            >>> load_dialogues("nano").with_task(load_dialogues("nano").action_items())
        """
        train, validation = (_by_turns(getattr(self, split), getattr(other, split)) for split in SPLITS[:2])
        return Dialogues(f"{self.name} + {other.name}", train, validation, self.test)


def load_dialogues(
    source: str | PathLike[str] = "nano", *, columns: Mapping[str, str] | None = None, seed: int = 0
) -> Dialogues:
    """Load dialogues and their summaries.

    Rows of one dialogue with the same id, or with DialogSum's ids test_0_1, test_0_2, test_0_3, become one row with
    several summaries, under the first row's topic. Rows without an id are joined by their dialogue, and named after
    the split and the first row's number.

    Args:
        source: "nano" (embedded), "handwritten" (embedded, a test split only), a Hub dataset as "owner/name", a .csv,
            .jsonl, .json or .parquet file (text also as .gz), or a folder with such files named train, validation and
            test. Where there is one table only, it is split 80/10/10 by dialogue.
        columns: Our column names (id, dialogue, summary or summaries, topic) to those of the source.
        seed: Of the shuffle before one table is split.

    Returns:
        The three splits.

    Raises:
        LabError: if the source cannot be found or read, or its rows are not dialogues with summaries.

    Example:
        >>> load_dialogues("chats.csv", columns={"dialogue": "text", "summary": "short"})
        Dialogues("chats.csv": train 80, validation 10, test 10)
    """
    columns = columns or {}
    if unknown := set(columns) - set(COLUMNS):
        raise LabError(f"columns maps {quoted(sorted(unknown))}, which labkit does not use: map {quoted(COLUMNS)}")
    if source in EMBEDDED:
        if columns:
            raise LabError(f"the embedded {source} has its columns already: leave columns out")
        return _embedded(str(source))
    path = Path(os.path.expanduser(source))  # Path.expanduser fails on a user that is not there
    name = path.resolve().name if path.exists() else str(source)
    tables = _read(str(source), path)
    parts = {}
    for split, table in tables.items():
        where = f'"{name}"' if len(tables) == 1 else f'"{name}" ({split})'
        parts[split] = group(rename(table, columns, where), where)
    if set(parts) == {"train"}:
        parts = divide(parts["train"], seed, name)
    if missing := set(SPLITS) - set(parts):
        raise LabError(
            f'"{name}" has the splits {quoted(parts)} but not {quoted(sorted(missing))}: '
            "give train, validation and test, or train alone, which is then split 80/10/10"
        )
    return Dialogues(name, *(_dataset(split, parts[split]) for split in SPLITS))


def _by_turns(rows: Dataset, others: Dataset) -> Dataset:
    from datasets import concatenate_datasets

    tasks = list(rows["task"]) if "task" in rows.column_names else [0] * len(rows)
    both = concatenate_datasets(
        [part.select_columns(["id", "dialogue", "summaries", "topic"]) for part in (rows, others)]
    )
    both = both.add_column("task", tasks + [max(tasks) + 1] * len(others))
    return both.select(sorted(range(len(both)), key=lambda i: i if i < len(rows) else i - len(rows)))


def _with_actions(rows: Dataset) -> Dataset:
    from datasets import Dataset

    kept = [row | {"summaries": ["; ".join(row["actions"])]} for row in rows.to_list() if row["actions"]]
    return Dataset.from_dict({name: [row[name] for row in kept] for name in rows.features}, features=rows.features)


def turns(dialogue: str) -> list[str]:
    """Give the turns of a dialogue: its lines that are not blank."""
    return [line.strip() for line in dialogue.split("\n") if line.strip()]


def lead(dialogue: str, count: int = 2) -> str:
    r"""Summarize by copying the first `count` turns, speakers and all: the baseline that every model should beat.

    Example:
        >>> lead("#Person1#: Hi.\n#Person2#: Hello.\n#Person1#: Bye.")
        '#Person1#: Hi. #Person2#: Hello.'
    """
    if count < 1:
        raise LabError(f"lead copies {count} turns: copy 1 or more")
    return " ".join(turns(dialogue)[:count])


def _embedded(name: str) -> Dialogues:
    """The corpus that travels with labkit; its rows also carry their event frame and action items."""
    from datasets import Dataset, Features, Value

    text = Value("string")
    frame = {"situation": text, "outcome": text, "details": [[text]]}  # details: pairs of name and value
    features = Features(id=text, dialogue=text, summaries=[text], topic=text, frame=frame, actions=[text])
    folder = DATA / "dialogues"
    tables = read_folder(folder) if name == "nano" else {"test": read_file(folder / "handwritten.jsonl")}
    columns = [{column: [row[column] for row in tables.get(split, [])] for column in features} for split in SPLITS]
    return Dialogues(name, *(Dataset.from_dict(each, features=features) for each in columns))


def _read(source: str, path: Path) -> dict[str, Rows]:
    if path.is_dir():
        return read_folder(path)
    if path.exists() or reader_of(path):
        return {"train": read_file(path)}
    if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", source):
        return read_hub(source)
    raise LabError(
        f'unknown dialogues "{source}": use {quoted(EMBEDDED)} (embedded), a Hub dataset as "owner/name", '
        f"a file ({', '.join(READERS)}), or a folder with train, validation and test files"
    )


def _dataset(split: str, rows: Rows) -> Dataset:
    from datasets import Dataset, Features, Value

    text = Value("string")
    return Dataset.from_dict(
        {
            "id": [row["id"] or f"{split}_{row['number']}" for row in rows],
            "dialogue": [row["dialogue"] for row in rows],
            "summaries": [row["summaries"] for row in rows],
            "topic": [str(row["topic"] or "") for row in rows],
        },
        features=Features(id=text, dialogue=text, summaries=[text], topic=text),
    )
