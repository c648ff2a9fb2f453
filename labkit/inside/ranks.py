"""The rank of what was learned, layer by layer.

LoRA      B A          the same in all layers, or what its dial `ranks` says
AdaLoRA   B diag(E) A  as many as numbers in E were not cut
"""

from labkit.errors import LabError
from labkit.inside.weights import modules_with_weights
from labkit.models import Model


def ranks(model: Model) -> dict[str, int]:
    """The rank of each layer that the adapter in use changes.

    Args:
        model: With LoRA or AdaLoRA; the latter's ranks are 0 before it is trained, as its E starts at zero. PiSSA that
            was saved is a LoRA of twice the rank.

    Returns:
        Ranks by names such as "encoder 0 self-attention q", in the order of the network.

    Raises:
        LabError: The method has no ranks.
    """
    layers = {name: module for name, module in modules_with_weights(model.net).items() if hasattr(module, "lora_A")}
    if not layers:
        label = model.method.label if model.method else model.name
        raise LabError(f"{label} has no ranks: give a model with LoRA or AdaLoRA")
    return {
        name: int((module.lora_E[adapter] != 0).sum()) if hasattr(module, "lora_E") else module.r[adapter]
        for name, module in layers.items()
        for adapter in module.active_adapters
        if adapter in module.r
    }
