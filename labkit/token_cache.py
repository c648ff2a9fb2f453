"""Token ids on disk, read from there row by row: what was encoded once is not encoded again, nor held in memory.

<cache>/tokens/<name>/<any>.arrow   some rows of one split by one tokenizer, in blocks, as Arrow IPC

A training encodes the rows that it will see and finds missing, and adds a file of them, so that all seeds and methods
share what any of them encoded. Files are never changed, and one that is broken or gone only costs the time to encode
its rows again. The cache is the user's cache folder, or where LABKIT_CACHE says.
"""

import contextlib
import mmap
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from labkit.paths import cache_folder

IDS = ("input_ids", "labels")
SCHEMA = pa.schema(
    {
        "row": pa.int32(),  # its number in the split
        **dict.fromkeys(IDS, pa.list_(pa.int32())),
        "cut": pa.bool_(),  # whether it lost turns, or the end of its summary
        "room": pa.int32(),  # tokens that its prompt was given
    }
)
BLOCK = 256  # rows
UNUSED = 30 * 24 * 3600  # seconds after which a file goes


class Block(NamedTuple):
    """Where the ids of some rows lie: those of row i are values[offsets[i]:offsets[i + 1]]."""

    pages: mmap.mmap
    ids: dict[str, tuple[Any, Any]]


class TokenCache:
    """The encoded rows of one split.

    Attributes:
        lengths: Tokens of each row's prompt; 0 where it was not encoded yet.
        cut: Whether each row lost turns, or the end of its summary.
    """

    def __init__(self, name: str, rows: int, room: int):
        """Open what is there.

        Args:
            name: Of all that the ids depend on, but for the room.
            rows: Of the split.
            room: Tokens that a prompt may take.
        """
        self.folder, self.room = cache_folder() / "tokens" / name, room
        self.lengths, self.cut = np.zeros(rows, np.int32), np.zeros(rows, bool)
        self._blocks: list[Block] = []
        self._block, self._at = np.zeros(rows, np.int32), np.zeros(rows, np.int32)
        for file in self.folder.glob("*.arrow"):
            try:
                self._open(file)
            except (OSError, ValueError, IndexError, pa.ArrowException):
                with contextlib.suppress(OSError):  # gone, since another process found it unused
                    file.unlink()

    def __len__(self) -> int:
        """Rows of the split, encoded or not."""
        return len(self.lengths)

    def __getitem__(self, row: int) -> dict[str, list[int]]:
        """The input_ids and labels of a row."""
        pages, ids = self._blocks[self._block[row]]
        at = self._at[row]
        found = {name: values[offsets[at] : offsets[at + 1]].tolist() for name, (offsets, values) in ids.items()}
        pages.madvise(mmap.MADV_DONTNEED)  # else all that was ever read counts as memory of this process
        return found

    def add(self, blocks: Iterable[dict[str, Any]]) -> None:
        """Keep some more rows; two processes may do so at a time.

        Args:
            blocks: Columns row, input_ids, labels and cut of some rows each, of which one is in memory at a time.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".part", delete=False) as part:
            try:
                with pa.ipc.new_file(part, SCHEMA) as sink:
                    for block in blocks:
                        columns = block | {"room": [self.room] * len(block["row"])}
                        sink.write_batch(pa.RecordBatch.from_pydict(columns, schema=SCHEMA))
                part.close()
                file = Path(part.name).rename(Path(part.name).with_suffix(".arrow"))
            except BaseException:
                Path(part.name).unlink(missing_ok=True)
                raise
        self._open(file)
        _remove_unused(self.folder.parent)

    def _open(self, file: Path) -> None:
        with file.open("rb") as opened:
            pages = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        table = pa.ipc.open_file(pa.py_buffer(pages)).read_all()
        table.validate(full=True)
        if table.schema != SCHEMA:
            raise ValueError(f"{file} holds other columns")
        with contextlib.suppress(OSError):  # a cache that may only be read
            os.utime(file)
        for batch in table.to_batches():
            ids = {name: (batch[name].offsets.to_numpy(), batch[name].values.to_numpy()) for name in IDS}
            rows, cut, room = (batch[name].to_numpy(zero_copy_only=False) for name in ("row", "cut", "room"))
            lengths = np.diff(ids["input_ids"][0])
            # a row that lost nothing is the same in any room that it fits into
            fit = np.where(cut, room == self.room, lengths <= self.room)
            rows, at = rows[fit], np.flatnonzero(fit)
            self.lengths[rows], self.cut[rows] = lengths[fit], cut[fit]
            self._block[rows], self._at[rows] = len(self._blocks), at
            self._blocks.append(Block(pages, ids))
        pages.madvise(mmap.MADV_DONTNEED)


def _remove_unused(folder: Path) -> None:
    for file in folder.glob("*/*"):
        with contextlib.suppress(OSError):
            if time.time() - file.stat().st_mtime > UNUSED:
                file.unlink()
