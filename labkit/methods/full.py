"""Full fine-tuning: every weight is trained.

W  ->  W + dW        as many new numbers as the model has, for every task
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from labkit.methods.base import Method
from labkit.parameters import Shape


@dataclass(frozen=True)
class FullFineTuning(Method):
    """Train every weight of the model."""

    name: ClassVar[str] = "full"
    learning_rate: ClassVar[float] = 1e-3
    unmergeable: ClassVar[str] = "it is one plain network already"

    def trainable(self, shape: Shape) -> int:
        """All of them."""
        return shape.total

    def added(self, shape: Shape) -> int:
        """None is new."""
        return 0

    def apply(self, net: Any, tokenizer: Any, seed: int) -> Any:
        """Let every weight train."""
        return net.requires_grad_(True)
