"""Dials hold what their type says: a whole number, a number, a yes or no, or a text."""

from dataclasses import fields
from numbers import Integral, Real
from types import UnionType
from typing import Any, get_args

from labkit.errors import DialTypeError

KINDS: dict[type, tuple[type, str]] = {
    bool: (bool, "True or False"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    str: (str, "a text"),
}


def check_types(dials: Any) -> None:
    """Refuse values that would only fail, or be taken for something else, when they are used.

    Args:
        dials: A dataclass with fields of the types above, some of them optional; others are not looked at.

    Raises:
        DialTypeError: A field holds something else than its type.
    """
    for field in fields(dials):
        value = getattr(dials, field.name)
        kinds = get_args(field.type) if isinstance(field.type, UnionType) else (field.type,)
        fitting, wanted = next((KINDS[kind] for kind in kinds if kind in KINDS), (object, ""))
        left_out = value is None and type(None) in kinds
        if not left_out and (not isinstance(value, fitting) or (isinstance(value, bool) and fitting is not bool)):
            raise DialTypeError(f"{field.name} is {value!r}: use {wanted}")
