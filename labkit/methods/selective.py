"""Selective fine-tuning: train some of the model's own weights, and leave the others as they are.

by part       encoder, decoder, attention, cross-attention, feed-forward, head
by layer      the last ones of a stack, or those that are named
by kind       matrices, layer norms, position biases (T5 has no others; BitFit trains biases, arXiv:2106.10199)
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from labkit.errors import LabError
from labkit.methods import places
from labkit.methods.base import Method
from labkit.parameters import ATTENTION, FEED_FORWARD, Shape, shape_of_net
from labkit.parameters import PARTS as PARTS_OF_A_LAYER

PARTS = {"all": "", **places.PARTS, "head": "^lm_head"}
KINDS = ("all", "matrices", "norms", "position-biases")


class Module(NamedTuple):
    """A module of T5 without modules inside: its name, its layer of how many, and its size."""

    name: str
    layer: int | None
    layers: int | None
    kind: str
    weights: int


@dataclass(frozen=True)
class Selective(Method):
    """Train a copy of the chosen weights, so that it can be switched off; the embedding table is never among them.

    Attributes:
        part: all, encoder, decoder, attention, cross-attention, feed-forward or head.
        layers: "all", "last 2", or numbers from 0 on as "0,2"; norms behind the last layer belong to all only.
        weights: all, matrices, norms or position-biases.
    """

    name: ClassVar[str] = "selective"
    learning_rate: ClassVar[float] = 3e-3

    part: str = "decoder"
    layers: str = "last 1"
    weights: str = "all"

    def __post_init__(self) -> None:
        """Refuse dials that fit no model."""
        super().__post_init__()
        if self.part not in PARTS:
            raise LabError(f"unknown part {self.part!r}: use one of {', '.join(PARTS)}")
        places.check_layers(self.layers)
        if "bias" in self.weights and self.weights not in KINDS:
            raise LabError(
                f"weights={self.weights!r} trains nothing, T5's layers have no biases: use norms, or position-biases"
            )
        if self.weights not in KINDS:
            raise LabError(f"unknown weights {self.weights!r}: use one of {', '.join(KINDS)}")
        if self.part == "head" and self.layers not in ("all", type(self).layers):
            raise LabError(f"layers={self.layers!r} has no effect on the head, which is in no layer: leave it out")

    def chosen(self, shape: Shape) -> list[Module]:
        """The modules that are trained, in a model of this shape."""
        return [
            module
            for module in _modules(shape)
            if re.search(PARTS[self.part], module.name)
            and self.weights in ("all", module.kind)
            and (self.part == "head" or self._in_layers(module))
        ]

    def _in_layers(self, module: Module) -> bool:
        if module.layer is None or module.layers is None:
            return self.layers == "all"
        return places.in_layers(self.layers, module.layer, module.layers)

    def check(self, shape: Shape) -> None:
        """Raise LabError if a layer is named that is not there, or nothing is left to train."""
        if self.part == "head" and shape.tied_head:
            raise LabError(
                "the head of this model is its embedding table, which cannot be trained alone: use another part"
            )
        places.check_layers_there(self.layers, shape)
        if not self.chosen(shape):
            raise LabError(f"{self.label} leaves nothing to train: choose another part, other layers or other weights")

    def trainable(self, shape: Shape) -> int:
        """All of the chosen modules."""
        return sum(module.weights for module in self.chosen(shape))

    def apply(self, net: Any, tokenizer: Any, seed: int) -> Any:
        """Wrap `net` with peft's layer-norm tuning, which trains copies of modules of any kind."""
        from peft import LNTuningConfig, get_peft_model

        modules = [module.name for module in self.chosen(shape_of_net(net))]
        return get_peft_model(net, LNTuningConfig(task_type="SEQ_2_SEQ_LM", target_modules=modules))


def _modules(shape: Shape) -> Iterator[Module]:
    sizes = {one.name: one.inputs * one.outputs for one in shape.linears()}
    for stack, layers in shape.stacks.items():
        for layer in range(layers):
            for number, part in enumerate(PARTS_OF_A_LAYER[stack]):
                place = f"{stack}.block.{layer}.layer.{number}"
                for name in FEED_FORWARD if part == "DenseReluDense" else ATTENTION:
                    yield Module(f"{place}.{part}.{name}", layer, layers, "matrices", sizes[name])
                if number == layer == 0:
                    biases = shape.position_biases // 2
                    yield Module(f"{place}.{part}.relative_attention_bias", layer, layers, "position-biases", biases)
                yield Module(f"{place}.layer_norm", layer, layers, "norms", shape.d_model)
        yield Module(f"{stack}.final_layer_norm", None, None, "norms", shape.d_model)
    if not shape.tied_head:
        yield Module("lm_head", None, None, "matrices", shape.vocabulary * shape.d_model)
