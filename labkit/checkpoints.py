"""Checkpoints that a training goes on from: all that is trained, in one file, whatever the method keeps in the end.

checkpoints/checkpoint-60/   trained.safetensors   every trainable parameter, by name
                             what the method's callbacks keep for themselves, in files of their own
                             optimizer.pt, scheduler.pt, rng_state.pth, trainer_state.json   Trainer's own

Trainer writes what peft's save_pretrained writes, which is what the trained model needs: where a method trains its
vectors through a network that is dropped afterwards, a training cannot go on from that.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from transformers import Seq2SeqTrainer

TRAINED = "trained.safetensors"


class CheckpointTrainer(Seq2SeqTrainer):  # type: ignore[misc]
    """Seq2SeqTrainer with these checkpoints, and without what it looks up anew at each step and nobody reads."""

    def floating_point_ops(self, inputs: Any) -> int:
        """None are counted: that alone goes through all modules."""
        return 0

    def _clip_grad_norm(self, model: Any) -> Any:
        trained = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        return self.accelerator.clip_grad_norm_(trained, self.args.max_grad_norm)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        trained = {name: p.detach().contiguous() for name, p in self.model.named_parameters() if p.requires_grad}
        save_file(trained, folder / TRAINED)
        for callback in self.callback_handler.callbacks:  # Trainer's on_save comes when the checkpoint counts already
            if hasattr(callback, "save_to"):
                callback.save_to(folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        (model or self.model).load_state_dict(load_file(Path(resume_from_checkpoint) / TRAINED), strict=False)

    def _load_best_model(self) -> None:
        self._load_from_checkpoint(self.state.best_model_checkpoint)


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is whole: they are written file by file and may be cut short.

    Args:
        folder: Where the checkpoints of a run are, if there are any.

    Returns:
        Its folder.
    """
    checkpoints = sorted(folder.glob("checkpoint-*"), key=lambda path: -int(path.name.split("-")[1]))
    return next((checkpoint for checkpoint in checkpoints if _whole(checkpoint)), None)


def _whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        for file in {checkpoint / TRAINED, *checkpoint.glob("*.safetensors")}:
            with safe_open(file, "pt"):  # compares the file's length with its header
                pass
    except (OSError, ValueError, SafetensorError):
        return False
    # torch's files are zip archives, whose table of contents comes last
    return all(zipfile.is_zipfile(file) for file in checkpoint.glob("*.pt*"))
