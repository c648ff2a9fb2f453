"""Several methods and seeds in one table, with intervals; what is stored is not trained again."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.evaluation import LEAD, Evaluation, evaluate
from labkit.intervals import Difference, Scores, paired_difference
from labkit.methods import Method, attach, restore
from labkit.models import Model, device_and_precision, load_model, revision_of
from labkit.parameters import FLAN_T5, count_parameters, shape_of, shape_of_config
from labkit.progress import RunBars
from labkit.runs import RUNS, Run, list_runs
from labkit.training import Training, train

BASE = "base"
MEANS = (
    "train_seconds", "generation_seconds", "peak_memory_mib", "adapter_bytes", "validation_loss",
    "train_cut", "test_cut",  # dialogues that were too long for the model
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One line of a comparison: one model, over all its seeds."""

    label: str
    method: str
    runs: tuple[Run, ...]

    @cached_property
    def results(self) -> list[dict[str, Any]]:
        """scores.json of each seed."""
        return [run.results for run in self.runs]

    @cached_property
    def scores(self) -> Scores:
        """ROUGE per dialogue, averaged over the seeds."""
        return Scores.over_seeds([run.scores for run in self.runs])

    def mean(self, name: str) -> float | None:
        """Mean over the seeds of one of the other results; None where there is none."""
        values = [result[name] for result in self.results if result.get(name) is not None]
        return float(np.mean(values)) if values else None

    def row(self, base: Scores | None) -> dict[str, Any]:
        """All that is known, ready for JSON; ROUGE from 0 to 1, means over references and seeds."""
        row: dict[str, Any] = {
            "method": self.method,
            "label": self.label,
            "seeds": len(self.runs),
            "trainable": self.results[0].get("trainable", 0),
            "percent": self.results[0].get("percent", 0.0),
        }
        row |= self.scores.row()
        per_seed = [run.scores.average("rouge1") for run in self.runs]
        row["rouge1_seeds"] = per_seed
        if base is not None:
            difference = paired_difference(self.scores, base, "rouge1")
            row["rouge1_gain"] = difference.mean
            row["rouge1_gain_interval"] = [difference.low, difference.high]
        row |= {name: self.mean(name) for name in MEANS}
        row["runs"] = [str(run.folder) for run in self.runs]
        return row


@dataclass(frozen=True)
class Comparison:
    """The lines of a comparison on one corpus."""

    model: str
    data: str
    entries: tuple[Entry, ...]

    def __getitem__(self, label: str) -> Entry:
        """The line of this label."""
        for entry in self.entries:
            if entry.label == label:
                return entry
        raise LabError(f"{label!r} is not compared here: there are {', '.join(e.label for e in self.entries)}")

    @property
    def base(self) -> Entry | None:
        """The untouched model's line, if it is there."""
        return next((entry for entry in self.entries if entry.label == BASE), None)

    def rows(self) -> list[dict[str, Any]]:
        """One dict a line, as `labkit compare --json` prints them."""
        base = self.base
        return [entry.row(base.scores if base and entry is not base else None) for entry in self.entries]

    def difference_rows(self) -> list[dict[str, Any]]:
        """`differences`, ready for JSON."""
        return [
            {"label": a, "against": b, "rouge1": d.mean, "interval": [d.low, d.high], "real": bool(d.real)}
            for a, b, d in self.differences()
        ]

    def differences(self, measure: str = "rouge1") -> list[tuple[str, str, Difference]]:
        """Every pair of lines, the later one minus the earlier one, paired by dialogue."""
        pairs = [(a, b) for i, a in enumerate(self.entries) for b in self.entries[i + 1 :]]
        return [(b.label, a.label, paired_difference(b.scores, a.scores, measure)) for a, b in pairs]

    def plot(self) -> Any:
        """ROUGE-1 of every line with its interval, as a plotly figure."""
        from labkit.plots import rouge_bars

        return rouge_bars(self.rows())

    def _repr_html_(self) -> str:
        from labkit.plots import html_table

        return html_table(self.rows())


def compare(
    methods: Sequence[Method],
    model: str | Model = "nano",
    data: Dialogues | None = None,
    *,
    seeds: Sequence[int] = (0,),
    training: Training | None = None,
    evaluation: Evaluation | None = None,
    root: str | Path = RUNS,
    report: Callable[[str, dict[str, Any]], Any] | None = None,
    **loading: Any,
) -> Comparison:
    """Train what is missing, reuse what is there for the same settings, and put all into one table.

    Args:
        methods: What to compare with the baseline and the untouched base.
        model: Name of the base, loaded only if something has to be run, or a loaded base.
        data: Dialogues; the embedded corpus unless given.
        seeds: Each method is trained once a seed; the table shows the means.
        training: How long and how fast.
        evaluation: On what, and how summaries are written.
        root: Folder of the runs.
        report: Called with (what is being done, news of it); None shows a bar a run.
        **loading: device, precision or revision for `load_model`.

    Returns:
        The table, with lead-2 and base first. Peak memory counts the untouched base beside the model that is trained.

    Raises:
        LabError: A dial or the data do not fit; told before anything is trained or written.
    """
    from labkit.dialogues import load_dialogues

    data = data or load_dialogues()
    if not seeds:
        raise LabError("no seed is given: use one or more")
    labels = [method.label for method in methods]
    if len(set(labels)) < len(labels):
        raise LabError(f"{', '.join(labels)}: the same method is named twice, name each once")
    for seed in seeds:
        if not 0 <= seed < 2**32:
            raise LabError(f"seed {seed} is out of range: use 0 to {2**32 - 1}")
    if loading and not isinstance(model, str):
        raise LabError(f"{model.name} is loaded already: give {', '.join(loading)} to load_model instead")
    training, evaluation = training or Training(), evaluation or Evaluation()
    with RunBars(training.steps, len(data.head(test=evaluation.rows).test)) as bars:
        job = _Job(model, data, methods, training, evaluation, Path(root), report or bars.report, loading)
        job.check()
        base = Entry(BASE, BASE, (job.run(None, 0),))  # first, because nothing is written before its model is loaded
        entries = [Entry(LEAD, LEAD, (job.run(None, 0, baseline=True),)), base]
        entries += [Entry(each.label, each.name, tuple(job.run(each, seed) for seed in seeds)) for each in methods]
    return Comparison(job.name, data.name, tuple(entries))


