"""What all soft prompts share: vectors in front of the encoder's input, in the place of words."""

from dataclasses import dataclass
from typing import Any, ClassVar

from labkit.errors import LabError
from labkit.methods.base import Method
from labkit.prompts import LIMIT


@dataclass(frozen=True)
class SoftPrompt(Method):
    """Learn `tokens` virtual tokens in front of the encoder's input.

    Attributes:
        tokens: Virtual tokens, 1 to 256.
    """

    unmergeable: ClassVar[str] = "its virtual tokens are input, and no change of a weight"

    tokens: int = 20

    def __post_init__(self) -> None:
        """Refuse none, and too many for a dialogue beside them."""
        super().__post_init__()
        if self.tokens < 1:
            raise LabError(f"{self.tokens} virtual tokens are none: use 1 or more, such as 20")
        if self.tokens > LIMIT // 2:
            raise LabError(f"{self.tokens} virtual tokens leave no room for the dialogue: use {LIMIT // 2} at most")

    @property
    def virtual_tokens(self) -> int:
        """Tokens it puts in front of every prompt."""
        return self.tokens

    @property
    def peft_settings(self) -> dict[str, Any]:
        """What the configs that peft has for soft prompts are given, all of them."""
        return {
            "task_type": "SEQ_2_SEQ_LM",
            "num_virtual_tokens": self.tokens,
            # peft's default for an encoder-decoder is 2, which allocates a second half that never gets a gradient
            "num_transformer_submodules": 1,
        }


def random_words(tokenizer: Any, count: int, chooser: Any) -> Any:
    """Ids of so many tokens of the vocabulary, special ones left out, drawn by a torch.Generator."""
    import torch

    ordinary = torch.tensor(sorted(set(range(len(tokenizer))) - set(tokenizer.all_special_ids)))
    return ordinary[torch.randint(len(ordinary), (count,), generator=chooser)]
