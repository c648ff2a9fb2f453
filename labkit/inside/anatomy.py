"""What a method changed in the weights, layer by layer.

LoRA               W' = W + scaling B A     A is rank x in, B is out x rank
full fine-tuning   W' = W + dW              dW = W' - W needs the base beside it
soft prompts       W' = W                   what was learned is not in the weights
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from labkit.errors import LabError
from labkit.inside.weights import array, is_adapted, is_wrapped, modules_with_weights
from labkit.intervals import FloatArray
from labkit.methods import in_full_precision
from labkit.models import Model

ROUNDING = 1e-7  # relative; float32 cannot hold a smaller change


class LoRAWeights(NamedTuple):
    """How many weights one linear layer has, and LoRA's A and B for it."""

    full: int
    a: int
    b: int

    @property
    def lora(self) -> int:
        """Weights of A and B together."""
        return self.a + self.b

    @property
    def saved_percent(self) -> float:
        """How many fewer LoRA trains, in percent; below 0 where the rank is so high that it trains more."""
        return 100 * (1 - self.lora / self.full)


def lora_weights(inputs: int = 512, outputs: int = 64, rank: int = 8) -> LoRAWeights:
    """Count the weights that LoRA trains for one linear layer (Hu et al. 2021, arXiv:2106.09685, section 4.1).

    Args:
        inputs: Width of what comes in.
        outputs: Width of what goes out.
        rank: Width between A and B.

    Returns:
        inputs x outputs, rank x inputs and outputs x rank.

    Raises:
        LabError: A number is below 1.

    Example:
        >>> lora_weights(512, 64, rank=8)
        LoRAWeights(full=32768, a=4096, b=512)
    """
    for name, value in (("inputs", inputs), ("outputs", outputs), ("rank", rank)):
        if value < 1:
            raise LabError(f"{name} is {value}: use 1 or more")
    return LoRAWeights(inputs * outputs, rank * inputs, outputs * rank)


@dataclass(frozen=True, eq=False)
class Update:
    """What a method changed in one weight matrix.

    Attributes:
        layer: Its name, such as "encoder 0 self-attention q".
        weight: W as it was before, shape (out, in).
        change: W' - W, shape (out, in); for LoRA it is scaling B A. (DoRA and IA3 scale what is there, too.)
        a: LoRA's A, shape (rank, in); None for another method.
        b: LoRA's B, shape (out, rank); None for another method.
        scaling: What B A is multiplied by; None for another method.
    """

    layer: str
    weight: FloatArray
    change: FloatArray
    a: FloatArray | None = None
    b: FloatArray | None = None
    scaling: float | None = None

    @cached_property
    def singular_values(self) -> FloatArray:
        """Singular values of the change, the largest first, shape (min(out, in),); LoRA's are 0 beyond its rank."""
        return _singular_values(self.change)

    @property
    def energy(self) -> FloatArray:
        """Share of the sum of squares that the first 1, 2, ... singular values hold, 0 to 1; 0 without a change."""
        squares = self.singular_values**2
        return np.cumsum(squares) / (squares.sum() or 1)

    @property
    def matrices(self) -> dict[str, FloatArray]:
        """W, A, B and the change, by the names that figures show; A and B for LoRA only."""
        if self.a is None or self.b is None or self.scaling is None:
            return {"W": self.weight, "dW": self.change}
        plain = np.allclose(self.change, self.scaling * self.b @ self.a)
        return {"W": self.weight, "A": self.a, "B": self.b, f"{self.scaling:g} BA" if plain else "dW": self.change}


class LayerChange(NamedTuple):
    """How much one weight changed.

    Attributes:
        layer: Its name.
        norm: Frobenius norm of the change.
        relative: The same over the norm of the weight before.
        effective_rank: How many directions the change has; None for a norm, whose weight is a vector.
    """

    layer: str
    norm: float
    relative: float
    effective_rank: float | None


