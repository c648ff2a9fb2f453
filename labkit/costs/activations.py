"""How many bytes of a forward pass PyTorch keeps for the backward pass of a T5, from its shape alone."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from labkit.costs.forward import BF16, FP32, Forward, Tensor
from labkit.dials import check_types
from labkit.errors import LabError
from labkit.methods import FullFineTuning, Method
from labkit.parameters import Shape


@dataclass(frozen=True)
class Step:
    """One optimiser step, as far as its memory depends on it.

    Attributes:
        batch_size: Dialogues.
        source_tokens: Tokens a prompt, padding included and virtual tokens left out.
        target_tokens: Tokens a summary, padding included.
        precision: "fp32", or "bf16" for bfloat16 arithmetic over float32 weights (autocast).
        checkpointing: Keep the input of each block only, and compute the rest again in the backward pass (gradient
            checkpointing, Chen et al. 2016, arXiv:1604.06174).
    """

    batch_size: int = 16
    source_tokens: int = 256
    target_tokens: int = 32
    precision: str = "fp32"
    checkpointing: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no step."""
        check_types(self)
        for name in ("batch_size", "source_tokens", "target_tokens"):
            if getattr(self, name) < 1:
                raise LabError(f"{name} is {getattr(self, name)}: use 1 or more")
        if self.precision not in ("fp32", "bf16"):
            raise LabError(f"unknown precision {self.precision!r}: use fp32 or bf16")


class Kept(NamedTuple):
    """Bytes that are kept for the backward pass: of activations, and of bf16 copies of matrices."""

    activations: int
    copies: int


def kept(shape: Shape, method: Method, step: Step) -> Kept:
    """What is kept for the backward pass at its highest, in a training without dropout.

    In fp32 these are the activations of eager attention, as on a CPU; in bf16 those of a GPU, where torch's fused
    attention keeps the position biases in the place of the softmax. Left out: indices, and one number a token here and
    there.

    Args:
        shape: Of the model.
        method: What is trained.
        step: Batch, lengths, precision and checkpointing.

    Returns:
        Bytes; with checkpointing, of the inputs of the blocks and the inside of one.
    """
    forward = Forward(shape, method, step.batch_size, step.precision == "bf16")
    source, target = step.source_tokens + method.virtual_tokens, step.target_tokens
    forward.prompt()
    if step.checkpointing:
        prompt, rest = _now(forward), _checkpointed(forward, source, target)
        return Kept(prompt.activations + rest.activations, prompt.copies + rest.copies)
    full = isinstance(method, FullFineTuning)
    x = forward.hidden(source, full or bool(method.virtual_tokens))
    for layer in range(shape.layers):
        x = forward.block("encoder", layer, x)
    memory = forward.norm(x, "encoder.final_layer_norm")
    y = forward.hidden(target, full)
    for layer in range(shape.decoder_layers):
        y = forward.block("decoder", layer, y, memory)
    forward.loss(forward.norm(y, "decoder.final_layer_norm"))
    return _now(forward)


def _now(forward: Forward) -> Kept:
    return Kept(_bytes(forward.kept), BF16 * forward.copied)


def _checkpointed(forward: Forward, source: int, target: int) -> Kept:
    """With the inputs of the blocks kept, and the inside of the largest; every block has an input with a gradient."""
    shape = forward.shape
    x, y, memory = (forward.hidden(length, True) for length in (source, target, source))

    def inside(part: Callable[[], object], *read: Tensor) -> Kept:
        forward.clear()
        part()
        return Kept(_bytes(forward.kept - {*read}), BF16 * forward.copied)

    encoder = [inside(partial(forward.block, "encoder", i, x), x) for i in range(shape.layers)]
    decoder = [inside(partial(forward.block, "decoder", i, y, memory), y, memory) for i in range(shape.decoder_layers)]
    between = inside(lambda: forward.norm(x, "encoder.final_layer_norm"))
    end = inside(lambda: forward.loss(forward.norm(y, "decoder.final_layer_norm")))
    before = shape.layers * _bytes([x]) + _bias_and_mask(forward, source, source)
    after = shape.decoder_layers * _bytes([y]) + _bytes([memory])
    after += _bias_and_mask(forward, target, target) + _bias_and_mask(forward, target, source)
    # what is behind a block is gone by the time that the backward pass comes to it
    behind = between.activations + after + max(end.activations, *(block.activations for block in decoder))
    return Kept(
        before + max(behind, *(block.activations for block in encoder)),
        end.copies + max(block.copies for block in encoder + decoder),
    )


def _bias_and_mask(forward: Forward, queries: int, keys: int) -> int:
    """Position biases a head and a mask a row, which all blocks of a stack share."""
    return FP32 * (forward.shape.heads + forward.batch) * queries * keys


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numbers * tensor.bytes for tensor in tensors)
