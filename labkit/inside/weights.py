"""The weights of a T5 by names that can be read, with or without an adapter on them."""

import copy
from typing import Any

from labkit.intervals import FloatArray

SUBLAYERS = {
    "encoder": ("self-attention", "feed-forward"),
    "decoder": ("self-attention", "cross-attention", "feed-forward"),
}
WORDS = {
    "shared": "embeddings",
    "lm_head": "output head",
    "layer_norm": "norm",
    "final_layer_norm": "final norm",
    "relative_attention_bias": "position bias",
}


def is_wrapped(net: Any) -> bool:
    """Whether a network is in peft's wrapper."""
    return hasattr(net, "get_base_model")


def is_adapted(module: Any) -> bool:
    """Whether peft put an adapter around a layer."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return isinstance(module, BaseTunerLayer)


def modules_with_weights(net: Any) -> dict[str, Any]:
    """The modules that have a weight, by name; of an adapted layer the whole of it, of a shared weight the first.

    Args:
        net: A T5, or peft's wrapper of one.

    Returns:
        Modules by names such as "encoder 0 self-attention q", in the order of the network.
    """
    found: dict[str, Any] = {}
    seen: set[int] = set()
    adapted: tuple[str, ...] = ()  # what is inside an adapted layer is no layer of its own
    for path, module in (net.get_base_model() if is_wrapped(net) else net).named_modules():
        weight = getattr(module, "weight", None)
        if weight is None or id(weight) in seen or path.startswith(adapted):
            continue
        if is_adapted(module):
            adapted = (*adapted, f"{path}.")
        seen.add(id(weight))
        found[_readable(path)] = module
    return found


def array(module: Any, merged: bool = False) -> FloatArray:
    """The weight of a module, shape (out, in), or (width,) for a norm.

    Args:
        module: One of `modules_with_weights`.
        merged: With what its adapter adds; without, an adapted layer gives the weight that the adapter froze.

    Returns:
        A copy in float64.
    """
    if is_adapted(module):
        if merged:
            # peft's own merge is right for LoRA, DoRA, IA3 alike; in float64 the sum loses nothing
            module = copy.deepcopy(module).double()
            module.merge()
        module = module.get_base_layer()
    weight: FloatArray = module.weight.detach().double().cpu().numpy().copy()
    return weight


def _readable(path: str) -> str:
    """Give "encoder 0 self-attention q" for encoder.block.0.layer.0.SelfAttention.q."""
    parts = path.split(".")
    last = WORDS.get(parts[-1], parts[-1])
    if "block" not in parts:
        return " ".join([*parts[:-1], last])
    stack, _, block, _, sublayer = parts[:5]
    return f"{stack} {block} {SUBLAYERS[stack][int(sublayer)]} {last}"
