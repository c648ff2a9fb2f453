"""Finished runs without training: what a method learns is drawn at random, far enough from its start to matter."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from labkit.dialogues import Dialogues
from labkit.evaluation import Evaluation
from labkit.intervals import MEASURES, Scores
from labkit.methods import AdaLoRA, Method, attach
from labkit.models import Model
from labkit.runs import Run
from labkit.training import Training, save


def disturb(model: Model, seed: int = 1, width: float = 0.05) -> Model:
    """Move all that is trainable away from its start, so that equal outputs prove something."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.net.parameters():
            if parameter.requires_grad:
                parameter += width * torch.randn(parameter.shape, generator=generator)
    if isinstance(model.method, AdaLoRA):
        _cut(model.net)
    return model


def _cut(net: Any) -> None:
    """Cut one rank of every second layer, as a training of AdaLoRA does in its end."""
    from labkit.tuners.adalora import kept

    with torch.no_grad():
        for weight in [weight for name, weight in net.named_parameters() if ".lora_E." in name][::2]:
            weight[0] = 0
    net.peft_config["default"].rank_pattern = kept(net.base_model)


def scores(data: Dialogues, value: float) -> Scores:
    """ROUGE around a value, the same for every measure, one a test dialogue."""
    ids = tuple(data.test["id"])
    values = np.clip(value + np.linspace(-0.1, 0.1, len(ids)), 0, 1)
    each = dict.fromkeys(MEASURES, values)
    return Scores(ids, each, each, np.full(len(ids), 7.0))


def made_run(
    folder: Path, base: Model, method: Method | None, data: Dialogues, *, seed: int = 1, value: float = 0.4
) -> Run:
    """A finished run of a method, or of the base, as a comparison leaves it."""
    settings: dict[str, Any] = {
        "method": method.dials() if method else None,
        "model": {"name": base.name, "revision": base.revision, "precision": base.precision},
        "training": Training(steps=3).settings() | {"learning_rate": 0.01},
        "seed": seed,
        "evaluation": Evaluation().settings(),
        "data": {"name": data.name, "fingerprint": data.fingerprint},
    }
    run = Run(folder)
    run.start(settings, revision=base.revision, device="cpu")
    results: dict[str, Any] = {"trainable": 0}
    if method:
        width = 2.0 if method.virtual_tokens else 0.2  # a few virtual tokens among many words
        save(disturb(attach(base, method, seed=seed), seed, width), run)
        results = {"trainable": 1234, "steps": 3, "train_seconds": 5.5, "peak_memory_mib": 67, "validation_loss": 2.5}
    run.finish([], scores(data, value), results)
    return run
