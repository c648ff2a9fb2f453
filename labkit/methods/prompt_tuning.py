"""Prompt tuning: freeze the model, and learn vectors in front of the prompt (Lester et al. 2021, arXiv:2104.08691).

[p1][p2] ... [pn]  Summarize the following conversation ...   -> encoder (frozen) -> decoder (frozen)
learned vectors    embeddings of ordinary tokens
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from labkit.errors import LabError
from labkit.methods.soft_prompt import SoftPrompt, random_words
from labkit.parameters import Shape
from labkit.prompts import BEFORE

INITS = ("vocabulary", "text", "random")


@dataclass(frozen=True)
class PromptTuning(SoftPrompt):
    """Learn `tokens` virtual tokens in front of the encoder's input.

    Attributes:
        tokens: Virtual tokens, 1 to 256 (20 to 100 are common).
        init: Where they start: "vocabulary" (embeddings of random tokens), "text" (embeddings of `text`, repeated
            to the length), or "random" (normal, with the spread of the embedding table).
        text: The words to start from with init="text".
    """

    name: ClassVar[str] = "prompt-tuning"
    learning_rate: ClassVar[float] = 0.3

    init: str = "vocabulary"
    text: str = BEFORE.strip()

    def __post_init__(self) -> None:
        """Refuse dials that fit no model."""
        super().__post_init__()
        if self.init not in INITS:
            raise LabError(f"unknown init {self.init!r}: use one of {', '.join(INITS)}")
        if self.init == "text" and not self.text.strip():
            raise LabError("init='text' needs words to start from: give text='...'")
        if self.init != "text" and self.text != BEFORE.strip():
            raise LabError(f"text has no effect with init={self.init!r}: give init='text' with it")

    def trainable(self, shape: Shape) -> int:
        """One vector of the model's width a token."""
        return self.tokens * shape.d_model

    def apply(self, net: Any, tokenizer: Any, seed: int) -> Any:
        """Wrap `net` with peft's prompt tuning, on the encoder only."""
        import torch
        from peft import PromptTuningConfig, get_peft_model

        table = net.get_input_embeddings().weight.detach()
        chooser = torch.Generator().manual_seed(seed)
        if self.init == "random":
            start = torch.randn(self.tokens, table.shape[1], generator=chooser) * table.std().cpu()
        else:
            start = table[self._start_ids(tokenizer, chooser)]
        peft_net = get_peft_model(net, PromptTuningConfig(**self.peft_settings))
        with torch.no_grad():
            peft_net.prompt_encoder["default"].embedding.weight.copy_(start)
        return peft_net

    def _start_ids(self, tokenizer: Any, chooser: Any) -> Any:
        import torch

        if self.init == "text":
            ids = tokenizer(self.text, add_special_tokens=False)["input_ids"]
            return torch.tensor([ids[i % len(ids)] for i in range(self.tokens)])
        return random_words(tokenizer, self.tokens, chooser)
