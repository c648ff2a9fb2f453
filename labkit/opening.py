"""Open the model of a run."""

from pathlib import Path

from labkit.errors import LabError
from labkit.methods import from_dials, restore
from labkit.models import Model, load_model, revision_of
from labkit.runs import Run


def open_run(
    run: Run | str | Path, base: Model | None = None, *, device: str = "auto", precision: str = "auto"
) -> Model:
    """The trained model of a run, on the base that it was trained from.

    Args:
        run: The run or its folder.
        base: The base model, if it is loaded already.
        device: As `load_model` takes it.
        precision: As `load_model` takes it.

    Returns:
        The model, in eval mode; of the run of an untouched base, that base.

    Raises:
        LabError: The run holds no trained weights, or its base is another one than the one given or here.

    Example:
        >>> summarize(open_run(table["lora"].runs[0]), ["#Person1#: Are you coming?"])
    """
    run = Run.open(run)
    dials = run.config.get("method")
    if not {"model", "loaded"} <= run.config.keys() or (dials and not run.trained):
        raise LabError(f"{run.folder} holds no trained weights: name a run that compare or train finished")
    name, revision = run.config["model"]["name"], run.config["loaded"]["revision"]
    here = base.revision if base else revision_of(name)  # None for a model of the Hub, which keeps every revision
    if base and base.name != name and here != revision:
        raise LabError(f"{run.folder} was trained from {name}, and not from {base.name}: give that base, or none")
    if here not in (None, revision):
        raise LabError(
            f"{run.folder} was trained on another {name}, {revision}, than the one here, {here}: train it again"
        )
    base = base or load_model(name, device=device, precision=precision, revision=None if here else revision)
    return restore(base, from_dials(dials), run.weights) if dials else base
