"""Add what several LoRAs learned, each with a weight, or take it away (Zhang et al. 2023, arXiv:2306.14870).

w1 B1 A1 x + w2 B2 A2 x  =  [w1 B1 | w2 B2] [A1] x        one LoRA, whose rank is the sum of theirs
                                            [A2]
"""

import math
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from labkit.errors import LabError
from labkit.methods import LoRA, attach
from labkit.models import Model
from labkit.opening import open_run
from labkit.runs import Run


def combine(base: Model, parts: Sequence[tuple[Run | str | Path, float]]) -> Model:
    """Put the weighted sum of the changes that LoRAs learned on a copy of their base.

    Args:
        base: The model that all of them were trained from; it is left as it was.
        parts: Runs of LoRA with the same targets and layers, or their folders, each with its weight: 1 is what was
            learned, 0.5 half of it, and -1 takes it away from the base.

    Returns:
        A model with one LoRA, which does exactly that, over the base in full precision; `merge` takes it as any other.

    Raises:
        LabError: A run is not of plain LoRA or changes other layers than the first, a weight is no number, or the
            ranks together are above the width of a layer.

    Example:
        >>> both = combine(base, [(summaries, 0.5), (actions, 0.5)])
    """
    import torch

    for number, part in enumerate(parts, 1):
        if not isinstance(part, tuple | list) or len(part) != 2:
            raise LabError(f"part {number} is no pair: give a run and its weight, such as (run, 0.5)")
    models = [open_run(run, base) for run, _ in parts]
    method = _sum([model.method for model in models], [weight for _, weight in parts])
    whole = attach(base, method)
    layers = [dict(model.net.named_modules()) for model in models]
    with torch.no_grad():
        for name, layer in whole.net.named_modules():
            if hasattr(layer, "lora_A"):
                beside = [each[name] for each in layers]
                scaled = [
                    weight * one.scaling["default"] * one.lora_B["default"].weight
                    for one, (_, weight) in zip(beside, parts, strict=True)
                ]
                layer.lora_A["default"].weight.copy_(torch.cat([one.lora_A["default"].weight for one in beside]))
                layer.lora_B["default"].weight.copy_(torch.cat(scaled, dim=1))
    return whole


def _sum(methods: Sequence[object], weights: Sequence[Any]) -> LoRA:
    """The LoRA that holds all of them, whose scale, alpha / rank, is 1."""
    loras = [method for method in methods if isinstance(method, LoRA) and not (method.dora or method.ranks)]
    if not methods:
        raise LabError("nothing to add up: give one or more runs of LoRA")
    if len(loras) < len(methods):
        raise LabError("only what plain LoRAs learned can be added up: give runs of LoRA without dora and ranks")
    for weight in weights:
        if not isinstance(weight, Real) or not math.isfinite(weight):
            raise LabError(f"{weight!r} is no weight: use a number such as 0.5 or -1")
    for lora in loras:
        if (set(lora.targets), lora.layers) != (set(loras[0].targets), loras[0].layers):
            raise LabError(
                f"{lora.label} changes other layers than {loras[0].label}: combine runs with the same targets and "
                "layers"
            )
    rank = sum(lora.rank * (2 if lora.init == "pissa" else 1) for lora in loras)  # what PiSSA stores has twice the rank
    return LoRA(rank=rank, alpha=float(rank), targets=loras[0].targets, layers=loras[0].layers)
