"""Bottleneck adapters: freeze the model, and learn small networks behind or beside its layers.

after (Houlsby et al. 2019, arXiv:1902.00751)        parallel (He et al. 2022, arXiv:2110.04366)
x -> layer -> h --+-------------> + -> h'            x --+-> layer -------------> + -> h'
                  +-> down bend up |                     +-> down bend up --------|
                      d -> width -> d                        up starts at zero, so h' starts as h
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from labkit.errors import LabError
from labkit.methods.base import Method
from labkit.parameters import Shape

ATTENTIONS, FEED_FORWARD = ("SelfAttention", "EncDecAttention"), ("DenseReluDense",)
PLACES = {"houlsby": (*ATTENTIONS, *FEED_FORWARD), "pfeiffer": FEED_FORWARD, "parallel": FEED_FORWARD}


@dataclass(frozen=True)
class Bottleneck(Method):
    """Learn an adapter of two matrices with a bend (ReLU) between them, in every layer of encoder and decoder.

    Attributes:
        width: Numbers in the narrow place between the matrices, 1 or more.
        place: "houlsby" (behind each attention and each feed-forward layer), "pfeiffer" (behind each feed-forward
            layer, arXiv:2005.00247), or "parallel" (beside each feed-forward layer).
    """

    name: ClassVar[str] = "bottleneck"
    learning_rate: ClassVar[float] = 1.5e-2
    tuner: ClassVar[str] = "bottleneck"
    unmergeable: ClassVar[str] = "the bend between its matrices is no change of a weight"

    width: int = 16
    place: str = "houlsby"

    def __post_init__(self) -> None:
        """Refuse dials that fit no model."""
        super().__post_init__()
        if self.width < 1:
            raise LabError(f"width {self.width} is no bottleneck: use 1 or more, such as 16")
        if self.place not in PLACES:
            raise LabError(f"unknown place {self.place!r}: use one of {', '.join(PLACES)}")

    def check(self, shape: Shape) -> None:
        """Raise LabError if it is no bottleneck, being as wide as the model."""
        if self.width >= shape.d_model:
            raise LabError(f"width {self.width} is no bottleneck in a model of {shape.d_model}: use less than that")

    def trainable(self, shape: Shape) -> int:
        """Two matrices of width x d_model in each place, without biases, as everywhere in T5."""
        attentions = shape.layers + 2 * shape.decoder_layers if self.place == "houlsby" else 0
        return 2 * self.width * shape.d_model * (attentions + shape.layers + shape.decoder_layers)

    def apply(self, net: Any, tokenizer: Any, seed: int) -> Any:
        """Wrap `net` with adapters of our own, which peft saves and switches like its own."""
        from peft import get_peft_model

        from labkit.tuners.bottleneck import BottleneckConfig

        config = BottleneckConfig(
            task_type="SEQ_2_SEQ_LM",
            target_modules=list(PLACES[self.place]),
            width=self.width,
            parallel=self.place == "parallel",
        )
        return get_peft_model(net, config)
