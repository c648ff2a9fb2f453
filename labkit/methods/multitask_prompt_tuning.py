"""Multitask prompt tuning: one soft prompt for all tasks, which each changes a little (Wang et al. 2023, 2303.02861).

prompt of a task = P * (U V)       P: tokens x width, all tasks share it
                                   U: tokens x rank and V: rank x width, each task has its own; * is number by number
[p1][p2] ... [pn]  Summarize the following conversation ...  -> encoder (frozen) -> decoder (frozen)
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from labkit.errors import LabError
from labkit.methods.soft_prompt import SoftPrompt, random_words
from labkit.parameters import Shape


@dataclass(frozen=True)
class MultitaskPromptTuning(SoftPrompt):
    """Learn `tokens` virtual tokens in front of the encoder's input, as a shared part times a part of each task.

    Attributes:
        tokens: Virtual tokens, 1 to 256 (20 to 100 are common).
        tasks: Tasks that are learned at once, from rows that `Dialogues.with_task` joined.
        num_ranks: Rank of what each task has of its own, 1 to the number of tokens.
    """

    name: ClassVar[str] = "multitask-prompt-tuning"
    learning_rate: ClassVar[float] = 0.3

    tasks: int = 1
    num_ranks: int = 1

    def __post_init__(self) -> None:
        """Refuse dials that fit no model."""
        super().__post_init__()
        if self.tasks < 1:
            raise LabError(f"{self.tasks} tasks are none: use 1 or more")
        if not 1 <= self.num_ranks <= self.tokens:
            raise LabError(f"num_ranks {self.num_ranks} is no rank of {self.tokens} tokens: use 1 to {self.tokens}")

    def check_rows(self, rows: Any) -> None:
        """Raise LabError if the rows are of fewer or more tasks."""
        there = len(set(rows["task"])) if "task" in rows.column_names else 1
        if there != self.tasks > 1:
            raise LabError(
                f"{self.label} learns {self.tasks} tasks, and the rows are of {there}: "
                "join as many with data.with_task(data.action_items())"
            )

    def trainable(self, shape: Shape) -> int:
        """The shared prompt, and two thin matrices a task."""
        return self.tokens * shape.d_model + self.tasks * self.num_ranks * (self.tokens + shape.d_model)

    def apply(self, net: Any, tokenizer: Any, seed: int) -> Any:
        """Wrap `net` with peft's multitask prompt tuning, on the encoder only."""
        import torch
        from peft import MultitaskPromptTuningConfig, get_peft_model

        import labkit.tuners.multitask  # noqa: F401  so that peft takes ours

        config = MultitaskPromptTuningConfig(num_tasks=self.tasks, num_ranks=self.num_ranks, **self.peft_settings)
        peft_net = get_peft_model(net, config)
        prompt = peft_net.prompt_encoder["default"]
        words = random_words(tokenizer, self.tokens, torch.Generator().manual_seed(seed))
        with torch.no_grad():
            # every task starts as the words themselves; peft's start, a product of three small numbers, is next to 0
            prompt.embedding.weight.copy_(net.get_input_embeddings().weight[words])
            prompt.prefix_task_cols[..., 0] = 1
            prompt.prefix_task_rows.zero_()[:, 0] = 1
        return peft_net


def choose_task(model: Any, task: int) -> None:
    """Have a model with multitask prompt tuning do another of its tasks from now on.

    Args:
        model: The model, which is changed.
        task: The task's number, from 0 on.

    Raises:
        LabError: It has no such task.
    """
    method = model.method
    if not isinstance(method, MultitaskPromptTuning):
        label = method.label if method else model.name
        raise LabError(f"{label} has no tasks to choose from: give a model with multitask prompt tuning")
    if not 0 <= task < method.tasks:
        raise LabError(f"{model.name} has {method.tasks} tasks to choose from, and no number {task}: count from 0 on")
    model.net.prompt_encoder["default"].task = task