def layers(model: Model) -> list[str]:
    """Names of the weight matrices that the method of a model can change; none for soft prompts.

    Raises:
        LabError: No method is attached.
    """
    _check(model)
    weights = modules_with_weights(model.net)
    if is_wrapped(model.net):
        return [name for name, module in weights.items() if is_adapted(module)]
    return [name for name, module in weights.items() if module.weight.ndim == 2]


def update(model: Model, layer: str, base: Model | None = None) -> Update:
    """What a method changed in one weight matrix.

    Args:
        model: A model with a method.
        layer: One of `layers(model)`.
        base: The model it was trained from; needed for full fine-tuning and for a base in fewer bits.

    Returns:
        W, the change, and LoRA's A, B and scaling, as float64.

    Raises:
        LabError: The method changes no such layer, or the base is missing or another.
    """
    before, after = _before_and_after(model, base)
    known = [name for name in layers(model) if name in before]
    if layer not in known:
        there = f"use one of {', '.join(known[:3])}, ..." if known else "see its virtual tokens instead"
        raise LabError(f"{model.method.label} changes no layer {layer!r}: {there}")
    weight, change = _change(layer, before[layer], after[layer])
    module = after[layer]
    if not hasattr(module, "lora_A"):
        return Update(layer, weight, change)
    adapter = module.active_adapters[0]
    a, b = (array(part[adapter]) for part in (module.lora_A, module.lora_B))
    return Update(layer, weight, change, a, b, module.scaling[adapter])


def layer_changes(model: Model, base: Model | None = None) -> list[LayerChange]:
    """How much each weight of the base was changed, whatever the method; all 0 for soft prompts.

    Args:
        model: A model with a method.
        base: The model it was trained from; needed for full fine-tuning and for a base in fewer bits. Without it, the
            weights that an adapter froze stand for the base.

    Returns:
        A row for each weight of the base, in the order of the model.

    Raises:
        LabError: No method is attached, or the base is missing or another.
    """
    before, after = _before_and_after(model, base)
    rows = []
    for name, module in before.items():
        weight, change = _change(name, module, after[name])
        norm, whole = float(np.linalg.norm(change)), float(np.linalg.norm(weight))
        rank = effective_rank(_singular_values(change)) if change.ndim == 2 else None
        rows.append(LayerChange(name, norm, norm / whole, rank))
    return rows


def effective_rank(singular_values: Sequence[float] | FloatArray) -> float:
    """How many directions a matrix has: exp of the entropy of its singular values, which are made to sum to 1.

    Source: Roy and Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007.

    Args:
        singular_values: None below 0, in any order.

    Returns:
        1 for one direction, n for n equal ones; 0 for a matrix of zeros.
    """
    values = np.asarray(singular_values, dtype=float)
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0


def _check(model: Model) -> None:
    if model.method is None:
        raise LabError(f"{model.name} has no method: attach one first")


def _before_and_after(model: Model, base: Model | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Modules with the weights of the base, and those of the model."""
    _check(model)
    if base is None and (getattr(model.method, "bits", None) or not is_wrapped(model.net)):
        raise LabError(
            f"{model.method.label} keeps no copy of the base's weights: give base, the model it started from"
        )
    model = in_full_precision(model, base) if base else model
    before, after = modules_with_weights((base or model).net), modules_with_weights(model.net)
    if missing := [name for name in before if name not in after]:
        raise LabError(f"the model has no {missing[0]}, the base has: give the base that the training started from")
    return before, after


def _singular_values(matrix: FloatArray) -> FloatArray:
    if not matrix.any():  # the frozen ones are many
        return np.zeros(min(matrix.shape))
    return np.asarray(np.linalg.svd(matrix, compute_uv=False), dtype=float)


def _change(name: str, before: Any, after: Any) -> tuple[FloatArray, FloatArray]:
    weight, tuned = array(before), array(after, merged=True)
    if weight.shape != tuned.shape:
        raise LabError(f"{name} has another size in the base: give the base that the training started from")
    change = tuned - weight
    if np.linalg.norm(change) <= ROUNDING * np.linalg.norm(weight):
        return weight, np.zeros_like(weight)
    return weight, change
