"""The dials of a method, made from the fields of its dataclass."""

from collections.abc import Callable, Sequence
from dataclasses import Field, fields, replace
from typing import Any

import ipywidgets as widgets
import traitlets

from labkit.methods import METHODS, Method
from labkit.methods.bottleneck import PLACES
from labkit.methods.lora import INITS as LORA_INITS
from labkit.methods.lora import LINEARS
from labkit.methods.prompt_tuning import INITS
from labkit.methods.selective import KINDS, PARTS
from labkit.quantization import BITS
from labkit.widgets.parts import Dial, choice, wrapped

RANGES = {"rank": (1, 256), "tokens": (1, 256), "width": (1, 512), "hidden": (1, 1024)}
TARGETS = [("q, v", ("q", "v")), ("q, k, v, o", LINEARS[:4]), ("all layers", ("all",))]
SWITCH = [("off", False), ("on", True)]
STORED = [("32", None), *((str(each), each) for each in BITS)]
START = [("1.5 x rank", None), *((str(each), each) for each in (16, 32, 64))]
NETWORK = [("none", None), ("16 wide", 16), ("64 wide", 64), ("256 wide", 256)]
LAYERS = ("all", "last 1", "last 2", "0", "0,1")
CHOICES: dict[str, Sequence[Any]] = {  # a dial of one method goes before one of the same name
    "targets": TARGETS,
    "init": INITS,
    "lora init": LORA_INITS,
    "start": START,
    "rslora": SWITCH,
    "dora": SWITCH,
    "bits": STORED,
    "part": list(PARTS),
    "selective layers": LAYERS,
    "llama-adapter layers": LAYERS,
    "weights": KINDS,
    "place": list(PLACES),
    "cross": SWITCH,
    "mlp": NETWORK,
    "encoder": SWITCH,
}
LABELS = {  # of fields that are called otherwise
    "rslora": "rsLoRA",
    "dora": "DoRA",
    "bits": "bits of W",
    "cross": "to the encoder",
    "mlp": "network",
    "encoder": "in the encoder",
}


NONE = "none"  # ipywidgets takes None for a list in which nothing is chosen


class MethodDials(widgets.HBox):  # type: ignore[misc]
    """A list of methods, and the dials of the chosen one.

    Args:
        on_change: Called whenever the method is another one.
        method: What it shows first.
    """

    disabled = traitlets.Bool(False)

    def __init__(self, on_change: Callable[[], Any], method: Method | None = None):
        self._changed: Callable[[], Any] = lambda: None
        self._dials: dict[str, Any] = {}
        self._shown = method or METHODS["lora"]()
        self._name = choice("method", list(METHODS), self._shown.name, lambda name: self._turn_to(METHODS[name]()))
        super().__init__(layout=wrapped())
        self._turn_to(self._shown)
        self._changed = on_change
        self.observe(self._freeze, "disabled")

    @property
    def method(self) -> Method:
        """The method as the dials say; what has no dial here is as it was given.

        Raises:
            LabError: A dial's value is refused.
        """
        return replace(self._shown, **{name: _value(dial) for name, dial in self._dials.items()})

    def turn(self, **dials: Any) -> None:
        """Turn dials by their names."""
        for name, value in dials.items():
            self._dials[name].value = NONE if value is None else value

    def _freeze(self, change: Any) -> None:
        for each in (self._name, *self._dials.values()):
            each.disabled = change["new"]

    def _turn_to(self, method: Method) -> None:
        self._shown = method
        made = {field.name: self._dial(field, getattr(method, field.name)) for field in fields(method)}
        self._dials = {name: dial for name, dial in made.items() if dial is not None}
        self.children = (self._name, *self._dials.values())
        self._changed()

    def _dial(self, field: Field[Any], value: Any) -> Any:
        if field.name in RANGES:
            low, high = RANGES[field.name]
            return Dial(field.name, value, low, max(high, value), on_change=lambda _: self._changed())
        options = CHOICES.get(f"{self._shown.name} {field.name}", CHOICES.get(field.name))
        if options:
            pairs = [option if isinstance(option, tuple) else (option, option) for option in options]
            if value not in [known for _, known in pairs]:
                pairs.append((str(value), value))
            listed = [(text, NONE if known is None else known) for text, known in pairs]
            label, shown = LABELS.get(field.name, field.name), NONE if value is None else value
            return choice(label, listed, shown, lambda _: self._changed())
        return None  # a dial for a notebook's cell


def _value(dial: Any) -> Any:
    value = dial.number if isinstance(dial, Dial) else dial.value
    return None if value == NONE else value
