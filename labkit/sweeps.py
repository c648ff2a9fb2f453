"""Turn one dial of a method over several values, and compare; what is stored is not trained again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from labkit.comparison import Comparison, Entry, compare
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.evaluation import Evaluation
from labkit.intervals import MEASURES, Scores, paired_difference
from labkit.methods import Method
from labkit.models import Model
from labkit.runs import RUNS
from labkit.sweep_results import SweepResult as SweepResult
from labkit.training import Training

# 97.5 % quantiles of Student's t for 1 to 9 degrees of freedom
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


def sweep(
    method: Method,
    dial: str,
    values: Sequence[float],
    *,
    model: str | Model = "nano",
    data: Dialogues | None = None,
    seeds: Sequence[int] = (0,),
    training: Training | None = None,
    evaluation: Evaluation | None = None,
    root: str | Path = RUNS,
    report: Callable[[str, dict[str, Any]], Any] | None = None,
) -> SweepResult:
    """Train a method with each value of one of its dials.

    Args:
        method: The method, its other dials as wanted.
        dial: Which of its dials to turn, such as "rank" or "tokens".
        values: Two or more different values.
        model: Name of the base, or a loaded base.
        data: Dialogues; the embedded corpus unless given.
        seeds: Each value is trained once a seed.
        training: How long and how fast.
        evaluation: On what, and how summaries are written.
        root: Folder of the runs.
        report: Called with (what is being done, news of it); None shows a bar a run.

    Returns:
        A row a value, the smallest first.

    Raises:
        LabError: The method has no such dial, or a value or the data do not fit; told before anything is trained.
    """
    methods = _turned(method, dial, values)
    table = compare(
        methods, model, data, seeds=seeds, training=training, evaluation=evaluation, root=root, report=report
    )
    return _result(table, dial, methods)


def _turned(method: Method, dial: str, values: Sequence[float]) -> list[Method]:
    """The method once for each value, the smallest first."""
    now = {field.name: getattr(method, field.name) for field in fields(method)}
    kinds = {name: int if type(value) is int else float for name, value in now.items() if _is_number(value)}
    if dial not in kinds:
        raise LabError(f"{method.name} has no dial {dial!r} to sweep: it has {', '.join(kinds) or 'none'}")
    for value in values:
        if type(value) not in (int, kinds[dial]):
            raise LabError(f"{dial} {value!r} is no {'whole ' if kinds[dial] is int else ''}number: use one like 4")
    if len(set(values)) < max(2, len(values)):
        raise LabError(f"{dial} {', '.join(map(str, values))} makes no sweep: give two or more values, each once")
    return [replace(method, **{dial: value}) for value in sorted(values)]


def _is_number(value: Any) -> bool:
    return value is None or type(value) in (int, float)  # LoRA's alpha is None unless given; True is a switch


def _result(table: Comparison, dial: str, methods: Sequence[Method]) -> SweepResult:
    _, base, *entries = table.entries
    best = {}
    for measure in MEASURES:
        means = [entry.scores.average(measure) for entry in entries]
        best[measure] = entries[means.index(max(means))].scores
    config = entries[0].runs[0].config
    settings = {name: config[name] for name in ("model", "data", "training", "evaluation", "environment")}
    return SweepResult(
        dial,
        {name: value for name, value in methods[0].dials().items() if name != dial},
        settings | {"dialogues": len(base.scores.ids)},
        _without_paths(base.row(None)),
        [_row(getattr(each, dial), entry, base.scores, best) for each, entry in zip(methods, entries, strict=True)],
    )


def _row(value: float, entry: Entry, base: Scores, best: Mapping[str, Scores]) -> dict[str, Any]:
    row = {"value": value} | _without_paths(entry.row(base))
    for measure in MEASURES:
        behind = paired_difference(entry.scores, best[measure], measure)
        seeds = [run.scores.average(measure) for run in entry.runs]
        row[f"{measure}_behind"], row[f"{measure}_behind_interval"] = behind.mean, [behind.low, behind.high]
        row[f"{measure}_seeds"], row[f"{measure}_seeds_interval"] = seeds, seeds_interval(seeds)
    return row


def _without_paths(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"runs": [Path(folder).name for folder in row["runs"]]}


def seeds_interval(means: Sequence[float]) -> list[float] | None:
    """95 % t-interval over seeds: it tells of other seeds, not of other dialogues, and is very wide for two.

    Source: Student, "The probable error of a mean", Biometrika 1908.

    Args:
        means: One mean a seed.

    Returns:
        Lower and upper end; None for fewer than two seeds.
    """
    free = len(means) - 1
    if free < 1:
        return None
    # beyond the table by the expansion of Abramowitz and Stegun, "Handbook of Mathematical Functions", 1964, 26.7.5
    t = STUDENT[free - 1] if free <= len(STUDENT) else 1.96 + 2.372 / free + 2.823 / free**2 + 2.556 / free**3
    middle, half = float(np.mean(means)), t * float(np.std(means, ddof=1)) / len(means) ** 0.5
    return [middle - half, middle + half]
