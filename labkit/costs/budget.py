"""Where the memory of a training goes, predicted from the shape of a model: no weights are loaded."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from labkit.costs.activations import BF16, FP32, Step, activation_bytes
from labkit.methods import LoRA, Method
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
        copies: What autocast makes of the matrices in bf16, 0 in fp32; none of those that are stored in fewer bits, as
            they are made for each product anew.
        gradients: One fp32 number a trained weight.
        optimizer: AdamW's two means, two fp32 numbers a trained weight.
        activations: What the forward pass keeps for the backward pass.
    """

    weights: int
    copies: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """Bytes of all parts."""
        return sum(asdict(self).values())

    @property
    def times(self) -> float:
        """What is stored beside the weights, in multiples of the weights."""
        return (self.total - self.weights) / self.weights

    @property
    def adapter(self) -> int:
        """Bytes of what was trained on disk, in fp32; a file has a header of some 100 bytes a tensor, too."""
        return self.gradients

    def rows(self) -> list[tuple[str, float, float]]:
        """Part, MiB, and percent of the total, the total last."""
        parts = [*((PARTS[name], size) for name, size in asdict(self).items()), ("total", self.total)]
        return [(name, size / 2**20, 100 * size / self.total) for name, size in parts]


def predict_memory(model: str | Shape, method: Method, step: Step | None = None) -> MemoryBudget:
    """Predict the memory of training a model with AdamW.

    Args:
        model: A name that `shape_of` knows, or a shape.
        method: What is trained.
        step: Batch, lengths, precision and checkpointing; 16 dialogues in fp32 unless given.

    Returns:
        Bytes by part. Weights, gradients and states are exact; the activations of full fine-tuning, prompt tuning and
        LoRA on q, k or v are within 6 % of what `measure_memory` finds in fp32.

    Raises:
        LabError: The model is unknown, or a dial does not fit it.

    Example:
        >>> predict_memory("google/flan-t5-xxl", LoRA(rank=8)).total / 2**30
    """
    shape, step = shape_of(model) if isinstance(model, str) else model, step or Step()
    count = method.count(shape)
    return MemoryBudget(
        weights=sum(base_bytes(shape, method).values()) + FP32 * method.added(shape),
        copies=BF16 * _copied(shape, method, step.checkpointing) if step.precision == "bf16" else 0,
        gradients=FP32 * count.trainable,
        optimizer=2 * FP32 * count.trainable,
        activations=activation_bytes(shape, method, step),
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


def _copied(shape: Shape, method: Method, checkpointing: bool) -> int:
    """Weights that autocast copies: of every matrix of floats, or of the head and one block at a time."""
    stored = getattr(method, "bits", None) is not None
    adapted = set(method.adapted(shape)) if isinstance(method, LoRA) else set()
    blocks: Counter[tuple[str, int]] = Counter()
    for one in shape.linears():
        blocks[one.stack, one.layer] += 0 if stored else one.inputs * one.outputs
        if isinstance(method, LoRA) and one in adapted:
            started = 2 if method.init == "pissa" else 1
            blocks[one.stack, one.layer] += started * method.rank_of(one) * (one.inputs + one.outputs)
    inside = max(blocks.values()) if checkpointing else blocks.total()
    return shape.vocabulary * shape.d_model + inside


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