@dataclass
class _Job:
    """What all runs of one comparison share; the model is loaded when first needed."""

    model: str | Model
    data: Dialogues
    methods: Sequence[Method]
    training: Training
    evaluation: Evaluation
    root: Path
    report: Callable[[str, dict[str, Any]], Any]
    loading: dict[str, Any]

    @property
    def name(self) -> str:
        return self.model if isinstance(self.model, str) else self.model.name

    @cached_property
    def base(self) -> Model:
        model = load_model(self.model, **self.loading) if isinstance(self.model, str) else self.model
        if model.method is not None:
            raise LabError(f"{model.name} already has {model.method.label}: compare from the base model instead")
        for method in self.methods:
            method.check(shape_of_config(model.net.config.to_dict(), model.name))
        return model

    def check(self) -> None:
        """Refuse what cannot be compared, as far as that is known without loading a model."""
        if (rows := len(self.data.head(test=self.evaluation.rows).test)) < 2:
            raise LabError(
                f"too few test rows for an interval, {rows} of {self.data.name}: use 2 or more (files are cut 80/10/10)"
            )
        if self.methods and not (len(self.data.train) and len(self.data.validation)):
            raise LabError(f"{self.data.name} has no train or no validation rows: it is for testing only")
        if isinstance(self.model, Model):
            _ = self.base
        elif self.name in FLAN_T5 or revision_of(self.name):
            for method in self.methods:
                method.check(shape_of(self.name))

    def settings(self, method: Method | None, seed: int, baseline: bool) -> dict[str, Any]:
        test = {
            "evaluation": self.evaluation.settings(),
            "data": {"name": self.data.name, "fingerprint": self.data.fingerprint},
        }
        if baseline:
            return {"method": {"method": LEAD}, **test}
        if isinstance(self.model, Model):
            revision, precision = self.model.revision, self.model.precision
        else:
            revision = revision_of(self.name) or self.loading.get("revision") or "main"
            _, precision = device_and_precision(
                self.loading.get("device", "auto"), self.loading.get("precision", "auto")
            )
        model = {"name": self.name, "revision": revision, "precision": precision}
        if method is None:
            return {"method": None, "model": model, **test}
        training = replace(self.training, learning_rate=self.training.learning_rate or method.learning_rate)
        return {"method": method.dials(), "model": model, "training": training.settings(), "seed": seed, **test}

    def adopt(self, run: Run, settings: dict[str, Any]) -> None:
        """Take over the weights of a run that differs in its evaluation only: nothing is trained twice."""
        same = [key for key in settings if key != "evaluation"]
        asked = json.loads(json.dumps(settings))
        for other in list_runs(self.root):
            if (
                other.training
                and other.trained
                and not run.training
                and all(other.config.get(key) == asked[key] for key in same)
            ):
                run.copy_training(other)

    def run(self, method: Method | None, seed: int, baseline: bool = False) -> Run:
        settings = self.settings(method, seed, baseline)
        run = Run.at(self.root, settings)
        if run.finished:
            return run
        label = LEAD if baseline else BASE if method is None else f"{method.label} seed={seed}"
        tell = partial(self.report, label)
        if baseline:
            run.start(settings)
            evaluate(None, self.data, self.evaluation, run=run)
            return run
        model, results = self.base, {"trainable": 0, "percent": 0.0}
        loaded = {"revision": model.revision, "device": model.device}
        if method is not None:
            model = attach(self.base, method, seed=seed)
            count = count_parameters(model)
            run.start(settings, **loaded)
            results = {"trainable": count.trainable, "total": count.total, "percent": count.percent}
            self.adopt(run, settings)
            if run.training:  # it was broken off while it was scored, or was scored in another way
                model = restore(self.base, method, run.weights)
            else:
                train(model, self.data, run, self.training, seed=seed, report=tell)
            results |= run.training or {}
            results["adapter_bytes"] = run.weight_bytes
        run.start(settings, **loaded)
        evaluate(
            model, self.data, self.evaluation, run=run, results=results, progress=lambda done: tell({"summaries": done})
        )
        return run
