"""Panels for JupyterLab: views on what the rest of labkit computes.

Example:
    >>> from labkit import widgets
    >>> widgets.Budget("google/flan-t5-base")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.widgets.anatomy import Anatomy as Anatomy
    from labkit.widgets.budget import Budget as Budget
    from labkit.widgets.comparison import ComparisonPanel as ComparisonPanel
    from labkit.widgets.judge import Judge as Judge
    from labkit.widgets.neighbours import Neighbours as Neighbours
    from labkit.widgets.summaries import Summaries as Summaries
    from labkit.widgets.sweep import Sweep as Sweep
    from labkit.widgets.trainer import Trainer as Trainer

_HOMES = {
    "Anatomy": "anatomy",
    "Budget": "budget",
    "ComparisonPanel": "comparison",
    "Judge": "judge",
    "Neighbours": "neighbours",
    "Summaries": "summaries",
    "Sweep": "sweep",
    "Trainer": "trainer",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'labkit.widgets' has no attribute {name!r}")
    return getattr(import_module(f"labkit.widgets.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
