"""Store the matrices of a frozen network in fewer bits (QLoRA, Dettmers et al. 2023, arXiv:2305.14314).

W = 0.131 -0.742 0.008 ...     fp32: 4 bytes a number
    17    -96    1     ... * 0.0077   8 bits: 1 byte a number, and a scale and a zero point a row
    11    1     7      ... * 0.742    4 bits: half a byte, the place in a list of 16, and a scale for each 64
"""

import importlib.util
import math
from typing import Any

from labkit.errors import LabError
from labkit.models import quiet

BITS = (8, 4)
LIBRARIES = {8: "torchao", 4: "bitsandbytes"}


def check(bits: int, device: str) -> None:
    """Raise LabError if nothing can be stored in so many bits here: a library or a fitting device is missing.

    Args:
        bits: One of `BITS`.
        device: Where the network is, as "cpu" or "cuda:0".
    """
    library = LIBRARIES[bits]
    if importlib.util.find_spec(library) is None:
        raise LabError(f"{bits} bits need {library}, which is not here: pip install {library}")
    if bits == 4 and device.split(":")[0] not in ("cpu", "cuda"):
        raise LabError(f"4 bits work on a CPU or a GPU of NVIDIA, and the model is on {device}: use 8 bits")


def quantize(net: Any, bits: int) -> Any:
    """Store the matrices of encoder and decoder in fewer bits, in place; embeddings, norms and head stay as they are.

    Args:
        net: A T5 that is not going to be trained itself.
        bits: 8 (torchao's int8), or 4 (bitsandbytes' NF4).

    Returns:
        The same network.

    Raises:
        LabError: The library for it is not installed, or the network is not on a device that it works on.
    """
    from torch import nn

    from labkit.stored import Stored

    check(bits, str(next(net.parameters()).device))
    store = _in_8_bits if bits == 8 else _in_4_bits
    for name, layer in list(net.named_modules()):
        if isinstance(layer, nn.Linear) and name != "lm_head":
            net.set_submodule(name, Stored(store(layer), layer.in_features, layer.out_features))
    return net


def _in_8_bits(layer: Any) -> Any:
    with quiet():
        from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(layer.requires_grad_(False), Int8WeightOnlyConfig())
    return layer.weight


def _in_4_bits(layer: Any) -> Any:
    with quiet():
        from bitsandbytes.nn import Params4bit

    numbers = layer.weight.data
    # stored as if they were floats, since T5 makes what comes into wo of the type of its weight
    weight = Params4bit(numbers, requires_grad=False, quant_type="nf4", quant_storage=numbers.dtype)
    return weight.to(layer.weight.device)  # which is when it is stored


def tensors(weight: Any) -> list[Any]:
    """The tensors that a weight is stored as: itself, or whole numbers, scales and zero points."""
    import torch

    if hasattr(weight, "__tensor_flatten__"):  # torchao's
        names, _ = weight.__tensor_flatten__()
        return [getattr(weight, name) for name in names]
    if state := getattr(weight, "quant_state", None):  # bitsandbytes'; its scales have scales of their own
        scales = (state.absmax, state.offset, state.state2.absmax)
        return [weight.data, *(torch.as_tensor(scale) for scale in scales)]
    return [weight]


def weight_bytes(net: Any) -> int:
    """Bytes that the weights of a network take, those in fewer bits with their scales."""
    return sum(tensor.nbytes for weight in net.parameters() for tensor in tensors(weight))


def matrix_bytes(inputs: int, outputs: int, bits: int | None) -> int:
    """Bytes of one matrix with its scales, as `quantize` stores it.

    Args:
        inputs: Width of what comes in.
        outputs: Width of what goes out.
        bits: 8, 4, or None for fp32.
    """
    numbers = inputs * outputs
    if bits == 8:
        return numbers + 5 * outputs  # a scale of 4 bytes and a zero point of 1 a row
    if bits == 4:
        blocks = math.ceil(numbers / 64)
        # a scale of 1 byte a block, one of 4 for each 256 of these, and what the former are counted from
        return math.ceil(numbers / 2) + blocks + 4 * math.ceil(blocks / 256) + 4
    return 4 * numbers
