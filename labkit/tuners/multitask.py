"""Multitask prompt tuning in peft's manner: peft's own, which also knows its task where nobody tells it."""

from typing import Any

import torch
from peft import PeftType
from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.multitask_prompt_tuning import MultitaskPromptEmbedding


class TaskPrompt(MultitaskPromptEmbedding):  # type: ignore[misc]
    """The prompt of each task: a prompt that all share, times a matrix of its own.

    peft's refuses to compute without task numbers, which a summary of one dialogue comes without.

    Attributes:
        task: The one that is meant where a batch names none.
    """

    task = 0

    def forward(self, indices: Any, task_ids: Any = None) -> Any:
        """The prompts of a batch, shape (rows, tokens, width)."""
        numbers = torch.full(indices.shape[:1], self.task, device=indices.device) if task_ids is None else task_ids
        return super().forward(indices, numbers)


PEFT_TYPE_TO_TUNER_MAPPING[PeftType.MULTITASK_PROMPT_TUNING] = TaskPrompt
