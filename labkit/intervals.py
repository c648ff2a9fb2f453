"""Per-dialogue scores, and how sure one can be of their average and of the difference between two models.

Apart from `rouge.py` because evaluate imports torch, and looking at the scores of an old run should not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from labkit.errors import LabError

MEASURES = ("rouge1", "rouge2", "rougeL", "rougeLsum")
FloatArray = NDArray[np.float64]
ReferencesBy = Literal["mean", "max"]


@dataclass(frozen=True, eq=False)  # the == of a dataclass cannot compare arrays
class Scores:
    """Per-dialogue ROUGE of one model's summaries.

    Args:
        ids: The n dialogues, each once.
        mean: For each measure, F-measures in 0..1, shape (n,), averaged over a dialogue's references.
        max: The same for a dialogue's best reference.
        words: Length of each summary in words, shape (n,).

    Raises:
        LabError: If an array does not have one number per dialogue.
    """

    ids: tuple[str, ...]
    mean: dict[str, FloatArray]
    max: dict[str, FloatArray]
    words: FloatArray

    def __post_init__(self) -> None:
        n = len(self.ids)
        for array in (*self.mean.values(), *self.max.values(), self.words):
            if array.shape != (n,):
                raise LabError(f"scores of shape {array.shape} for {n} dialogues: give one number per dialogue")

    def of(self, measure: str, references_by: ReferencesBy = "mean") -> FloatArray:
        """One F-measure per dialogue.

        Args:
            measure: "rouge1", "rouge2", "rougeL" or "rougeLsum".
            references_by: "mean" over a dialogue's references, or "max" for the best of them.

        Returns:
            F-measures in 0..1, shape (n,).

        Raises:
            LabError: If there is no such measure or no such way with references.
        """
        ways: dict[str, dict[str, FloatArray]] = {"mean": self.mean, "max": self.max}
        if references_by not in ways:
            raise LabError(f'references_by={references_by!r} is unknown: use "mean" or "max"')
        if measure not in ways[references_by]:
            raise LabError(f"measure {measure!r} is unknown: use one of {', '.join(ways[references_by])}")
        return ways[references_by][measure]

    def average(self, measure: str, references_by: ReferencesBy = "mean") -> float:
        """Average F-measure over the dialogues, in 0..1; arguments and errors as for `of`."""
        return float(self.of(measure, references_by).mean())

    def interval(
        self,
        measure: str,
        level: float = 0.95,
        draws: int = 2000,
        seed: int = 0,
        references_by: ReferencesBy = "mean",
    ) -> tuple[float, float]:
        """Bootstrap percentile interval of `average`.

        Args:
            measure: "rouge1", "rouge2", "rougeL" or "rougeLsum".
            level: Share of the resampled averages inside the interval, in 0..1.
            draws: How many times the dialogues are resampled.
            seed: Makes the draws repeatable.
            references_by: "mean" over a dialogue's references, or "max" for the best of them.

        Returns:
            Lower and upper end, in 0..1.

        Raises:
            LabError: As for `of`; for fewer than two dialogues; for a level or draws that make no interval.
        """
        return bootstrap(self.of(measure, references_by), level, draws, seed)

    def row(self) -> dict[str, Any]:
        """All averages, for JSON: each measure with its interval and over the best references, and words a summary."""
        row: dict[str, Any] = {"words": float(self.words.mean())}
        for measure in self.mean:
            row[measure] = self.average(measure)
            row[f"{measure}_interval"] = list(self.interval(measure))
            row[f"{measure}_max"] = self.average(measure, "max")
        return row

    def to_json(self) -> dict[str, Any]:
        """Plain lists for a scores.json, rounded to 6 digits."""
        return {
            "ids": list(self.ids),
            "mean": {measure: _rounded(values) for measure, values in self.mean.items()},
            "max": {measure: _rounded(values) for measure, values in self.max.items()},
            "words": _rounded(self.words),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Scores:
        """The scores that `to_json` wrote.

        Raises:
            LabError: If a field is missing, or an array does not have one number per dialogue.
        """
        missing = [name for name in ("ids", "mean", "max", "words") if name not in fields]
        if missing:
            raise LabError(f"scores without {', '.join(missing)}: score the summaries again")
        return cls(
            ids=tuple(fields["ids"]),
            mean={measure: np.array(values, dtype=float) for measure, values in fields["mean"].items()},
            max={measure: np.array(values, dtype=float) for measure, values in fields["max"].items()},
            words=np.array(fields["words"], dtype=float),
        )

    @classmethod
    def over_seeds(cls, seeds: Sequence[Scores]) -> Scores:
        """Per-dialogue averages over the runs of one method that differ in their seed only.

        An interval of the result still speaks of other dialogues, not of other seeds.

        Args:
            seeds: Scores of the same dialogues in the same order, one per seed.

        Returns:
            Scores of the same dialogues.

        Raises:
            LabError: If there are none, or their dialogues differ.
        """
        if not seeds:
            raise LabError("no scores to average over seeds: give at least one")
        for other in seeds[1:]:
            _same_dialogues(seeds[0], other)
        return cls(
            ids=seeds[0].ids,
            mean={measure: np.mean([s.mean[measure] for s in seeds], axis=0) for measure in seeds[0].mean},
            max={measure: np.mean([s.max[measure] for s in seeds], axis=0) for measure in seeds[0].max},
            words=np.mean([s.words for s in seeds], axis=0),
        )


@dataclass(frozen=True)
class Difference:
    """How much one model's average F-measure is above another's, with its interval.

    Args:
        mean: Average difference, in -1..1.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    mean: float
    low: float
    high: float

    @property
    def real(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def paired_difference(
    a: Scores,
    b: Scores,
    measure: str,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    references_by: ReferencesBy = "mean",
) -> Difference:
    """How much `a` is above `b` on the same dialogues, by paired bootstrap.

    A dialogue that is hard for one model is hard for the other; taking the difference within each dialogue
    removes that shared part, so the interval is narrower than two separate ones suggest.

    Source: P. Koehn, "Statistical significance tests for machine translation evaluation", EMNLP 2004.

    Args:
        a: Scores of one model.
        b: Scores of another, of the same dialogues in the same order.
        measure: "rouge1", "rouge2", "rougeL" or "rougeLsum".
        level: Share of the resampled averages inside the interval, in 0..1.
        draws: How many times the dialogues are resampled.
        seed: Makes the draws repeatable.
        references_by: "mean" over a dialogue's references, or "max" for the best of them.

    Returns:
        The average of a - b with its interval.

    Raises:
        LabError: If the dialogues differ; otherwise as for `Scores.interval`.
    """
    _same_dialogues(a, b)
    differences = a.of(measure, references_by) - b.of(measure, references_by)
    low, high = bootstrap(differences, level, draws, seed)
    return Difference(mean=float(differences.mean()), low=low, high=high)


def bootstrap(values: FloatArray, level: float = 0.95, draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Bootstrap percentile interval of a mean.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.

    Args:
        values: One number per dialogue, shape (n,).
        level: Share of the resampled means inside the interval, in 0..1.
        draws: How many times the values are resampled.
        seed: Makes the draws repeatable.

    Returns:
        Lower and upper end.

    Raises:
        LabError: For fewer than two values; for a level or draws that make no interval.
    """
    n = len(values)
    if n < 2:
        raise LabError(f"no interval from {n} dialogue(s): score at least 2")
    if not 0 < level < 1:
        raise LabError(f"level={level} makes no interval: use a number between 0 and 1, such as 0.95")
    if draws < 1:
        raise LabError(f"draws={draws} makes no interval: use at least 1, better 2000")
    # A value is one dialogue's, already averaged over its references and seeds: these depend on each other,
    # and drawing them one by one would count the same dialogue as several pieces of evidence.
    drawn = np.random.default_rng(seed).integers(n, size=(draws, n))
    low, high = np.quantile(values[drawn].mean(axis=1), ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def _same_dialogues(a: Scores, b: Scores) -> None:
    if a.ids != b.ids:
        where = next((i for i, (x, y) in enumerate(zip(a.ids, b.ids, strict=False)) if x != y), None)
        what = f"{len(a.ids)} and {len(b.ids)}" if where is None else f"{a.ids[where]!r} and {b.ids[where]!r}"
        raise LabError(f"scores of different dialogues ({what}): score the same dialogues in the same order")


def _rounded(values: FloatArray) -> list[float]:
    return [round(value, 6) for value in values.tolist()]
