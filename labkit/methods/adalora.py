"""AdaLoRA: LoRA that moves its ranks to where they matter (Zhang et al. 2023, arXiv:2303.10512).

h = W x + (alpha / start) B diag(E) A x      E holds `start` numbers, 0 at first

  all layers start alike    -> the least important numbers of E are cut    -> `rank` are left, on average
  q ============ v ========    q ==== v ==========                            q == v ==============
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from labkit.errors import LabError
from labkit.methods.base import Method
from labkit.methods.lora import LINEARS, check_alpha, checked_targets
from labkit.parameters import Linear, Shape


@dataclass(frozen=True)
class AdaLoRA(Method):
    """Low-rank adaptation with ranks that are found while training.

    All ranks stay for the first tenth of the steps. Then their sum falls, by a cubic curve, to what `rank` allows,
    which it reaches at half of the steps; the other half trains what is left. (After one step only, nothing is known
    by which to cut, so nothing is.) What matters is measured as weight times gradient, averaged over some steps. The
    gradient also keeps A and B orthogonal; the losses that are shown are without that, as for other methods. A trained
    file holds only the ranks that are left.

    Attributes:
        rank: Average rank of a layer at the end, 1 or more.
        start: Rank that every layer starts with, above `rank`; one and a half times as much, as in the paper, unless
            given. A training that ends before half of its steps keeps more than `rank`.
        alpha: The change is scaled by alpha / start; twice `start` unless given.
        targets: Layers to adapt: some of q, k, v, o, wi_0, wi_1, wo, or "all".
    """

    name: ClassVar[str] = "adalora"
    learning_rate: ClassVar[float] = 3e-2

    rank: int = 8
    start: int | None = None
    alpha: float | None = None
    targets: tuple[str, ...] = ("q", "v")

    def __post_init__(self) -> None:
        """Refuse dials that fit no model."""
        super().__post_init__()
        object.__setattr__(self, "targets", checked_targets(self.targets))
        check_alpha(self.alpha)
        if self.rank < 1:
            raise LabError(f"rank {self.rank} is no rank: use 1 or more, such as 8")
        if self.initial_rank <= self.rank:
            raise LabError(
                f"start {self.start} leaves nothing to cut down to rank {self.rank}: use a start above it, or none"
            )

    @property
    def initial_rank(self) -> int:
        """The rank that every layer starts with."""
        return self.rank + (self.rank + 1) // 2 if self.start is None else self.start

    def used(self) -> dict[str, Any]:
        """Its name and dials, with the start and the alpha that are used."""
        return super().used() | {"start": self.initial_rank, "alpha": self.alpha or 2 * self.initial_rank}

    def adapted(self, shape: Shape) -> Iterator[Linear]:
        """The linear layers of a model of this shape that are adapted."""
        return (one for one in shape.linears() if one.name in self.targets or "all" in self.targets)

    def check(self, shape: Shape) -> None:
        """Raise LabError if the ranks start above the width of a target."""
        narrowest = min(min(one.inputs, one.outputs) for one in self.adapted(shape))
        if self.start is None and self.initial_rank > narrowest:
            raise LabError(
                f"rank {self.rank} starts with {self.initial_rank}, above {narrowest}, the width of the narrowest "
                f"target layer: use a rank up to {2 * narrowest // 3}"
            )
        if self.initial_rank > narrowest:
            raise LabError(
                f"start {self.initial_rank} is above {narrowest}, the width of the narrowest target layer: use up to "
                f"{narrowest}, and a rank below it"
            )

    def trainable(self, shape: Shape) -> int:
        """A, B and E as they are at the start."""
        return sum(self.initial_rank * (one.inputs + one.outputs + 1) for one in self.adapted(shape))

    def added(self, shape: Shape) -> int:
        """And for each layer the rank that it started with, which peft keeps as a parameter without a gradient."""
        return self.trainable(shape) + sum(1 for _ in self.adapted(shape))

    def apply(self, net: Any, tokenizer: Any, seed: int) -> Any:
        """Wrap `net` with peft's AdaLoRA."""
        from peft import AdaLoraConfig, get_peft_model

        import labkit.tuners.adalora  # noqa: F401  so that peft has it as we do

        config = AdaLoraConfig(
            task_type="SEQ_2_SEQ_LM",
            target_r=self.rank,
            init_r=self.initial_rank,
            lora_alpha=self.used()["alpha"],
            target_modules=list(LINEARS if "all" in self.targets else self.targets),
            total_step=1,  # while_training knows better
        )
        return get_peft_model(net, config)

    def while_training(self, net: Any, steps: int) -> list[Any]:
        """What cuts the ranks after each step, and keeps its averages with each checkpoint."""
        from labkit.tuners.adalora import Allocation

        return [Allocation(net, steps)] if steps > 1 else []
