"""The options of the command line; the dials of methods, training and evaluation come from their dataclasses."""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer

from labkit.errors import LabError
from labkit.methods import METHODS, Method, check_bits, make_method
from labkit.paths import embedded_models
from labkit.training import Training

NAMES = ", ".join(METHODS)

Model = Annotated[
    str,
    typer.Option(help=f"{', '.join(embedded_models())}, google/flan-t5-small to -xxl, a folder, or a Hub id."),
]
BaseModel = Annotated[str | None, typer.Option("--model", help="A base model; nano unless given.")]
Data = Annotated[
    str, typer.Option(help="nano, handwritten, knkarthick/dialogsum, a csv, jsonl or parquet file, or a folder.")
]
Columns = Annotated[
    list[str] | None,
    typer.Option("--columns", help="Name of a column in your file, as dialogue=text or summary=short."),
]
Methods = Annotated[str, typer.Option("--methods", help=f"Methods to compare, with commas: {NAMES}.")]
OneMethod = Annotated[str, typer.Option("--method", help=f"One of {NAMES}.")]
Seed = Annotated[int, typer.Option(help="Seed of the start values, the order of the data, and dropout.")]
Seeds = Annotated[int, typer.Option(help="How many seeds: 3 trains each method with seeds 0, 1 and 2.")]
Out = Annotated[Path, typer.Option(help="Folder of the runs.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Precision = Annotated[str, typer.Option(help="auto, fp32 or bf16.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else.")]

SHORT = {"learning_rate": "--lr"}
Command = Callable[..., None]


def takes(*further: list[inspect.Parameter]) -> Callable[[Command], Command]:
    """Give a command further options, which it receives as **options."""

    def extend(command: Command) -> Command:
        own = [p for p in inspect.signature(command).parameters.values() if p.kind is not p.VAR_KEYWORD]
        added = [parameter for group in further for parameter in group]
        command.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
        return command

    return extend


def settings(kind: type) -> list[inspect.Parameter]:
    """An option for each field of Training or Evaluation."""
    return [
        _option(field.name, field, field.default, kind.__name__, _told(kind, field, field.default))
        for field in fields(kind)
    ]


def dials() -> list[inspect.Parameter]:
    """An option for each dial of the methods; none is set unless it is given."""
    owners: dict[str, dict[type[Method], Field[Any]]] = {}
    for method in METHODS.values():
        for name, field in _dials(method).items():
            owners.setdefault(name, {})[method] = field
    return [_dial(name, having) for name, having in owners.items()]


def methods(names: Sequence[str], options: dict[str, Any]) -> list[Method]:
    """The methods of these names, with the dials that were given.

    Raises:
        LabError: There is no such method, it refuses a dial's value, or a dial was given that none of them has.
    """
    made, fitting = list[Method](), set[str]()
    for name in names:
        known = _dials(METHODS[name]) if name in METHODS else {}
        try:
            made.append(make_method(name, **{field.name: options[each] for each, field in known.items()}))
        except LabError as error:  # of a dial that several methods have, another one may well take the value
            raise LabError(f"{name}: {error}" if known and len(names) > 1 else str(error)) from error
        fitting |= known.keys()
    for parameter in dials():
        if parameter.name not in fitting and options[parameter.name] is not None:
            for name in names:
                check_bits(name, parameter.name)
            flag = "--" + parameter.name.replace("_", "-")
            having = ", ".join(method.name for method in METHODS.values() if parameter.name in _dials(method))
            raise LabError(f"{flag} is no dial of {' or '.join(names)}: leave it out, or take one of {having}")
    return made


def built(kind: type, options: dict[str, Any]) -> Any:
    """Training or Evaluation, as the options set it."""
    return kind(**{field.name: options[field.name] for field in fields(kind)})


def _dials(method: type[Method]) -> dict[str, Field[Any]]:
    """The dials of a method by the name of their option: where training has one so called, with the method's name."""
    taken = {field.name for field in fields(Training)}
    names = {field.name: field for field in fields(method)}
    return {f"{method.name}_{name}" if name in taken else name: field for name, field in names.items()}


def _dial(name: str, owners: dict[type[Method], Field[Any]]) -> inspect.Parameter:
    """One option for the dials of one name; where several methods have it, its help says whose is what."""
    told = dict[str, list[str]]()
    for method, field in owners.items():
        told.setdefault(_told(method, field, None), []).append(method.name)
    (first, field), *others = owners.items()
    text = " ".join(f"{', '.join(names)}: {one}" for one, names in told.items()) if others else next(iter(told))
    return _option(name, field, None, "Dials of several methods" if others else f"Dials of {first.name}", text)


def _told(owner: type, field: Field[Any], default: Any) -> str:
    """What the docstring of a dataclass says of a field."""
    described = re.search(rf"^\s*{field.name}: (.+?)(?=^\s*\w+: |\Z)", inspect.getdoc(owner) or "", re.M | re.S)
    assert described, f"{owner.__name__} does not describe {field.name}"
    told = " ".join(described[1].split())
    if default is None and field.default not in (None, ""):
        told += f" ({_shown(field.default)} unless given)"
    return told


def _option(name: str, field: Field[Any], default: Any, panel: str, told: str) -> inspect.Parameter:
    kind = next(kind for kind in (*get_args(field.type), field.type) if isinstance(kind, type))
    if get_origin(field.type) is tuple:
        kind = str
    flag = SHORT.get(name, "--" + name.replace("_", "-"))
    option = typer.Option(flag, help=told, rich_help_panel=panel, show_default=default is not None)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind | None, option]
    )


def _shown(default: Any) -> str:
    return ",".join(default) if isinstance(default, tuple) else str(default)
