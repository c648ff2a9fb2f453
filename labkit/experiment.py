"""Run one method after another on one model and one corpus: attach, train, score, each in its run's folder."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from labkit.dialogues import Dialogues
from labkit.errors import LabError, StoppedError
from labkit.evaluation import LEAD, Evaluation, evaluate
from labkit.methods import METHODS, Method, attach, from_dials, restore
from labkit.models import Model, check_precision, device_here, load_model, precision_here, revision_of
from labkit.parameters import FLAN_T5, count_parameters, shape_of, shape_of_net
from labkit.runs import RUNS, Run, list_runs
from labkit.training import Training, train

BASE = "base"


def _say_nothing(label: str, news: dict[str, Any]) -> None:
    pass


@dataclass
class Experiment:
    """What all runs of one comparison share; the model is loaded when first needed.

    Args:
        model: Name of the base, or a loaded base.
        data: Train, validation and test rows.
        methods: What is going to be run, so that a dial that does not fit is refused before anything starts.
        training: How long and how fast.
        evaluation: On what, and how summaries are written.
        root: Folder of the runs.
        report: Called with (which run, a line of its history or the number of summaries written).
        loading: device, precision or revision for `load_model`.
        stopped: Whether to stop; asked after every step and every batch of summaries.
    """

    model: str | Model
    data: Dialogues
    methods: Sequence[Method] = ()
    training: Training = field(default_factory=Training)
    evaluation: Evaluation = field(default_factory=Evaluation)
    root: Path = RUNS
    report: Callable[[str, dict[str, Any]], Any] = _say_nothing
    loading: dict[str, Any] = field(default_factory=dict)
    stopped: Callable[[], bool] = lambda: False

    @property
    def name(self) -> str:
        """Name of the base."""
        return self.model if isinstance(self.model, str) else self.model.name

    @cached_property
    def base(self) -> Model:
        """The untouched base model."""
        model = load_model(self.model, **self.loading) if isinstance(self.model, str) else self.model
        if model.method is not None:
            raise LabError(f"{model.name} already has {model.method.label}: compare from the base model instead")
        for method in self.methods:
            method.check(shape_of_net(model.net, model.name))
        return model

    def check(self) -> None:
        """Refuse what cannot be compared, as far as that is known without loading a model."""
        if (rows := len(self.data.head(test=self.evaluation.rows).test)) < 2:
            raise LabError(
                f"too few test rows for an interval, {rows} of {self.data.name}: use 2 or more (files are cut 80/10/10)"
            )
        if self.methods and not (len(self.data.train) and len(self.data.validation)):
            raise LabError(f"{self.data.name} has no train or no validation rows: it is for testing only")
        for method in self.methods:
            method.check_rows(self.data.train)
            method.check_machine(self._device)
        if isinstance(self.model, Model):
            _ = self.base
        elif self._shape_is_known:
            for method in self.methods:
                method.check(shape_of(self.name))

    @property
    def _device(self) -> str:
        """The device of the base, loaded or not."""
        return self.model.device if isinstance(self.model, Model) else device_here(self.loading.get("device", "auto"))

    @property
    def _shape_is_known(self) -> bool:
        """Whether nothing has to be loaded to know the base's shape."""
        return self.name in FLAN_T5 or revision_of(self.name) is not None

    @cached_property
    def _precision(self) -> str:
        """The precision of the base, which is loaded for that only if there is no other way."""
        asked = check_precision(self.loading.get("precision", "auto"))
        if isinstance(self.model, Model) or (asked == "auto" and not self._shape_is_known):
            return self.base.precision
        return asked if asked != "auto" else precision_here(shape_of(self.name), self._device)

    def settings(self, method: Method | None, seed: int, baseline: bool) -> dict[str, Any]:
        """All that tells one run from another."""
        test = {
            "evaluation": self.evaluation.settings(),
            "data": {"name": self.data.name, "fingerprint": self.data.fingerprint},
        }
        if baseline:
            return {"method": {"method": LEAD}, **test}
        if isinstance(self.model, Model):
            revision = self.model.revision
        else:
            revision = revision_of(self.name) or self.loading.get("revision") or "main"
        model = {"name": self.name, "revision": revision, "precision": self._precision}
        if method is None:
            return {"method": None, "model": model, **test}
        training = replace(self.training, learning_rate=self.training.learning_rate or method.learning_rate)
        return {"method": method.dials(), "model": model, "training": training.settings(), "seed": seed, **test}

    def adopt(self, run: Run) -> None:
        """Take over the weights of a run that differs in its evaluation only: nothing is trained twice."""
        asked = {key: run.config[key] for key in ("method", "model", "training", "seed", "data")}
        for other in list_runs(self.root):
            same = all(other.config.get(key) == value for key, value in asked.items())
            if same and other.training and other.trained and not run.training:
                run.copy_training(other)

    def folder(self, method: Method | None, seed: int = 0, *, baseline: bool = False) -> Run:
        """The run of a method and a seed, there already or not."""
        return Run.at(self.root, self.settings(method, seed, baseline))

    def run(self, method: Method | None, seed: int = 0, *, baseline: bool = False) -> Run:
        """Train and score, or go on where that was broken off, or do nothing where all of it is there.

        Args:
            method: What to attach; None for the untouched base.
            seed: For all that is drawn.
            baseline: Whether to copy the first two turns instead.

        Returns:
            The finished run.

        Raises:
            LabError: A dial does not fit, or the loss is no number any more.
            StoppedError: Somebody stopped it.
        """
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
            model = attach(self.base, method, seed=seed)  # before anything is written: a dial may not fit
        run.start(settings, **loaded)
        if method is not None:
            model, results = self.trained(model, seed, run, tell)

        def written(done: int) -> None:
            tell({"summaries": done})
            if self.stopped():
                raise StoppedError(f"stopped after {done} summaries: start it again to go on")

        evaluate(model, self.data, self.evaluation, run=run, results=results, progress=written)
        return run

    def trained(
        self, model: Model, seed: int, run: Run, report: Callable[[dict[str, Any]], Any]
    ) -> tuple[Model, dict[str, Any]]:
        """A model, trained, and what its training came to."""
        count = count_parameters(model)
        self.adopt(run)
        if run.training:  # it was broken off while it was scored, or was scored in another way
            model = restore(self.base, model.method, run.weights)
        else:
            train(model, self.data, run, self.training, seed=seed, report=report, stopped=self.stopped)
        counted = {"trainable": count.trainable, "total": count.total, "percent": count.percent}
        return model, counted | (run.training or {}) | {"adapter_bytes": run.weight_bytes}


def turned(config: dict[str, Any]) -> dict[str, Any]:
    """Dials of training and evaluation, in a run's config, that are not as usual; steps and rows left out."""
    dials, settings = config.get("method") or {}, (config.get("training") or {}) | (config.get("evaluation") or {})
    usual = Training().settings() | Evaluation().settings()
    if dials.get("method") in METHODS:
        with suppress(LabError):  # of a run of another version, with dials that are not known here
            usual["learning_rate"] = from_dials(dials).learning_rate
    return {
        name: value for name, value in settings.items() if name not in ("steps", "rows") and value != usual.get(name)
    }
