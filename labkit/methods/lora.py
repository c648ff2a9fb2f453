"""LoRA: freeze W, and learn a low-rank change of it (Hu et al. 2021, arXiv:2106.09685).

x                     h = W x + (alpha / rank) B A x
+---+-----+
|         A  rank x in    random at the start
W frozen       |
|         B  out x rank   zero at the start, so h starts unchanged
+--- + ---+
h                     afterwards W + (alpha / rank) B A can be merged: no extra time
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from labkit.errors import LabError
from labkit.methods.base import Method
from labkit.parameters import ATTENTION, FEED_FORWARD, Linear, Shape

LINEARS = (*ATTENTION, *FEED_FORWARD)
BIASES = ("none", "all", "lora_only")


@dataclass(frozen=True)
class LoRA(Method):
    """Low-rank adaptation of the linear layers named in `targets`, in encoder and decoder.

    Attributes:
        rank: Width of the bottleneck between A and B, 1 to the width of the narrowest target.
        alpha: The change is scaled by alpha / rank; twice the rank unless given.
        targets: Layers to adapt: some of q, k, v, o, wi_0, wi_1, wo, or "all"; a list or "q,v" will do, too.
        dropout: Share of the input to A that is dropped while training, 0 to below 1.
        bias: Which biases train too: "none", "all" or "lora_only". T5's layers have none, so nothing changes there.
        rslora: Scale by alpha / sqrt(rank) instead (Kalajdzievski 2023, arXiv:2312.03732).
        dora: Learn the length of each output's weights apart from their direction (Liu et al. 2024, arXiv:2402.09353).
    """

    name: ClassVar[str] = "lora"
    learning_rate: ClassVar[float] = 5e-3

    rank: int = 8
    alpha: float | None = None
    targets: tuple[str, ...] = ("q", "v")
    dropout: float = 0.0
    bias: str = "none"
    rslora: bool = False
    dora: bool = False

    def __post_init__(self) -> None:
        """Refuse dials that fit no model."""
        given: Any = self.targets
        targets = given.split(",") if isinstance(given, str) else given
        object.__setattr__(self, "targets", tuple(target.strip() for target in targets))
        unknown = [target for target in self.targets if target not in (*LINEARS, "all")]
        if unknown or not self.targets:
            raise LabError(
                f"unknown LoRA target {', '.join(unknown) or '(none given)'}: use all, or some of {', '.join(LINEARS)}"
            )
        if self.rank < 1:
            raise LabError(f"rank {self.rank} is no rank: use 1 or more, such as 8")
        if self.alpha is not None and not 0 < self.alpha < math.inf:
            raise LabError(f"alpha {self.alpha} is no number above 0: use the rank or twice the rank")
        if not 0 <= self.dropout < 1:
            raise LabError(f"dropout {self.dropout} is no share: use 0 to below 1, such as 0.05")
        if self.bias not in BIASES:
            raise LabError(f"unknown bias {self.bias!r}: use one of {', '.join(BIASES)}")

    def adapted(self, shape: Shape) -> Iterator[Linear]:
        """The linear layers of a model of this shape that are adapted."""
        return (one for one in shape.linears() if one.name in self.targets or "all" in self.targets)

    def check(self, shape: Shape) -> None:
        """Raise LabError if the rank is above the width of a target, where nothing is saved any more."""
        narrowest = min(min(one.inputs, one.outputs) for one in self.adapted(shape))
        if self.rank > narrowest:
            raise LabError(
                f"rank {self.rank} is above {narrowest}, the width of the narrowest target layer: use 1 to {narrowest}"
            )

    def trainable(self, shape: Shape) -> int:
        """A has rank x inputs and B outputs x rank weights; DoRA adds one length an output."""
        return sum(
            self.rank * (one.inputs + one.outputs) + (one.outputs if self.dora else 0) for one in self.adapted(shape)
        )

    def apply(self, net: Any, tokenizer: Any, seed: int) -> Any:
        """Wrap `net` with peft's LoRA."""
        from peft import LoraConfig, get_peft_model

        config = LoraConfig(
            task_type="SEQ_2_SEQ_LM",
            r=self.rank,
            lora_alpha=self.alpha or 2 * self.rank,
            target_modules=list(LINEARS if "all" in self.targets else self.targets),
            lora_dropout=self.dropout,
            bias=self.bias,
            use_rslora=self.rslora,
            use_dora=self.dora,
        )
        return get_peft_model(net, config)
