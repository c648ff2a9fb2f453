"""Hand a trained adapter on: a folder with weights, config and model card, which needs no labkit to be used.

Of a method that peft does not have, the file that adds it to peft goes with them: it imports nothing of labkit.
"""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import labkit.tuners
from labkit.adapters.cards import model_card, public_name
from labkit.errors import LabError
from labkit.methods import METHODS
from labkit.runs import Run, write_json

TUNERS = Path(labkit.tuners.__file__).parent
WEIGHTS = (".safetensors", ".model")  # and no pickles, such as Trainer's training_args.bin
NAMES = ("base_model_name_or_path", "tokenizer_name_or_path", "name_or_path", "_name_or_path")


def export(run: Run | str | Path, folder: str | Path, base: Run | None = None, lead: Run | None = None) -> Path:
    """Copy what a run trained, in peft's or transformers' own format, and write a model card beside it.

    Args:
        run: A finished run of any method, or its folder.
        folder: A folder that is not there yet, or is empty.
        base: The run of the untouched base on the same test rows, for the card.
        lead: The run that copies the first two turns of the same test rows, for the card.

    Returns:
        The folder, which names no folder of this machine.

    Raises:
        LabError: The run trained nothing or is not finished, the other runs were scored on other dialogues, or the
            folder is in use.

    Example:
        >>> export(table["lora"].runs[0], "my_adapter", base=table["base"].runs[0], lead=table["lead-2"].runs[0])
    """
    run, folder = Run.open(run), Path(folder).resolve()
    if not run.trained:
        raise LabError(
            f"{run.folder} holds no trained weights: export a run of a method that compare or train finished"
        )
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise LabError(f"{folder} is in use: name a new or an empty folder")
    card = model_card(run, base, lead)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as scratch:
        fresh = Path(scratch) / folder.name
        fresh.mkdir()
        (fresh / "README.md").write_text(card, encoding="utf-8")
        for file in run.weights.iterdir():
            if file.suffix == ".json":
                write_json(fresh / file.name, _public(_read(file)))
            elif file.suffix in WEIGHTS:
                shutil.copyfile(file, fresh / file.name)
        if tuner := METHODS[run.config["method"]["method"]].tuner:
            shutil.copyfile(TUNERS / f"{tuner}.py", fresh / f"{tuner}.py")
        if folder.is_dir():
            folder.rmdir()
        return fresh.replace(folder)  # all of it is there, or nothing


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError:  # no UTF-8, or no JSON
        raise LabError(f"{file} is damaged: train again") from None


def _public(config: Any) -> Any:
    """A config without the folders of this machine."""
    if not isinstance(config, dict):
        return config
    named = {key: public_name(config[key]) for key in NAMES if config.get(key)}
    # transformers 5 writes of every T5 that its head is tied, which older releases believe
    own_head = {"tie_word_embeddings": False} if config.get("scale_decoder_outputs") is False else {}
    return config | named | own_head
