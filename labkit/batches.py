"""What a training reads: dialogues and summaries as token ids, in batches of like lengths."""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from labkit.models import Model
from labkit.prompts import LONGEST_SUMMARY, ZERO_SHOT, encode_prompts
from labkit.tasks import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from labkit.token_cache import TokenCache

ENCODING = 1  # count it up when rows are encoded in another way: what is in the cache is then of no use


@dataclass(frozen=True)
class TokenRows:
    """Encoded rows in an order, each read from disk when it is asked for, as torch's DataLoader does.

    Attributes:
        tokens: The rows of the split.
        order: Numbers of rows, as often as they come round.
        tasks: The task of each row of the split, for a method of several tasks.
    """

    tokens: "TokenCache"
    order: "NDArray[Any]"
    tasks: list[int] | None = None

    def __len__(self) -> int:
        """How many rows there are, counted as often as they come round."""
        return len(self.order)

    def __getitem__(self, at: int) -> dict[str, Any]:
        """Token ids, mask and labels, and its task where there are several."""
        row = self.order[at]
        ids = self.tokens[row]
        encoded = ids | {"attention_mask": [1] * len(ids["input_ids"])}
        return encoded if self.tasks is None else encoded | {"task_ids": self.tasks[row]}


def training_rows(model: Model, split: Any, steps: int, size: int, seed: int) -> tuple[TokenRows, int]:
    """All rows of a training in the order they are seen, see `in_order`.

    Args:
        model: Whose tokenizer, length and method count.
        split: Rows with `dialogue` and `summaries`.
        steps: Batches of the training.
        size: Rows a batch.
        seed: For the rows that are seen, where there are more than are wanted, and for their order.

    Returns:
        steps x size rows; and how many rows of the split among them lost turns or the end of their summary.

    Raises:
        LabError: The method has several tasks, and the rows are not of so many.
    """
    import numpy as np

    seen = np.random.default_rng(seed).permutation(len(split))[: steps * size]  # those that datasets' shuffle gives
    rows = kept_rows(model, split, seen)
    order = in_order(rows.tokens.lengths[seen].tolist(), steps, size, seed)
    return replace(rows, order=seen[order]), int(rows.tokens.cut[seen].sum())


def kept_rows(model: Model, split: Any, order: "NDArray[Any] | None" = None) -> TokenRows:
    """Rows of a split from the cache; what it lacks is encoded, some rows at a time, and kept there.

    Args:
        model: Whose tokenizer, length and method count.
        split: Rows with `dialogue` and `summaries`.
        order: Numbers of rows; all rows as they come unless given.

    Raises:
        LabError: The method has several tasks, and the rows are not of so many.
    """
    import numpy as np

    from labkit.token_cache import BLOCK, TokenCache

    order, tasks = np.arange(len(split)) if order is None else order, None
    if getattr(model.method, "tasks", 1) > 1:
        model.method.check_rows(split.select(order))
        tasks = list(split["task"])
    tokens = TokenCache(_name(model.tokenizer, split, BLOCK), len(split), model.room)
    missing = np.sort(order[tokens.lengths[order] == 0])
    if len(missing):
        numbers = (missing[at : at + BLOCK] for at in range(0, len(missing), BLOCK))
        texts = _texts(split.select(missing), BLOCK)
        tokens.add({"row": rows} | _encoded(model, *text) for rows, text in zip(numbers, texts, strict=True))
    return TokenRows(tokens, order, tasks)


def _name(tokenizer: Any, split: Any, size: int) -> str:
    """A name for all that token ids depend on, but for the room: the tokenizer, the prompt and the texts."""
    tokenizer("")  # how the last call truncated and padded is in the tokenizer's JSON, too: here not at all
    how = [version("tokenizers"), tokenizer.backend_tokenizer.to_str(), ZERO_SHOT.text("\n"), LONGEST_SUMMARY, ENCODING]
    digest = hashlib.sha256(json.dumps(how).encode())
    for block in _texts(split, size):
        digest.update(json.dumps(block).encode())
    return digest.hexdigest()[:32]


def _texts(rows: Any, size: int) -> Iterator[tuple[list[str], list[str]]]:
    """Dialogues and first references, some rows at a time."""
    rows = rows.select_columns(["dialogue", "summaries"])
    for at in range(0, len(rows), size):
        block = rows[at : at + size]
        yield block["dialogue"], [references[0] for references in block["summaries"]]


