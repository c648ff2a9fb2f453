"""LoRA: freeze W, and learn a low-rank change of it (Hu et al. 2021, arXiv:2106.09685).

x                     h = W x + (alpha / rank) B A x
+---+-----+
|         A  rank x in    random at the start
W frozen       |
|         B  out x rank   zero at the start, so h starts unchanged
+--- + ---+
h                     afterwards W + (alpha / rank) B A can be merged: no extra time
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from labkit import quantization
from labkit.errors import LabError
from labkit.methods import places
from labkit.methods.base import Method
from labkit.parameters import ATTENTION, FEED_FORWARD, Linear, Shape, shape_of_net

LINEARS = (*ATTENTION, *FEED_FORWARD)
BIASES = ("none", "all", "lora_only")
INITS = ("default", "pissa")


@dataclass(frozen=True)
class LoRA(Method):
    """Low-rank adaptation of the linear layers named in `targets`, in encoder and decoder.

    PiSSA (Meng et al. 2024, arXiv:2404.02948) starts A and B from the largest singular values of W, and so learns in
    the directions in which W is strong from the first step on. Elsewhere W loses what A and B start from; here W stays
    as it is and B0 A0 is taken off beside it, so that what is switched off is the base. The file holds B A - B0 A0
    as a LoRA of twice the rank, and is twice as large, so that it fits the untouched base, with peft alone, too.

    QLoRA (Dettmers et al. 2023, arXiv:2305.14314) has W in fewer bits, and A and B beside it in fp32 as ever. W is
    stored so in the copy that is trained and wherever it is opened again; the base itself stays as it is.

    Attributes:
        rank: Width of the bottleneck between A and B, 1 to the width of the narrowest target.
        alpha: The change is scaled by alpha / rank; twice the rank unless given.
        targets: Layers to adapt: some of q, k, v, o, wi_0, wi_1, wo, or "all"; a list or "q,v" will do, too.
        dropout: Share of the input to A that is dropped while training, 0 to below 1.
        bias: Which biases train too: "none", "all" or "lora_only". T5's layers have none, so nothing changes there.
        rslora: Scale by alpha / sqrt(rank) instead (Kalajdzievski 2023, arXiv:2312.03732).
        dora: Learn the length of each output's weights apart from their direction (Liu et al. 2024, arXiv:2402.09353).
        init: Where A and B start: "default" (A random, B zero), or "pissa" (the largest singular values of W).
        layers: Layers of encoder and decoder to adapt: "all", "last 2", or numbers from 0 on as "0,2".
        ranks: Other ranks in some places, as "decoder=16,q=4": of encoder, decoder, attention, cross-attention,
            feed-forward, q, k, v, o, wi_0, wi_1 and wo. The last that fits a layer counts; the scale stays the same.
        bits: Bits of a number in the frozen matrices of encoder and decoder: 8 or 4 (QLoRA), or 32 unless given.
    """

    name: ClassVar[str] = "lora"
    learning_rate: ClassVar[float] = 5e-3

    rank: int = 8
    alpha: float | None = None
    targets: tuple[str, ...] = ("q", "v")
    dropout: float = 0.0
    bias: str = "none"
    rslora: bool = False
    dora: bool = False
    init: str = "default"
    layers: str = "all"
    ranks: str = ""
    bits: int | None = None

    def __post_init__(self) -> None:
        """Refuse dials that fit no model."""
        super().__post_init__()
        object.__setattr__(self, "targets", checked_targets(self.targets))
        check_alpha(self.alpha)
        if self.rank < 1:
            raise LabError(f"rank {self.rank} is no rank: use 1 or more, such as 8")
        if not 0 <= self.dropout < 1:
            raise LabError(f"dropout {self.dropout} is no share: use 0 to below 1, such as 0.05")
        if self.bias not in BIASES:
            raise LabError(f"unknown bias {self.bias!r}: use one of {', '.join(BIASES)}")
        if self.init not in INITS:
            raise LabError(f"unknown init {self.init!r}: use one of {', '.join(INITS)}")
        if self.init == "pissa" and self.dora:
            raise LabError("init='pissa' and dora=True do not go together: leave out one of them")
        if self.bits not in (None, *quantization.BITS):
            raise LabError(f"{self.bits} bits are not to be had: use 8 or 4, or leave bits out")
        if self.init == "pissa" and self.bits:
            raise LabError(
                f"init='pissa' and bits={self.bits} do not go together, as what is left of W beside A and B would be "
                "stored, which is no base to switch back to: leave out one of them"
            )
        places.check_layers(self.layers)
        for part, rank in self._ranks:
            if part not in (*places.PARTS, *LINEARS) or not re.fullmatch(r"[1-9]\d*", rank):
                raise LabError(f"unknown ranks {self.ranks!r}: use something like decoder=16,q=4")

    def used(self) -> dict[str, Any]:
        """Its name and dials, with the alpha that is used."""
        return super().used() | {"alpha": self.alpha or 2 * self.rank}

    @property
    def _ranks(self) -> list[tuple[str, str]]:
        return [(part.strip(), rank) for part, _, rank in (one.partition("=") for one in self.ranks.split(",") if one)]

    def adapted(self, shape: Shape) -> Iterator[Linear]:
        """The linear layers of a model of this shape that are adapted."""
        return (
            one
            for one in shape.linears()
            if (one.name in self.targets or "all" in self.targets)
            and places.in_layers(self.layers, one.layer, shape.stacks[one.stack])
        )

    def rank_of(self, layer: Linear) -> int:
        """The rank of an adapted layer."""
        found = [int(rank) for part, rank in self._ranks if _within(layer, part)]
        return found[-1] if found else self.rank

    def check(self, shape: Shape) -> None:
        """Raise LabError if a dial names what is not there, or a rank is so high that nothing is saved any more."""
        places.check_layers_there(self.layers, shape)
        adapted = list(self.adapted(shape))
        for part, _ in self._ranks:
            if not any(_within(one, part) for one in adapted):
                raise LabError(f"ranks={self.ranks!r} names {part}, where nothing is adapted: change ranks or targets")
        too_high = [(min(one.inputs, one.outputs), self.rank_of(one)) for one in adapted]
        too_high = [(width, rank) for width, rank in too_high if rank > width]
        if too_high:
            width, rank = min(too_high)
            raise LabError(f"rank {rank} is above {width}, the width of the narrowest target layer: use 1 to {width}")

    def check_machine(self, device: str) -> None:
        """Raise LabError if fewer bits are not to be had on this machine."""
        if self.bits:
            quantization.check(self.bits, device)

    def trainable(self, shape: Shape) -> int:
        """A has rank x inputs and B outputs x rank weights; DoRA adds one length an output."""
        return sum(
            self.rank_of(one) * (one.inputs + one.outputs) + (one.outputs if self.dora else 0)
            for one in self.adapted(shape)
        )

    def added(self, shape: Shape) -> int:
        """PiSSA keeps beside A and B what they started from."""
        return self.trainable(shape) * (2 if self.init == "pissa" else 1)

    def stored(self, shape: Shape) -> int:
        """PiSSA stores beside A and B what they started from."""
        return self.added(shape)

    def prepare(self, net: Any) -> Any:
        """Store its matrices in fewer bits."""
        return quantization.quantize(net, self.bits) if self.bits else net

    def apply(self, net: Any, tokenizer: Any, seed: int) -> Any:
        """Wrap `net` with peft's LoRA."""
        from peft import LoraConfig, get_peft_model

        adapted = list(self.adapted(shape_of_net(net)))
        others = {one.path: self.rank_of(one) for one in adapted if self.rank_of(one) != self.rank}
        alpha = self.used()["alpha"]
        names = list(LINEARS if "all" in self.targets else self.targets)
        config = LoraConfig(
            task_type="SEQ_2_SEQ_LM",
            r=self.rank,
            lora_alpha=alpha,
            rank_pattern=others,
            alpha_pattern={path: alpha * self._growth(rank) for path, rank in others.items()},
            target_modules=names if self.layers == "all" else [one.path for one in adapted],
            lora_dropout=self.dropout,
            bias=self.bias,
            use_rslora=self.rslora,
            use_dora=self.dora,
        )
        peft_net = get_peft_model(net, config)
        if self.init == "pissa":
            from labkit.tuners.pissa import start_from_weights

            start_from_weights(peft_net)
        return peft_net

    def _growth(self, rank: int) -> float:
        """What alpha is multiplied by so that the scale stays."""
        return math.sqrt(rank / self.rank) if self.rslora else rank / self.rank

    def finish_saving(self, folder: Path) -> None:
        """Make PiSSA's file one that fits the untouched base."""
        if self.init == "pissa":
            from labkit.tuners.pissa import turn_into_plain_lora

            turn_into_plain_lora(folder)


def _within(layer: Linear, part: str) -> bool:
    return part == layer.name or bool(re.search(places.PARTS.get(part, "^$"), layer.path))


def checked_targets(targets: Any) -> tuple[str, ...]:
    """The targets, from a tuple, a list or "q,v"; LabError if one is no linear layer of T5, or there is none."""
    given = targets.split(",") if isinstance(targets, str) else targets
    named = tuple(target.strip() for target in given)
    unknown = [target for target in named if target not in (*LINEARS, "all")]
    if unknown or not named:
        raise LabError(
            f"unknown LoRA target {', '.join(unknown) or '(none given)'}: use all, or some of {', '.join(LINEARS)}"
        )
    return named


def check_alpha(alpha: float | None) -> None:
    """Raise LabError if it is given and cannot scale anything."""
    if alpha is not None and not 0 < alpha < math.inf:
        raise LabError(f"alpha {alpha} is no number above 0: use the rank or twice the rank")
