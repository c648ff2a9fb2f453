"""Layer-norm tuning: train the layer norms and nothing else (Zhao et al. 2023, arXiv:2312.11420).

norm(x) = w * x / rms(x)      w is a factor for each of the numbers that describe a token; T5's norms have no bias
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from labkit.methods.base import Method
from labkit.parameters import Shape

NORMS = ("layer_norm", "final_layer_norm")


@dataclass(frozen=True)
class LayerNormTuning(Method):
    """Train a copy of every layer norm, in encoder and decoder."""

    name: ClassVar[str] = "layer-norm"
    learning_rate: ClassVar[float] = 5e-2

    def trainable(self, shape: Shape) -> int:
        """Two norms an encoder layer, three a decoder layer, and one at the end of each."""
        return shape.d_model * (2 * shape.layers + 1 + 3 * shape.decoder_layers + 1)

    def apply(self, net: Any, tokenizer: Any, seed: int) -> Any:
        """Wrap `net` with peft's layer-norm tuning."""
        from peft import LNTuningConfig, get_peft_model

        return get_peft_model(net, LNTuningConfig(task_type="SEQ_2_SEQ_LM", target_modules=list(NORMS)))
