r"""Train beside the notebook: a cell starts a run and returns, and the run can be watched, stopped and gone on with.

cell ----> start() ----> a thread: attach, train, score ----> run's folder
  \                      ^ stop()       v news
   +---> wait(), state, history <-------+        run the cell again, and it finds the same run
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from labkit.dialogues import Dialogues
from labkit.errors import LabError, StoppedError
from labkit.evaluation import Evaluation
from labkit.experiment import Experiment
from labkit.methods import Method
from labkit.models import Model
from labkit.runs import RUNS, Run
from labkit.training import Training

_LIVE: dict[Path, "LiveRun"] = {}  # of this process, the last one started last


class LiveRun:
    """A run that is going on in a thread, was stopped, or is finished.

    Args:
        experiment: Model, data and how to train and score.
        method: What to attach.
        seed: For all that is drawn.
    """

    def __init__(self, experiment: Experiment, method: Method, seed: int = 0):
        self._stop = threading.Event()
        self.experiment = replace(experiment, methods=(method,), report=self._tell, stopped=self._stop.is_set)
        self.method, self.seed = method, seed
        self.run: Run = self.experiment.folder(method, seed)
        self.summaries = 0
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._going = False
        self._listeners: list[Callable[[], Any]] = []

    @property
    def state(self) -> str:
        """One of "new", "training", "scoring", "stopping", "stopped", "finished" and "failed"."""
        if self._going:
            return "stopping" if self._stop.is_set() else "scoring" if self.summaries else "training"
        if self._error:
            return "failed"
        if self.run.finished:
            return "finished"
        return "stopped" if self.run.started else "new"

    @property
    def going(self) -> bool:
        """Whether its thread is at work."""
        return self._going

    @property
    def error(self) -> str:
        """What went wrong, in a line; "" if nothing did."""
        return f"{self._error}" if self._error else ""

    def start(self) -> "LiveRun":
        """Start, or go on from the last checkpoint; what is going on or finished is left alone."""
        if not self.going and not self.run.finished:
            self._stop.clear()
            self._error, self.summaries, self._going = None, 0, True
            self.run = self.experiment.folder(self.method, self.seed)  # it may have been deleted meanwhile
            self._thread = threading.Thread(target=self._work, name=self.run.folder.name, daemon=True)
            self._thread.start()
            _LIVE.pop(self.run.folder.resolve(), None)
            _LIVE[self.run.folder.resolve()] = self
        return self

    def stop(self) -> None:
        """Ask it to save a checkpoint after this step and stop; returns at once."""
        self._stop.set()
        self._notify()

    def wait(self, timeout: float | None = None) -> Run:
        """Wait until its thread has ended.

        Args:
            timeout: Seconds to wait at most; for ever unless given.

        Returns:
            The run, finished or stopped.

        Raises:
            LabError: It failed, or the time is over.
        """
        if self._thread:
            self._thread.join(timeout)
            if self._going:
                raise LabError(f"{self.run.folder} is still {self.state} after {timeout} s: wait longer or stop it")
        if self._error:
            raise self._error
        return self.run

    def listen(self, listener: Callable[[], Any]) -> Callable[[], None]:
        """Call `listener`, in the run's thread, whenever there is news; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def _work(self) -> None:
        try:
            self.experiment.run(self.method, self.seed)
        except StoppedError:
            pass
        except BaseException as error:  # wait() raises it again, in the thread of whoever waits
            self._error = error
        self._going = False
        self._notify()

    def _tell(self, label: str, news: dict[str, Any]) -> None:
        self.summaries = news.get("summaries", self.summaries)
        self._notify()

    def _notify(self) -> None:
        for listener in list(self._listeners):
            listener()


def start(
    base: Model,
    method: Method,
    data: Dialogues,
    *,
    training: Training | None = None,
    evaluation: Evaluation | None = None,
    seed: int = 0,
    root: str | Path = RUNS,
) -> LiveRun:
    """Train and score in a thread; the same run as `compare` would make and reuse.

    Args:
        base: A loaded base model, which stays as it is.
        method: What to attach to a copy of it.
        data: Dialogues.
        training: How long and how fast.
        evaluation: On what, and how summaries are written.
        seed: For all that is drawn.
        root: Folder of the runs.

    Returns:
        The run, going on. If the same one is going on already, that one.

    Raises:
        LabError: A dial or the data do not fit; told before anything is written.

    Example:
        >>> live = start(base, LoRA(rank=8), data)
        >>> live.wait()
    """
    experiment = Experiment(base, data, (method,), training or Training(), evaluation or Evaluation(), Path(root))
    experiment.check()
    return find(experiment, method, seed).start()


def find(experiment: Experiment, method: Method, seed: int = 0) -> LiveRun:
    """The run of these settings: the one that this process has, or one that is not started.

    Args:
        experiment: Model, data and how to train and score.
        method: What to attach.
        seed: For all that is drawn.

    Returns:
        The run, as it stands.
    """
    fresh = LiveRun(experiment, method, seed)
    return _LIVE.get(fresh.run.folder.resolve(), fresh)


def latest(root: str | Path = RUNS) -> LiveRun | None:
    """The run that this process started last under a folder, whether it is still going on or not."""
    inside = [live for folder, live in _LIVE.items() if folder.parent == Path(root).resolve()]
    return inside[-1] if inside else None
