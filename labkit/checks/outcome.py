"""What a check is, and how a number is compared with the right one and with what usual mistakes give."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any


@dataclass(frozen=True)
class Check:
    """The outcome of an exercise: true if it is right.

    Attributes:
        right: Whether it is.
        text: What is right about it, or what is wrong and where to look.
    """

    right: bool
    text: str

    def __bool__(self) -> bool:
        """Whether it is right."""
        return self.right

    def __repr__(self) -> str:
        return f"{'Right' if self.right else 'Not yet'}: {self.text}"

    def _repr_html_(self) -> str:
        color = "#009e73" if self.right else "#d55e00"
        return f"<p style='border-left: 4px solid {color}; padding-left: 8px'>{escape(repr(self))}</p>"


def check(
    name: str, given: Any, wanted: float, mistakes: Sequence[tuple[float, str]], hint: str, tolerance: float = 1e-6
) -> Check:
    """Compare a number with the right one, and with what the usual mistakes would give.

    Args:
        name: What the number is, with its unit.
        given: What the learner came to.
        wanted: What is right.
        mistakes: The number that a mistake gives, and what to say of it; the first that fits is told.
        hint: What to say if none fits.
        tolerance: How far off, as a share, still counts.

    Returns:
        The outcome; it never tells the right number.
    """
    try:
        number = float(given)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        return Check(False, f"{str(given)[:40]!r} is no number, {name} is one: {_ended(hint)}")
    if number == 0 != wanted:
        return Check(False, f"{name} is still 0: put your answer into the cell above.")
    if math.isclose(number, wanted, rel_tol=tolerance):
        return Check(True, f"{number:,.10g} is {name}.")
    for value, said in mistakes:
        if math.isclose(number, value, rel_tol=tolerance):
            return Check(False, f"{number:,.10g} is not {name}: {said}.")
    return Check(False, f"{number:,.10g} is too {'high' if number > wanted else 'low'} for {name}: {_ended(hint)}")


def _ended(text: str) -> str:
    return text if text.endswith("?") else f"{text}."
