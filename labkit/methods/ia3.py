"""IA3: freeze the model, and learn factors of keys, values and feed-forward (Liu et al. 2022, arXiv:2205.05638).

k = l_k * (K x)      v = l_v * (V x)      wo (l_ff * gate)      each l starts as ones, so nothing changes at first
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from labkit.methods.base import Method
from labkit.parameters import Shape


@dataclass(frozen=True)
class IA3(Method):
    """Learn one factor for each output of k and v, and for each input of wo, in encoder and decoder."""

    name: ClassVar[str] = "ia3"
    learning_rate: ClassVar[float] = 5e-2

    def trainable(self, shape: Shape) -> int:
        """As many as k and v have outputs and wo has inputs."""
        return sum(
            one.inputs if one.name == "wo" else one.outputs for one in shape.linears() if one.name in ("k", "v", "wo")
        )

    def apply(self, net: Any, tokenizer: Any, seed: int) -> Any:
        """Wrap `net` with peft's IA3."""
        from peft import IA3Config, get_peft_model

        targets = {"target_modules": ["k", "v", "wo"], "feedforward_modules": ["wo"]}
        return get_peft_model(net, IA3Config(task_type="SEQ_2_SEQ_LM", **targets))
