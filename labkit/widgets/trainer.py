"""Panel: turn the dials, start a training, watch it, stop it, go on with it."""

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from labkit.curves import POINTS, plot_curves, progress, validation_rows
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.evaluation import Evaluation
from labkit.experiment import Experiment
from labkit.live import LiveRun, find, latest
from labkit.methods import Method, from_dials
from labkit.models import Model
from labkit.parameters import shape_of_net
from labkit.runs import RUNS, Run
from labkit.training import Training
from labkit.widgets.dials import MethodDials
from labkit.widgets.parts import Chart, Column, Dial, Panel, Table, button, note, row, say

COLUMNS = ("step", Column("loss", "{:.3f}"), Column("validation loss", "{:.3f}"), Column("seconds", "{:.0f}"))
PAUSE = 0.4  # seconds between two lines of news
UNSEEN = (0.0, "", 0)


class Trainer(Panel):
    """Train one method after another on one model and corpus, in a thread; clicks act while it trains.

    Run the cell again, or reload the page and run it again, and the panel shows the run that was started last in this
    notebook, with its whole history. What it trains is what `compare` would train, so a comparison finds it done.

    Args:
        base: A loaded base model.
        data: Dialogues.
        method: What the dials show first.
        training: How long and how fast; the panel has a dial for the steps.
        evaluation: On what the run is scored at its end.
        root: Folder of the runs.
    """

    def __init__(
        self,
        base: Model,
        data: Dialogues,
        method: Method | None = None,
        training: Training | None = None,
        evaluation: Evaluation | None = None,
        root: str | Path = RUNS,
    ):
        training = training or Training()
        self._experiment = Experiment(base, data, (), training, evaluation or Evaluation(), Path(root))
        self._experiment.check()
        self.live: LiveRun | None = None  # what the dials stand for
        self._seen = UNSEEN  # when it told its news last, in which state, and up to which step its curve is drawn
        self._drawing = threading.Lock()
        self._unlisten: Any = None
        self.status, self.chart, self.table = note(""), Chart(300), Table(COLUMNS, file="history.csv")
        self.start_button, self.stop_button = button("Start", self.start, main=True), button("Stop and save", self.stop)
        found = self._last_run()
        if found:
            method, training = from_dials(found.config["method"]), Training(**found.config["training"])
        self.steps = Dial("steps", training.steps, 1, 3000, 1, lambda _: self._choose())
        self.seed = Dial("seed", found.config["seed"] if found else 0, 0, 99, 1, lambda _: self._choose())
        self.dials = MethodDials(self._choose, method)
        buttons = row(self.start_button, self.stop_button)
        dials = [self.dials, row(self.steps, self.seed)]
        super().__init__(f"Train {base.name}", *dials, buttons, self.status, self.chart, self.table)
        self._choose()

    def start(self) -> None:
        """Start what the dials say, or go on with it where it was stopped."""
        if self.live:
            self.live.start()
            self._draw()

    def stop(self) -> None:
        """Save and stop after this step."""
        if self.live:
            self.live.stop()

    def _last_run(self) -> Run | None:
        """The run that was started last in this notebook, if it is on this model and corpus."""
        live = latest(self._experiment.root)
        asked = live.run.config.get("training") if live else None
        if not live or not asked:
            return None
        method, seed = from_dials(live.run.config["method"]), live.run.config["seed"]
        same = self._experiment_of(asked["steps"]).folder(method, seed).folder.resolve()
        return live.run if same == live.run.folder.resolve() else None

    def _experiment_of(self, steps: int) -> Experiment:
        return replace(self._experiment, training=replace(self._experiment.training, steps=steps))

    def _choose(self) -> None:
        """Take up the run that the dials stand for."""
        if not hasattr(self, "dials") or (self.live and self.live.going):
            return
        if self._unlisten:
            self._unlisten()
        try:
            method = self.dials.method
            method.check(shape_of_net(self._experiment.base.net, self._experiment.name))
            self.live = find(self._experiment_of(self.steps.number), method, self.seed.number)
        except LabError as error:
            self.live, self._unlisten = None, None
            self.start_button.disabled = self.stop_button.disabled = True
            say(self.status, str(error))
            return
        self._unlisten, self._seen = self.live.listen(self._news), UNSEEN
        self._draw()

    def _news(self) -> None:
        """Draw, but not more often than an eye can follow."""
        assert self.live
        told, state, _ = self._seen
        if self.live.state != state or time.monotonic() - told > PAUSE:
            self._draw()

    def _draw(self) -> None:
        assert self.live
        with self._drawing:
            state, (_, before, drawn) = self.live.state, self._seen
            history = self.live.run.history if self.live.run.started else []
            step = int(history[-1]["step"]) if history else 0
            # the whole curve is sent each time, so it is drawn again only where it has gained a point that can be seen
            if fresh := state != before or step - drawn >= min(drawn, self.steps.number / POINTS):
                drawn = step
            self._seen = (time.monotonic(), state, drawn)
            for turned in (self.dials, self.steps, self.seed):
                turned.disabled = self.live.going
            self.start_button.description = "Resume" if state == "stopped" else "Start"
            self.start_button.disabled = self.live.going or state == "finished"
            self.stop_button.disabled = state not in ("training", "scoring")
            say(self.status, self._said(state, history))
            for shown in (self.chart, self.table):
                shown.layout.display = "" if history else "none"
            if fresh:
                self.chart.show(plot_curves({"": history}))
            self.table.show(COLUMNS, validation_rows(history))

    def _said(self, state: str, history: Any) -> str:
        assert self.live
        if state == "failed":
            return f"failed: {self.live.error}"
        if state == "new":
            return "Not trained yet."
        if state == "scoring":
            return f"scoring: {self.live.summaries} summaries written"
        training = self._experiment_of(self.steps.number).training
        said = f"{state}: {progress(history, training.steps, training.batch_size)}"
        if state == "finished":
            found = self.live.run.scores
            low, high = found.interval("rouge1")
            said += f"; ROUGE-1 {found.average('rouge1'):.3f} [{low:.3f}, {high:.3f}]. Folder: {self.live.run.folder}"
        return said
