"""Where the memory of a training goes, predicted from the shape of a model: no weights are loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from labkit.costs.activations import Step, kept
from labkit.costs.forward import FP32
from labkit.methods import Method
from labkit.parameters import Shape, shape_of
from labkit.quantization import matrix_bytes

PARTS = {
    "weights": "weights",
    "copies": "bf16 copies",
    "gradients": "gradients",
    "optimizer": "optimiser states",
    "activations": "activations",
}
TABLES = "embeddings and head"
UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True)
class MemoryBudget:
    """Memory of a training by part, in bytes.

    Lecture notes say that what is stored beside the weights takes "12 to 20 times" their memory. The usual sum behind
    such figures is in bytes a parameter: 4 for a weight, 8 for AdamW's two states, 4 for a gradient, and some 8 for
    activations and temporary memory; beside the weights, that is 12 to 20 bytes, or 3 to 5 times the weights. With
    mixed precision the sum is 6 + 8 + 4 = 18 bytes without activations (transformers, "Model training anatomy"), which
    is 9 times the 2 bytes of a weight in bf16. Activations do not follow the parameters at all: they grow with batch
    and lengths, and make it dozens of times for a small model.

    The total is that of all parts together. Activations go while gradients come, so the true peak may be lower, and
    temporary memory of single operations is not in it.

    Attributes:
        weights: All weights, trained or not, in fp32; matrices that LoRA has in fewer bits as they are stored.
        copies: What autocast makes of the matrices in bf16, as far as it stays, 0 in fp32; none of those that are
            stored in fewer bits, as they are made for each product anew.
        gradients: One fp32 number a trained weight.
        optimizer: AdamW's two means, two fp32 numbers a trained weight.
        activations: What the forward pass keeps for the backward pass.
        adapter: What was trained on disk, and no part of the memory; in fp32, and a file has a header of some 100 bytes
            a tensor, too. AdaLoRA's is smaller once ranks have been cut.
    """

    weights: int
    copies: int
    gradients: int
    optimizer: int
    activations: int
    adapter: int

    @property
    def total(self) -> int:
        """Bytes of all parts."""
        return sum(getattr(self, part) for part in PARTS)

    @property
    def times(self) -> float:
        """What is stored beside the weights, in multiples of the weights."""
        return (self.total - self.weights) / self.weights

    def rows(self) -> list[tuple[str, float, float]]:
        """Part, MiB, and percent of the total, the total last."""
        parts = [*((label, getattr(self, part)) for part, label in PARTS.items()), ("total", self.total)]
        return [(name, size / 2**20, 100 * size / self.total) for name, size in parts]


def predict_memory(model: str | Shape, method: Method, step: Step | None = None) -> MemoryBudget:
    """Predict the memory of training a model with AdamW.

    Args:
        model: A name that `shape_of` knows, or a shape.
        method: What is trained.
        step: Batch, lengths, precision and checkpointing; 16 dialogues in fp32 unless given.

    Returns:
        Bytes by part. Weights, gradients, states and file are exact; activations are within 3 % of what
        `measure_memory` finds in fp32, for every method, and with checkpointing within 10 %.

    Raises:
        LabError: The model is unknown, or a dial does not fit it.

    Example:
        >>> predict_memory("google/flan-t5-xxl", LoRA(rank=8)).total / 2**30
    """
    shape, step = shape_of(model) if isinstance(model, str) else model, step or Step()
    count, backward = method.count(shape), kept(shape, method, step)
    return MemoryBudget(
        weights=sum(base_bytes(shape, method).values()) + FP32 * method.added(shape),
        copies=backward.copies,
        gradients=FP32 * count.trainable,
        optimizer=2 * FP32 * count.trainable,
        activations=backward.activations,
        adapter=FP32 * method.stored(shape),
    )


def base_bytes(shape: Shape, method: Method) -> dict[str, int]:
    """Bytes of the weights of the base by part, under a method.

    Args:
        shape: Of the model.
        method: Of which `bits`, if it has them, are those of a number in the matrices.

    Returns:
        Bytes of the matrices of encoder and decoder, of embeddings and head, and of norms and position biases.
    """
    bits = getattr(method, "bits", None)
    linears = list(shape.linears())
    tables = shape.vocabulary * shape.d_model * (1 if shape.tied_head else 2)
    rest = shape.total - tables - sum(one.inputs * one.outputs for one in linears)
    return {
        "matrices": sum(matrix_bytes(one.inputs, one.outputs, bits) for one in linears),
        TABLES: FP32 * tables,
        "norms and position biases": FP32 * rest,
    }


def readable(size: float) -> str:
    """Bytes in the unit that suits them: "3.4 MiB"."""
    unit = next((unit for unit in ("GiB", "MiB") if size >= UNITS[unit]), "KiB")
    return f"{size / UNITS[unit]:,.1f} {unit}"


def plot_memory(budgets: Mapping[str, MemoryBudget]) -> Any:
    """A bar for each budget, in its parts.

    Args:
        budgets: By label, such as "predicted" and "measured"; the first is shown on top.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    from labkit.plots import COLORS, style

    largest = max(budget.total for budget in budgets.values())
    unit = "GiB" if largest >= UNITS["GiB"] else "MiB"
    labels = [escape(label) for label in budgets]  # plotly reads markup
    bars = [
        go.Bar(
            name=label,
            y=labels,
            x=[getattr(budget, part) / UNITS[unit] for budget in budgets.values()],
            orientation="h",
            marker_color=color,
            hovertemplate="%{y}, " + label + ": %{x:,.2f} " + unit + "<extra></extra>",
        )
        for (part, label), color in zip(PARTS.items(), COLORS, strict=False)
    ]
    figure = go.Figure(bars)
    figure.update_layout(barmode="stack", xaxis={"title": f"memory ({unit})"}, yaxis={"autorange": "reversed"})
    return style(figure).update_layout(legend_traceorder="normal")  # stacked bars have it turned round
