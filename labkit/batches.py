"""What a training reads: dialogues and summaries as token ids, in batches of like lengths."""

import itertools
from collections.abc import Sequence
from typing import Any

from labkit.models import Model
from labkit.prompts import LONGEST_SUMMARY, encode_prompts
from labkit.tasks import Task


def encode_rows(model: Model, rows: Any) -> tuple[list[dict[str, Any]], int]:
    """Encode prompts and first references.

    Args:
        model: Whose tokenizer and length count.
        rows: Rows with `dialogue` and `summaries`.

    Returns:
        Token ids, masks and labels, a dict a row, and with a method of several tasks the row's task; and how many rows
        lost turns or the end of their summary.

    Raises:
        LabError: The method has several tasks, and the rows are not of so many.
    """
    prompts = encode_prompts(model.tokenizer, list(rows["dialogue"]), model.room)
    labels = model.tokenizer([references[0] for references in rows["summaries"]], verbose=False)["input_ids"]
    cut = sum(turns > 0 or len(ids) > LONGEST_SUMMARY for turns, ids in zip(prompts.turns_cut, labels, strict=True))
    encoded = [
        {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": [*label[:-1][: LONGEST_SUMMARY - 1], label[-1]]}
        for ids, label in zip(prompts.ids, labels, strict=True)
    ]
    if getattr(model.method, "tasks", 1) > 1:
        model.method.check_rows(rows)
        encoded = [row | {"task_ids": number} for row, number in zip(encoded, rows["task"], strict=True)]
    return encoded, cut


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


def in_order(rows: list[dict[str, Any]], steps: int, size: int, seed: int) -> list[dict[str, Any]]:
    """All rows of a training in the order they are seen, batches of like lengths, however often each comes round.

    Trainer draws the order anew in each epoch from the state of dropout's random numbers, which a training that
    was broken off does not come by again; here it is drawn once, up front.

    Args:
        rows: What `encode_rows` gave.
        steps: Batches of the training.
        size: Rows a batch.
        seed: For the order.

    Returns:
        steps x size rows.
    """
    import torch
    from transformers.trainer_pt_utils import get_length_grouped_indices

    chooser = torch.Generator().manual_seed(seed)
    lengths, wanted, order = [len(row["input_ids"]) for row in rows], steps * size, list[int]()
    while len(order) < wanted:
        order += _shuffled(get_length_grouped_indices(lengths, size, generator=chooser), size, chooser)
    return [rows[index] for index in order[:wanted]]


def _shuffled(order: list[int], size: int, chooser: Any) -> list[int]:
    """The same batches in another order, since they came the longest first; one that is not full stays last."""
    import torch

    batches = [order[at : at + size] for at in range(0, len(order) - size + 1, size)]
    shuffled = [batches[i] for i in torch.randperm(len(batches), generator=chooser)]
    return [*itertools.chain(*shuffled), *order[len(batches) * size :]]


def collator(model: Model, multiple: int = 8) -> Any:
    """What makes a batch of encoded rows: padded to a multiple, with -100 as padded labels, which no loss counts."""
    from transformers import DataCollatorForSeq2Seq

    return DataCollatorForSeq2Seq(model.tokenizer, label_pad_token_id=-100, pad_to_multiple_of=multiple)
