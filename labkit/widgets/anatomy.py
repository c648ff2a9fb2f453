"""The panel Anatomy: what a method changed in the weights."""

import numpy as np

from labkit.inside.anatomy import layer_changes, layers, lora_weights, update
from labkit.inside.anatomy_plots import SHOWN, changes_map, heatmaps, spectrum
from labkit.models import Model
from labkit.widgets.parts import Chart, Column, Panel, Table, choice, note, row, say

MATRICES = (
    "matrix",
    "rows",
    "columns",
    Column("weights", "{:,}"),
    Column("largest", "{:.4f}"),
    Column("norm", "{:.3f}"),
)
VALUES = ("number", Column("singular value", "{:.4f}"), Column("energy of the first, %", "{:.1f}"))
CHANGES = (
    "layer",
    Column("norm of the change", "{:.3f}"),
    Column("% of the norm of W", "{:.1f}"),
    Column("effective rank", "{:.1f}"),
)


class Anatomy(Panel):
    """W, A, B and the change of a chosen layer, its singular values, and how much every layer changed.

    Args:
        model: A model with a method, trained or not.
        base: The model it was trained from; needed for full fine-tuning and for a base in fewer bits.

    Raises:
        LabError: No method is attached, or the base is missing or another.
    """

    def __init__(self, model: Model, base: Model | None = None):
        self.model, self.base = model, base
        changes = layer_changes(model, base)
        names = layers(model)
        changed = [each for each in changes if each.norm]
        self.about = note(
            f"{len(changed)} of {len(changes)} weight tensors of the base changed."
            if changed
            else f"{model.method.label} has changed none of the {len(changes)} weight tensors of the base."
        )
        title = f"Anatomy of {model.method.label}"
        if not names:
            super().__init__(
                title, self.about, note("What it learned stands in front of the input: see its neighbours.")
            )
            return
        self.layer = choice("layer", names, on_change=lambda _: self.show())
        self.arithmetic = note("")
        self.pictures, self.matrices = Chart(285), Table(MATRICES, caption="The matrices of this layer")
        self.spectrum, self.values = Chart(280), Table(VALUES, caption="Singular values of the change")
        self.map = Chart(150 + 26 * len({" ".join(name.split(" ", 2)[:2]) for name in names}))
        self.changes = Table(
            CHANGES,
            [(each.layer, each.norm, 100 * each.relative, each.effective_rank) for each in changed],
            caption="Every weight that changed",
            file="changes.csv",
        )
        self.map.show(changes_map(changes))
        super().__init__(
            title,
            self.about,
            row(self.layer, self.arithmetic),
            self.pictures,
            note("Each picture has its own scale: orange below 0, blue above; large matrices as means of blocks."),
            self.matrices,
            self.spectrum,
            self.values,
            self.map,
            self.changes,
        )
        self.show()

    def show(self) -> None:
        """Show the chosen layer."""
        one = update(self.model, self.layer.value, self.base)
        self.pictures.show(heatmaps(one))
        self.spectrum.show(spectrum(one))
        self.matrices.show(
            MATRICES,
            [
                (name, *each.shape, each.size, float(np.abs(each).max()), float(np.linalg.norm(each)))
                for name, each in one.matrices.items()
            ],
        )
        values, shares = one.singular_values[:SHOWN], 100 * one.energy
        above_zero = values[values > 1e-6 * values[0]]  # LoRA has as many as its rank
        self.values.show(VALUES, [(i + 1, float(each), float(shares[i])) for i, each in enumerate(above_zero)])
        say(self.arithmetic, self._arithmetic(*one.weight.shape))

    def _arithmetic(self, outputs: int, inputs: int) -> str:
        rank = getattr(self.model.method, "rank", None)
        if rank is None:
            return f"{inputs} x {outputs} = {inputs * outputs:,} weights"
        count = lora_weights(inputs, outputs, rank)
        return (
            f"{inputs} x {outputs} = {count.full:,} weights; A and B at rank {rank}: {count.a:,} + {count.b:,} = "
            f"{count.lora:,}, {count.saved_percent:.0f} % fewer"
        )
