"""The panel Budget: what a method trains and what memory that takes, for any size of FLAN-T5, without its weights."""

from typing import Any

from labkit.costs.activations import Step
from labkit.costs.budget import TABLES, MemoryBudget, base_bytes, plot_memory, predict_memory, readable
from labkit.errors import LabError
from labkit.methods import FullFineTuning, LoRA, Method
from labkit.parameters import FLAN_T5, Shape, shape_of
from labkit.widgets.dials import SWITCH, MethodDials
from labkit.widgets.parts import Chart, Column, Dial, Panel, Table, choice, note, row, say

MODELS = ("nano", *FLAN_T5)
GPUS = (8, 16, 24, 40, 80)  # GiB
USABLE = 0.9  # of a GPU: the rest goes to CUDA itself and to temporary memory
PARTS = ("part", Column("MiB", "{:,.1f}"), Column("share", "{:.1f} %"))


class Budget(Panel):
    """Turn dials, and see the trainable parameters and the memory by part.

    Args:
        model: Shown first: nano or a FLAN-T5.
        method: Shown first; LoRA unless given.
        step: Batch, lengths, precision and checkpointing that are shown first.

    Raises:
        LabError: The model is none of these.
    """

    def __init__(self, model: str = "google/flan-t5-base", method: Method | None = None, step: Step | None = None):
        if model not in MODELS:
            raise LabError(f"no budget is known for model {model!r}: use one of {', '.join(MODELS)}")
        step = step or Step()
        self.model = choice("model", MODELS, model, self._show)
        self.dials = MethodDials(self._show, method or LoRA())
        self.batch = Dial("batch size", step.batch_size, 1, 256, 1, self._show)
        self.source = Dial("prompt tokens", step.source_tokens, 8, 512, 8, self._show)
        self.target = Dial("summary tokens", step.target_tokens, 8, 128, 8, self._show)
        self.precision = choice("precision", ("fp32", "bf16"), step.precision, self._show)
        self.checkpointing = choice("gradient checkpointing", SWITCH, step.checkpointing, self._show)
        self.trains, self.takes, self.chart = note(""), note(""), Chart(220)
        self.parts, self.gpus = Table(caption="Memory by part, predicted", file="memory.csv"), Table()
        self.gpus.caption = "Does it fit? (share taken)"
        tables = row(self.parts, self.gpus)
        tables.layout.align_items = "flex-start"
        super().__init__(
            "Budget",
            self.model,
            self.dials,
            row(self.batch, self.source, self.target),
            row(self.precision, self.checkpointing),
            self.trains,
            self.takes,
            self.chart,
            tables,
        )
        self._show()

    @property
    def step(self) -> Step:
        """Batch, lengths, precision and checkpointing as the dials say."""
        batch, source, target = (int(dial.number) for dial in (self.batch, self.source, self.target))
        return Step(batch, source, target, self.precision.value, self.checkpointing.value)

    def _show(self, _: Any = None) -> None:
        try:
            method, shape = self.dials.method, shape_of(self.model.value)
            count, budget = method.count(shape), predict_memory(shape, method, self.step)
        except LabError as error:
            self._refuse(str(error))
            return
        full = predict_memory(shape, FullFineTuning(), self.step)
        say(
            self.trains,
            f"{method.label} trains {count.trainable:,} of {count.total:,} parameters ({count.percent:.3g} %); "
            f"its file takes {readable(budget.adapter)}.",
        )
        beside = f"the weights, and {budget.times:.1f} times as much beside them"
        say(self.takes, f"A training takes {readable(budget.total)}: {beside}.{_stored(shape, method)}")
        budgets = {method.label: budget, "full": full}
        self.chart.show(plot_memory(budgets))
        self.parts.show(PARTS, budget.rows())
        self.gpus.show(("GPU", *budgets), [_gpu(size, *budgets.values()) for size in GPUS])

    def _refuse(self, why: str) -> None:
        """Show why there is nothing to show."""
        say(self.trains, why)
        say(self.takes, "")
        self.chart.set_trait("outputs", ())
        self.parts.show((), ())
        self.gpus.show((), ())


def _stored(shape: Shape, method: Method) -> str:
    """What fewer bits save, and what they leave as it is."""
    if not (bits := getattr(method, "bits", None)):
        return ""
    before, after = (base_bytes(shape, each) for each in (FullFineTuning(), method))
    matrices = f"{readable(after['matrices'])} in place of {readable(before['matrices'])}"
    return f" Matrices in {bits} bits take {matrices}; embeddings and head keep {readable(after[TABLES])}."


def _gpu(size: int, *budgets: MemoryBudget) -> list[str]:
    shares = [budget.total / (size * 2**30) for budget in budgets]
    return [f"{size} GiB", *(f"{'yes' if share <= USABLE else 'no'}, {100 * share:,.0f} %" for share in shares)]
