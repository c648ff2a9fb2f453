"""What the commands do with their options: run methods, load dialogues, open a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labkit import options as opt
from labkit.errors import LabError
from labkit.evaluation import Evaluation
from labkit.training import Training


def run_methods(names: Sequence[str], data: Any, options: dict[str, Any], **where: Any) -> Any:
    """What `compare` and `train` have in common."""
    from labkit.comparison import compare

    methods = opt.methods([name.strip() for name in names], options)
    training, evaluation = opt.built(Training, options), opt.built(Evaluation, options)
    return compare(methods, data=data, training=training, evaluation=evaluation, **where)


def load_data(data: str, columns: list[str] | None) -> Any:
    """The dialogues of `--data`, with the names of their columns."""
    from labkit.dialogues import load_dialogues

    for column in columns or []:
        if "=" not in column:
            raise LabError(f"--columns {column} has no '=': write it as --columns dialogue=text")
    return load_dialogues(data, columns=dict(column.split("=", 1) for column in columns or []))


def open_model(folder: Path | None, model: str | None, device: str, precision: str) -> Any:
    """The base model, a run's trained model on the base it was trained on, or an adapter from elsewhere on a base."""
    from labkit.adapters.foreign import CONFIG, base_of, open_adapter
    from labkit.models import load_model
    from labkit.opening import open_run
    from labkit.runs import Run

    if folder and not (folder / CONFIG).is_file():
        run = Run.open(folder)
        if model:
            raise LabError(f"--model {model} has no effect beside {folder}: leave it out")
        return open_run(run, device=device, precision=precision)
    base = load_model(model or (folder and base_of(folder)) or "nano", device=device, precision=precision)
    return open_adapter(folder, base) if folder else base
