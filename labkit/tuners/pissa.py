"""PiSSA beside a frozen W: LoRA that starts from the largest singular values of W, less what it starts from.

h = W x + scale (B A - B0 A0) x      W = U S V      B0 = U sqrt(S / scale)      A0 = sqrt(S / scale) V

peft's own takes scale B0 A0 out of W itself, which computes the same but leaves no base to switch back to.
"""

import json
import math
from pathlib import Path
from typing import Any

import torch
from peft.tuners.lora.layer import Linear, LoraVariant
from safetensors.torch import load_file, save_file
from torch.nn.functional import linear

from labkit.runs import write_json


class Pissa(LoraVariant):  # type: ignore[misc]
    """What peft's LoRA layer asks in place of its own sum."""

    @staticmethod
    def init(module: Any, adapter_name: str, **_: Any) -> None:
        """Start A and B from W, and keep what they start from beside them."""
        weight = module.get_base_layer().weight.detach()
        left, values, right = torch.linalg.svd(weight.float(), full_matrices=False)
        rank = module.r[adapter_name]
        root = (values[:rank] / module.scaling[adapter_name]).sqrt()
        a, b = root[:, None] * right[:rank], left[:, :rank] * root
        with torch.no_grad():
            module.lora_A[adapter_name].weight.copy_(a)
            module.lora_B[adapter_name].weight.copy_(b)
        for name, start in (("start_A", a), ("start_B", b)):
            module.register_parameter(name, torch.nn.Parameter(start.clone(), requires_grad=False))

    @staticmethod
    def forward(module: Any, *, active_adapter: str, x: Any, result: Any, **_: Any) -> Any:
        """`result`, which is W x, and the change of it."""
        a, b = module.lora_A[active_adapter], module.lora_B[active_adapter]
        learned = b(a(module.lora_dropout[active_adapter](x)))
        start = linear(linear(x, module.start_A), module.start_B)
        return result + (learned - start) * module.scaling[active_adapter]

    @staticmethod
    def change(module: Any, adapter: str) -> Any:
        """What is added to W."""
        learned = module.lora_B[adapter].weight @ module.lora_A[adapter].weight
        return module.scaling[adapter] * (learned - module.start_B @ module.start_A)

    @staticmethod
    def merge_safe(module: Any, active_adapter: str, orig_weight: Any) -> Any:
        """W with the change."""
        return orig_weight + Pissa.change(module, active_adapter)

    @staticmethod
    def merge_unsafe(module: Any, active_adapter: str, orig_weight: Any) -> None:
        """Add the change to W."""
        orig_weight.data += Pissa.change(module, active_adapter)

    @staticmethod
    def unmerge(module: Any, active_adapter: str, orig_weight: Any) -> Any:
        """W without the change."""
        return orig_weight - Pissa.change(module, active_adapter)


def start_from_weights(net: Any) -> None:
    """Make every LoRA layer of peft's one that starts from its W."""
    for module in net.modules():
        if isinstance(module, Linear):
            module.lora_variant["default"] = Pissa()
            Pissa.init(module, "default")


def turn_into_plain_lora(folder: Path) -> None:
    """Make what peft saved, A0 and B0 with it, a LoRA of twice the rank: B A - B0 A0 = [B, -B0] [A; A0]."""
    file = folder / "adapter_model.safetensors"
    weights = load_file(file)
    layers = [name.removesuffix(".start_A") for name in weights if name.endswith(".start_A")]
    if not layers:
        return  # it was loaded from such a file, and is one already
    for layer in layers:
        a, b = f"{layer}.lora_A.weight", f"{layer}.lora_B.weight"
        weights[a] = torch.cat([weights[a], weights.pop(f"{layer}.start_A")])
        weights[b] = torch.cat([weights[b], -weights.pop(f"{layer}.start_B")], dim=1)
    save_file(weights, file, metadata={"format": "pt"})
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    # the scale stays: alpha / rank, or alpha / sqrt(rank)
    factor = math.sqrt(2) if config["use_rslora"] else 2
    config["r"], config["lora_alpha"] = 2 * config["r"], factor * config["lora_alpha"]
    config["rank_pattern"] = {name: 2 * rank for name, rank in config["rank_pattern"].items()}
    config["alpha_pattern"] = {name: factor * alpha for name, alpha in config["alpha_pattern"].items()}
    write_json(folder / "adapter_config.json", config)
