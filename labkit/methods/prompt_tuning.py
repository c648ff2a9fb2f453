"""Prompt tuning: freeze the model, and learn vectors in front of the prompt (Lester et al. 2021, arXiv:2104.08691).

[p1][p2] ... [pn]  Summarize the following conversation ...   -> encoder (frozen) -> decoder (frozen)
learned vectors    embeddings of ordinary tokens
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from labkit.errors import LabError
from labkit.methods.base import Method
from labkit.parameters import Shape
from labkit.prompts import BEFORE, LIMIT

INITS = ("vocabulary", "text", "random")


@dataclass(frozen=True)
class PromptTuning(Method):
    """Learn `tokens` virtual tokens in front of the encoder's input.

    Attributes:
        tokens: Virtual tokens, 1 to 256 (20 to 100 are common).
        init: Where they start: "vocabulary" (embeddings of random tokens), "text" (embeddings of `text`, repeated
            to the length), or "random" (normal, with the spread of the embedding table).
        text: The words to start from with init="text".
    """

    name: ClassVar[str] = "prompt-tuning"
    learning_rate: ClassVar[float] = 0.3
    unmergeable: ClassVar[str] = "its virtual tokens are input, and no change of a weight"

    tokens: int = 20
    init: str = "vocabulary"
    text: str = BEFORE.strip()

    def __post_init__(self) -> None:
        """Refuse dials that fit no model."""
        check_tokens(self.tokens)
        if self.init not in INITS:
            raise LabError(f"unknown init {self.init!r}: use one of {', '.join(INITS)}")
        if self.init == "text" and not self.text.strip():
            raise LabError("init='text' needs words to start from: give text='...'")

    @property
    def virtual_tokens(self) -> int:
        """Tokens it puts in front of every prompt."""
        return self.tokens

    def trainable(self, shape: Shape) -> int:
        """One vector of the model's width a token."""
        return self.tokens * shape.d_model

    def apply(self, net: Any, tokenizer: Any, seed: int) -> Any:
        """Wrap `net` with peft's prompt tuning, on the encoder only."""
        import torch
        from peft import PromptTuningConfig, get_peft_model

        config = PromptTuningConfig(
            task_type="SEQ_2_SEQ_LM",
            num_virtual_tokens=self.tokens,
            # peft's default for an encoder-decoder is 2, which allocates a second half that never gets a gradient
            num_transformer_submodules=1,
        )
        table = net.get_input_embeddings().weight.detach()
        chooser = torch.Generator().manual_seed(seed)
        if self.init == "random":
            start = torch.randn(self.tokens, table.shape[1], generator=chooser) * table.std().cpu()
        else:
            start = table[self._start_ids(tokenizer, chooser)]
        peft_net = get_peft_model(net, config)
        with torch.no_grad():
            peft_net.prompt_encoder["default"].embedding.weight.copy_(start)
        return peft_net

    def _start_ids(self, tokenizer: Any, chooser: Any) -> Any:
        import torch

        if self.init == "text":
            ids = tokenizer(self.text, add_special_tokens=False)["input_ids"]
            return torch.tensor([ids[i % len(ids)] for i in range(self.tokens)])
        return random_words(tokenizer, self.tokens, chooser)


def check_tokens(tokens: int) -> None:
    """Raise LabError if there are no virtual tokens, or too many for a dialogue beside them."""
    if tokens < 1:
        raise LabError(f"{tokens} virtual tokens are none: use 1 or more, such as 20")
    if tokens > LIMIT // 2:
        raise LabError(f"{tokens} virtual tokens leave no room for the dialogue: use {LIMIT // 2} at most")


def random_words(tokenizer: Any, count: int, chooser: Any) -> Any:
    """Ids of so many tokens of the vocabulary, special ones left out, drawn by a torch.Generator."""
    import torch

    ordinary = torch.tensor(sorted(set(range(len(tokenizer))) - set(tokenizer.all_special_ids)))
    return ordinary[torch.randint(len(ordinary), (count,), generator=chooser)]
