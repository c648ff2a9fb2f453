"""What the history of a training says: its curves, its rows, and how far it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

History = Sequence[Mapping[str, float]]
POINTS = 200  # a curve with more is thinned out


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        step: Steps done.
        steps: Steps in all.
        dialogues_per_second: Speed so far; None before the first line of the history.
        seconds_left: At this speed; None as long.
        peak_memory_mib: Highest memory so far, in MiB; None as long.
    """

    step: int
    steps: int
    dialogues_per_second: float | None = None
    seconds_left: float | None = None
    peak_memory_mib: float | None = None

    def __str__(self) -> str:
        """One line of it."""
        said = f"step {self.step:,} of {self.steps:,}"
        if self.dialogues_per_second is not None and self.seconds_left is not None:
            said += f", {self.dialogues_per_second:.0f} dialogues/s"
            said += f", about {self.seconds_left:.0f} s left" if self.step < self.steps else ""
        return said + (f", peak memory {self.peak_memory_mib:,.0f} MiB" if self.peak_memory_mib else "")


def progress(history: History, steps: int, batch_size: int) -> Progress:
    """How far a training is, from its history.

    Args:
        history: `Run.history`.
        steps: Steps in all.
        batch_size: Dialogues a step.

    Returns:
        Steps, speed and time left; the time counts what validations took.
    """
    if not history:
        return Progress(0, steps)
    last = history[-1]
    step, seconds = int(last["step"]), max(last.get("seconds", 0.0), 1e-3)
    return Progress(
        step, steps, step * batch_size / seconds, (steps - step) * seconds / step, last.get("peak_memory_mib")
    )


def validation_rows(history: History) -> list[list[float | None]]:
    """A row a validation.

    Args:
        history: `Run.history`.

    Returns:
        Step, mean training loss since the validation before, validation loss, seconds since the start.
    """
    rows, losses = [], []
    for line in history:
        if "loss" in line:
            losses.append(line["loss"])
        if "validation_loss" in line:
            mean = sum(losses) / len(losses) if losses else None
            rows.append([int(line["step"]), mean, line["validation_loss"], line.get("seconds")])
            losses = []
    return rows


def plot_curves(histories: Mapping[str, History]) -> Any:
    """Training loss as lines and validation loss as marked lines, over the steps.

    Args:
        histories: `Run.history` by label.

    Returns:
        A plotly figure.
    """
    import plotly.graph_objects as go

    from labkit.plots import COLORS, style

    figure = go.Figure()
    for color, (label, history) in zip(COLORS * len(histories), histories.items(), strict=False):
        for name, mode, width in (("loss", "lines", 1), ("validation_loss", "lines+markers", 2.5)):
            points = _thinned([(line["step"], line[name]) for line in history if name in line])
            told = f"{label} {name.replace('_', ' ')}".strip()
            x, y = zip(*points, strict=True) if points else ((), ())
            figure.add_scatter(x=x, y=y, name=told, mode=mode, line={"color": color, "width": width})
    figure.update_layout(xaxis={"title": "step"}, yaxis={"title": "loss (nats a token)"})
    return style(figure)


def plot_budget(history: History) -> Any:
    """The budget of AdaLoRA, the sum of all ranks, over the steps.

    Args:
        history: `Run.history`; one without a budget gives an empty figure.

    Returns:
        A plotly figure.
    """
    return _plot_lines(history, ["budget"], "sum of all ranks")


def plot_gates(history: History) -> Any:
    """How far the gates of LLaMA-Adapter are open over the steps, a line a layer.

    Args:
        history: `Run.history`; one without gates gives an empty figure.

    Returns:
        A plotly figure.
    """
    names = dict.fromkeys(name for line in history for name in line if name.startswith("gate "))
    return _plot_lines(history, list(names), "mean size of the gates, 0 to 1")


def _plot_lines(history: History, names: Sequence[str], measured: str) -> Any:
    """A line over the steps for each of these entries of a history."""
    import plotly.graph_objects as go

    from labkit.plots import COLORS, style

    figure = go.Figure()
    for color, name in zip(COLORS * len(names), names, strict=False):
        points = _thinned([(line["step"], line[name]) for line in history if name in line])
        x, y = zip(*points, strict=True) if points else ((), ())
        line = {"color": color, "width": 2.5}
        figure.add_scatter(x=x, y=y, name=name.removeprefix("gate "), mode="lines", line=line)
    figure.update_layout(xaxis={"title": "step"}, yaxis={"title": measured, "rangemode": "tozero"})
    return style(figure)


def _thinned(points: list[Any]) -> list[Any]:
    """At most POINTS of them, the last one kept."""
    step = -(-len(points) // POINTS)
    return points[::-step][::-1] if points else []
