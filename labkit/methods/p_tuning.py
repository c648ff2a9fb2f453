"""P-tuning: a soft prompt that a small network writes (Liu et al. 2021, arXiv:2103.10385).

[e1][e2] ... [en] -> linear, ReLU, linear, ReLU, linear -> [p1][p2] ... [pn]  Summarize the following ...
trained              trained, and dropped afterwards      kept, in front of the prompt
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from labkit.errors import LabError
from labkit.methods.soft_prompt import SoftPrompt
from labkit.parameters import Shape


@dataclass(frozen=True)
class PTuning(SoftPrompt):
    """Learn `tokens` virtual tokens in front of the encoder's input, through a network that they share.

    Attributes:
        tokens: Virtual tokens, 1 to 256 (20 to 100 are common).
        hidden: Width of the network's two inner layers, 1 or more.
    """

    name: ClassVar[str] = "p-tuning"
    learning_rate: ClassVar[float] = 3e-3

    hidden: int = 128

    def __post_init__(self) -> None:
        """Refuse dials that fit no model."""
        super().__post_init__()
        if self.hidden < 1:
            raise LabError(f"hidden {self.hidden} is no width: use 1 or more, such as 128")

    def stored(self, shape: Shape) -> int:
        """What the network wrote in the end: one vector of the model's width a token."""
        return self.tokens * shape.d_model

    def trainable(self, shape: Shape) -> int:
        """A vector a token, and three linear layers with biases."""
        width, hidden = shape.d_model, self.hidden
        return self.tokens * width + (width + 1) * hidden + (hidden + 1) * hidden + (hidden + 1) * width

    def apply(self, net: Any, tokenizer: Any, seed: int) -> Any:
        """Wrap `net` with peft's P-tuning, on the encoder only."""
        from peft import PromptEncoderConfig, get_peft_model

        return get_peft_model(net, PromptEncoderConfig(encoder_hidden_size=self.hidden, **self.peft_settings))
