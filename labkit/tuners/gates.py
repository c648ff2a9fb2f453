"""The gates of LLaMA-Adapter, read from a network, and written into the history of its training."""

from typing import Any

from transformers import TrainerCallback

from labkit.tuners.llama_adapter import LlamaAdapterLayer


def read_gates(net: Any) -> dict[str, list[float]]:
    """The gate of each head of the adapter in use, by layer, such as "decoder 1"; nothing where there are none."""
    found = {}
    for path, layer in net.named_modules():
        if isinstance(layer, LlamaAdapterLayer):
            stack, _, number = path.split(".")[-6:-3]  # decoder.block.1.layer.0.SelfAttention
            for adapter in layer.active_adapters:
                if adapter in layer.adaption_gate:
                    found[f"{stack} {number}"] = layer.gate(adapter).tolist()
    return found


class GateHistory(TrainerCallback):  # type: ignore[misc]
    """Adds to what is logged how far the gates of each layer are open: the mean of their sizes, 0 to 1."""

    def __init__(self, net: Any):
        self.net = net

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Read them beside each loss."""
        if "loss" in (logs or {}):
            for layer, gates in read_gates(self.net).items():
                logs[f"gate {layer}"] = sum(abs(gate) for gate in gates) / len(gates)
