"""Which places of a T5 a dial names: parts such as "decoder", and layers such as "last 2".

encoder.block.0.layer.1.DenseReluDense.wo      part: encoder, feed-forward      layer: 0
"""

import re
from collections.abc import Iterable

from labkit.errors import LabError
from labkit.parameters import Shape

# what the name of a module in a part says
PARTS = {
    "encoder": r"^encoder\.",
    "decoder": r"^decoder\.",
    "attention": "Attention",
    "cross-attention": "EncDecAttention",
    "feed-forward": "DenseReluDense",
}
NUMBER = r"(0|[1-9]\d*)"  # "00" would be no layer's name
LAYERS = re.compile(rf"all|last [1-9]\d*|{NUMBER}(,{NUMBER})*")


def check_layers(text: str) -> None:
    """Raise LabError if a text names no layers."""
    if not LAYERS.fullmatch(text):
        raise LabError(f"unknown layers {text!r}: use all, last 2, or numbers such as 0,2")


def check_layers_there(text: str, shape: Shape) -> None:
    """Raise LabError if a text names a layer that neither encoder nor decoder has."""
    there = max(shape.layers, shape.decoder_layers)
    asked = [int(number) for number in re.findall(r"\d+", text)]
    last = text.startswith("last")
    if asked and max(asked) > there - (not last):
        use = f"last 1 to last {there}" if last else f"0 to {there - 1}"
        raise LabError(f"layers={text!r} names more than the {there} layers that there are: use {use}")


def read_layers(names: Iterable[str], shape: Shape) -> str:
    """The layers that modules are in, by their paths, in the words of the dial; all, if they have no paths."""
    numbers = {int(number) for name in names for number in re.findall(r"\bblock\.(\d+)", name)}
    every = set(range(max(shape.layers, shape.decoder_layers)))
    return "all" if numbers in (set(), every) else ",".join(str(number) for number in sorted(numbers))


def in_layers(text: str, layer: int, layers: int) -> bool:
    """Whether a text names a layer, counted from 0, of a stack of so many."""
    if text.startswith("last"):
        return layer >= layers - int(text.split()[1])
    return text == "all" or str(layer) in text.split(",")
