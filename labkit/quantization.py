"""Store the matrices of a frozen network in fewer bits (QLoRA, Dettmers et al. 2023, arXiv:2305.14314).

W = 0.131 -0.742 0.008 ...     fp32: 4 bytes a number
    17    -96    1     ... * 0.0077   8 bits: 1 byte a number, and a scale and a zero point a row
"""

import importlib.util
import logging
from typing import Any

from labkit.errors import LabError

BITS = (8, 4)


def quantize(net: Any, bits: int) -> Any:
    """Store the matrices of encoder and decoder in fewer bits, in place; embeddings, norms and head stay as they are.

    Args:
        net: A T5 that is not going to be trained itself.
        bits: 8 (torchao's int8, on any device), or 4 (bitsandbytes' NF4, on a GPU of NVIDIA).

    Returns:
        The same network.

    Raises:
        LabError: The library for it is not installed, or there is no such GPU.
    """
    library = {8: "torchao", 4: "bitsandbytes"}[bits]
    if importlib.util.find_spec(library) is None:
        raise LabError(f"{bits} bits need {library}, which is not here: pip install 'labkit[quantized]'")
    return _in_8_bits(net) if bits == 8 else _in_4_bits(net)


def _in_8_bits(net: Any) -> Any:
    from torch import nn

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # at its import, it tells of each GPU library that it does not find
    try:
        from torchao.quantization import Int8WeightOnlyConfig, quantize_
    finally:
        logging.disable(before)

    quantize_(net, Int8WeightOnlyConfig(), filter_fn=lambda one, name: isinstance(one, nn.Linear) and name != "lm_head")
    return net


def _in_4_bits(net: Any) -> Any:
    import torch
    from torch import nn

    if not next(net.parameters()).is_cuda:
        raise LabError("4 bits need a GPU of NVIDIA, and the model is on the CPU: use 8 bits")
    from bitsandbytes.nn import LinearNF4

    for name, one in list(net.named_modules()):
        if isinstance(one, nn.Linear) and name != "lm_head":
            small = LinearNF4(one.in_features, one.out_features, bias=False, compute_dtype=torch.bfloat16)
            small.weight.data = one.weight.data
            net.set_submodule(name, small.to(one.weight.device))  # which is when it is quantized
    return net


def weight_bytes(net: Any) -> int:
    """Bytes that the weights of a network take, those in fewer bits with their scales."""
    return sum(_bytes(weight.data) for weight in net.parameters())


def _bytes(tensor: Any) -> int:
    if hasattr(tensor, "__tensor_flatten__"):  # a tensor made of others
        inner, _ = tensor.__tensor_flatten__()
        return sum(_bytes(getattr(tensor, name)) for name in inner)
    return int(tensor.nbytes)
