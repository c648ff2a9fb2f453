"""What every method is: a frozen set of dials that can count, and attach itself to a network."""

import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from labkit.dials import check_types
from labkit.parameters import Count, Shape


@dataclass(frozen=True)
class Method:
    """A way to fine-tune, with its dials as fields.

    Attributes:
        name: Its name on the command line.
        learning_rate: What it trains well with when no other is given.
        unmergeable: Why it cannot be merged into the weights of the base; empty if it can.
        tuner: The module of labkit.tuners without which peft does not know it; empty if peft has it.
    """

    name: ClassVar[str]
    learning_rate: ClassVar[float]
    unmergeable: ClassVar[str] = ""
    tuner: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Refuse a dial of another type than its own."""
        check_types(self)

    def check(self, shape: Shape) -> None:
        """Raise LabError if a dial does not fit a model of this shape."""

    def check_machine(self, device: str) -> None:
        """Raise LabError if it needs a library or a device that is not there."""

    def check_rows(self, rows: Any) -> None:
        """Raise LabError if it cannot be trained on these rows."""

    def trainable(self, shape: Shape) -> int:
        """How many parameters it trains, from the shape alone."""
        raise NotImplementedError

    def added(self, shape: Shape) -> int:
        """How many of them are new, beside the base's own."""
        return self.trainable(shape)

    def stored(self, shape: Shape) -> int:
        """How many parameters its file holds."""
        return self.trainable(shape)

    def while_training(self, net: Any, steps: int) -> list[Any]:
        """Callbacks of transformers' Trainer that it needs while `net`, with the method on it, is trained.

        One with a function `save_to`, which takes a folder, puts what it needs to go on into each checkpoint.
        """
        return []

    def finish_saving(self, folder: Path) -> None:
        """Change what peft saved in a folder, where the file is to hold it in another form."""

    def prepare(self, net: Any) -> Any:
        """Make of `net`, a copy of the base, what the method is put on, new or with trained weights."""
        return net

    def apply(self, net: Any, tokenizer: Any, seed: int) -> Any:
        """Change `net`, a copy that the method may keep, so that just its own parameters train."""
        raise NotImplementedError

    @property
    def virtual_tokens(self) -> int:
        """Tokens it puts in front of every prompt."""
        return 0

    def count(self, shape: Shape) -> Count:
        """Trainable and total parameters of a model of this shape with the method attached."""
        self.check(shape)
        return Count(self.trainable(shape), shape.total + self.added(shape))

    def dials(self) -> dict[str, Any]:
        """Its name and the value of every dial, ready for JSON."""
        return {"method": self.name, **asdict(self)}

    def used(self) -> dict[str, Any]:
        """The same, with what stands in for dials that were not given."""
        return self.dials()

    @property
    def label(self) -> str:
        """Its name with the dials that were turned: "lora rank=16"."""
        turned = [
            f"{f.name}={_short(getattr(self, f.name))}" for f in fields(self) if getattr(self, f.name) != f.default
        ]
        return " ".join([self.name, *turned])


def _short(value: Any) -> str:
    text = ",".join(value) if isinstance(value, tuple) else str(value)
    return re.sub(r"\s+", "_", text)