def encode_rows(model: Model, rows: Any) -> tuple[list[dict[str, Any]], int]:
    """Encode prompts and first references, all at once, in memory.

    Args:
        model: Whose tokenizer and length count.
        rows: Rows with `dialogue` and `summaries`.

    Returns:
        Token ids, masks and labels, a dict a row, and with a method of several tasks the row's task; and how many rows
        lost turns or the end of their summary.

    Raises:
        LabError: The method has several tasks, and the rows are not of so many.
    """
    columns = _encoded(model, list(rows["dialogue"]), [references[0] for references in rows["summaries"]])
    encoded = [
        {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels}
        for ids, labels in zip(columns["input_ids"], columns["labels"], strict=True)
    ]
    if getattr(model.method, "tasks", 1) > 1:
        model.method.check_rows(rows)
        encoded = [row | {"task_ids": number} for row, number in zip(encoded, rows["task"], strict=True)]
    return encoded, sum(columns["cut"])


def _encoded(model: Model, dialogues: list[str], summaries: list[str]) -> dict[str, list[Any]]:
    """Token ids of prompts and summaries, and whether each row lost turns or the end of its summary."""
    prompts = encode_prompts(model.tokenizer, dialogues, model.room)
    labels = model.tokenizer(summaries, verbose=False)["input_ids"]
    return {
        "input_ids": prompts.ids,
        "labels": [[*ids[:-1][: LONGEST_SUMMARY - 1], ids[-1]] for ids in labels],
        "cut": [turns > 0 or len(ids) > LONGEST_SUMMARY for turns, ids in zip(prompts.turns_cut, labels, strict=True)],
    }


def encode_tasks(model: Model, tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """Encode tasks of the pre-training and their right answers.

    Args:
        model: Whose tokenizer and length count; a prompt that is too long loses its end, as in the pre-training.
        tasks: What `load_tasks` gave.

    Returns:
        Token ids, masks and labels, a dict a task.
    """
    prompts = model.tokenizer([task.prompt for task in tasks], truncation=True, max_length=model.room)
    answers = model.tokenizer([task.answer for task in tasks], truncation=True, max_length=LONGEST_SUMMARY)
    return [
        {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels}
        for ids, labels in zip(prompts["input_ids"], answers["input_ids"], strict=True)
    ]


def in_order(lengths: list[int], steps: int, size: int, seed: int) -> list[int]:
    """All rows of a training in the order they are seen, batches of like lengths, however often each comes round.

    Trainer draws the order anew in each epoch from the state of dropout's random numbers, which a training that
    was broken off does not come by again; here it is drawn once, up front.

    Args:
        lengths: Tokens of each row's prompt.
        steps: Batches of the training.
        size: Rows a batch.
        seed: For the order.

    Returns:
        Numbers of steps x size rows.
    """
    import torch
    from transformers.trainer_pt_utils import get_length_grouped_indices

    chooser = torch.Generator().manual_seed(seed)
    wanted, order = steps * size, list[int]()
    while len(order) < wanted:
        order += _shuffled(get_length_grouped_indices(lengths, size, generator=chooser), size, chooser)
    return order[:wanted]


def _shuffled(order: list[int], size: int, chooser: Any) -> list[int]:
    """The same batches in another order, since they came the longest first; one that is not full stays last."""
    import torch

    batches = [order[at : at + size] for at in range(0, len(order) - size + 1, size)]
    shuffled = [batches[i] for i in torch.randperm(len(batches), generator=chooser)]
    return [*itertools.chain(*shuffled), *order[len(batches) * size :]]


def collator(model: Model, multiple: int = 8) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    """What makes a batch of encoded rows: padded to a multiple, with -100 as padded labels, which no loss counts.

    It gives what transformers' DataCollatorForSeq2Seq gives, in a fifth of its time.
    """
    import numpy as np
    import torch

    fill = {"input_ids": model.tokenizer.pad_token_id, "attention_mask": 0, "labels": -100}

    def padded(name: str, rows: list[list[int]]) -> Any:
        width = -(-max(map(len, rows)) // multiple) * multiple
        batch = np.full((len(rows), width), fill[name])
        for line, row in zip(batch, rows, strict=True):
            line[: len(row)] = row
        return torch.from_numpy(batch)

    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        return {name: padded(name, each) if name in fill else torch.tensor(each) for name, each in columns.items()}

    return collate
