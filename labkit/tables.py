"""Rows as they lie in a csv, json, jsonl or parquet file, in a folder of such files, or on the Hub, nothing renamed.

The text formats are read here rather than by `datasets`, which guesses types: an id 007 would become 7, the summary
"None" a null, and a broken line would be reported without its number.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labkit.errors import LabError

Rows = list[dict[str, Any]]
SPLITS = ("train", "validation", "test")


def read_file(path: Path) -> Rows:
    """Read one file into a list of rows, column name to value, in the file's order.

    Args:
        path: A .csv (with a header), .jsonl, .json (a list of objects, or one a line) or .parquet file, text in UTF-8;
            text may be compressed, as .jsonl.gz.

    Raises:
        LabError: if the file is missing, empty, of another kind, or broken.
    """
    reader = reader_of(path)
    if reader is None:
        raise LabError(f'"{path.name}" has the unknown extension "{path.suffix}": use {", ".join(READERS)}')
    try:
        path.stat()
        rows = reader(path)
    except OSError as error:
        raise LabError(f'cannot read "{path}": {error.strerror or error}: check the path') from error
    if not rows:
        raise LabError(f'"{path.name}" is empty: it has no rows')
    return rows


def reader_of(path: Path) -> Callable[[Path], Rows] | None:
    """What reads a file of this name; None if nothing does."""
    return READERS.get(Path(path.name.lower().removesuffix(".gz")).suffix)


def read_folder(folder: Path) -> dict[str, Rows]:
    """Read the files named train, validation and test of a folder, those that are there, by split."""
    tables = {}
    for split in SPLITS:
        files = sorted(path for path in folder.glob(f"{split}.*") if reader_of(path))
        if len(files) > 1:
            raise LabError(f'"{folder.name}" has {len(files)} {split} files, {_names(files)}: keep one of them')
        if files:
            tables[split] = read_file(files[0])
    if not tables:
        raise LabError(f'no train, validation or test file ({", ".join(READERS)}) in the folder "{folder}"')
    return tables


def read_hub(name: str) -> dict[str, Rows]:
    """Read all splits of the Hub dataset `name` ("owner/name"), kept in Hugging Face's own cache for the next time."""
    import datasets

    try:
        with _no_progress_bars():
            # datasets 4 and later run no loading scripts, so nothing but data files is ever fetched
            splits = datasets.load_dataset(name)
        return {split: table.to_list() for split, table in splits.items()}
    except Exception as error:  # no network, no such name, gated, a script, a broken file: its first line says which
        raise LabError(
            f'"{name}" is no file or folder here, and the Hub did not give it ({_reason(error)}): '
            'check the name and the network, or use the embedded corpus "nano", which needs none'
        ) from error


def _csv(path: Path) -> Rows:
    # newline="" keeps line breaks inside quotes; strict turns a quote that never closes into an error
    reader = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True)
    rows: Rows = []
    line = 2
    try:
        for row in reader:
            if None in row:
                raise csv.Error("more fields than the header, so quote fields that hold a comma")
            rows.append(row)
            line = reader.line_num + 1
    except csv.Error as error:
        raise LabError(f'"{path.name}" is not a sound csv file, see the row of line {line}: {error}') from error
    return rows


def _json(path: Path) -> Rows:
    text = _text(path)
    listed = text.lstrip().startswith("[")
    found = []
    for line, part in enumerate([text] if listed else text.split("\n")):
        try:
            if part.strip():
                found.append(json.loads(part))
        except json.JSONDecodeError as error:
            at = f"line {line + error.lineno} ({error.msg})"
            raise LabError(f'"{path.name}" is not JSON at {at}: write one object a line, or a list of them') from error
    rows: Rows = found[0] if listed else found
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise LabError(f'"{path.name}" row {number} is no object but {str(row)[:30]!r}: write {{"dialogue": ...}}')
    return rows


def _parquet(path: Path) -> Rows:
    from datasets import Dataset

    try:
        with _no_progress_bars(), tempfile.TemporaryDirectory() as cache:
            rows: Rows = Dataset.from_parquet(str(path), cache_dir=cache, keep_in_memory=True).to_list()
    except Exception as error:  # pyarrow and datasets each have their own
        raise LabError(f'"{path.name}" cannot be read as parquet ({_reason(error.__cause__ or error)})') from error
    return rows


READERS = {".csv": _csv, ".jsonl": _json, ".json": _json, ".parquet": _parquet}


def _text(path: Path) -> str:
    raw = path.read_bytes()
    try:
        raw = gzip.decompress(raw) if path.suffix.lower() == ".gz" else raw
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise LabError(f'"{path.name}" is not sound gzip ({error}): save or download it again') from error
    try:
        return raw.decode("utf-8").removeprefix("\ufeff")  # the mark that spreadsheets write first
    except UnicodeDecodeError as error:
        at = f"byte {error.start} is 0x{raw[error.start]:02x}"
        raise LabError(f'"{path.name}" is not UTF-8: {at}, counted from 0: save it again as UTF-8') from error


def _reason(error: BaseException) -> str:
    """The first line of an exception, after its name."""
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), 'no reason given')}"


def _names(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths)


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    if are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
