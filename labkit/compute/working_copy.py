"""The network that a training or a generation runs on: the model's own weights, laid out to be computed with.

model.net                          working copy
trained weights, float32      -->  the very same: what an optimizer does to them is seen in both
frozen matrices, float32      -->  in the precision, cast once and not at every step
all else                      -->  the very same

So a model is never changed while something is computed with it, by whichever thread.
"""

import copy
from typing import Any

import torch
from torch import nn

from labkit.compute.kernels import use_kernels


def working_copy(net: Any, precision: str) -> Any:
    """A network that gives what `net` gives, sooner, in the type that its products are computed in.

    Args:
        net: A `transformers` encoder-decoder, or peft's wrapper of one; it is left as it is.
        precision: "fp32" or "bf16".

    Returns:
        A network that shares its trained weights with `net`, and takes the room of its frozen ones once more if these
        are cast.
    """
    shared: dict[int, Any] = {id(tensor): tensor for tensor in (*net.parameters(), *net.buffers())}
    if hasattr(net, "peft_config"):  # AdaLoRA writes into it which ranks it gave
        shared |= {id(config): config for config in net.peft_config.values()}
    working = copy.deepcopy(net, shared)
    if precision == "bf16":
        for name, module in working.named_modules():
            if isinstance(module, nn.Linear) and "lora_" not in name and _castable(module.weight):
                module.weight = nn.Parameter(module.weight.detach().to(torch.bfloat16), requires_grad=False)
    use_kernels(working)
    return working


def _castable(weight: Any) -> bool:
    """Whether a weight is a plain frozen one: fewer bits, and what is trained, stay as they are."""
    return type(weight) is nn.Parameter and weight.dtype == torch.float32 and not weight.requires_grad
