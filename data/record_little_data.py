"""Record how each method does with little data: 16, 64, 256, 1,024 and 2,400 dialogues, three seeds each.

    python data/record_little_data.py               # goes on where it was stopped
    python data/record_little_data.py --part 0/2    # every second run only, while another process does 1/2
    python data/record_little_data.py --collect     # trains nothing, and writes down what is there

2,400 is what 150 steps of 16 read at most. Each training stops when the validation loss no longer falls, and keeps the
weights that had the lowest (of AdaLoRA perhaps before all ranks were cut that it was to cut). Beside that: 64 dialogues
without such a stop, plain, with weight decay, and with dropout. Writes data/recorded/little_data.json, and what that
holds is not trained again; runs are kept in data/.record, beside those of record.py.
"""

import argparse
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from record import share, tell
from record_labs import curve

import labkit as lk
from labkit.experiment import Experiment
from labkit.methods import FAMILY, Method
from labkit.runs import environment, write_json

HERE = Path(__file__).parent
FILE = HERE / "recorded" / "little_data.json"
SIZES = (16, 64, 256, 1024, None)
METHODS = [kind() for kind in FAMILY]
STOPPING = lk.Training(steps=150, validations=15, patience=3, validation_rows=64)
LONG = lk.Training(steps=160, validations=16, validation_rows=128)  # as in lab_2.json
TRAININGS = {
    "stopping": STOPPING,
    "plain": LONG,
    "weight decay": replace(LONG, weight_decay=0.1),
    "dropout": replace(LONG, dropout=0.1),
}
OVERFITTED = (lk.LoRA(), lk.Bottleneck(), lk.PromptTuning())  # full fine-tuning is in lab_2.json


@cache  # their fingerprint takes a second
def drawn(seed: int, dialogues: int | None) -> lk.Dialogues:
    """So many dialogues to train on, other ones for each seed; None for all."""
    data = lk.load_dialogues()
    return replace(data, train=data.train.shuffle(seed=seed).select(range(dialogues))) if dialogues else data


class Job(NamedTuple):
    """One training; the dialogues are other ones for each seed, and None is all that the steps read."""

    seed: int
    training: str
    dialogues: int | None
    method: Method

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells one line of the file from another."""
        return self.seed, self.training, self.dialogues, self.method.label

    def run(self, collect: bool) -> lk.Run | None:
        """Its run; None if it is not there and nothing is to be trained."""
        data = drawn(self.seed, self.dialogues)
        how = (TRAININGS[self.training], lk.Evaluation(rows=200), HERE / ".record", tell)
        experiment = Experiment("nano", data, [self.method], *how)
        if collect:
            run = experiment.folder(self.method, self.seed)
            return run if run.finished else None
        return experiment.run(self.method, self.seed)

    def line(self, run: lk.Run) -> dict[str, Any]:
        """What is kept of its run."""
        score, results = run.scores.row(), run.results
        told = dict(zip(("seed", "training", "dialogues", "label"), self.key, strict=True))
        told |= {name: score[name] for name in ("rouge1", "rouge1_interval", "rouge2", "rougeL")}
        told |= {name: results[name] for name in ("steps", "validation_loss")}
        return told if self.training == "stopping" else told | {"history": curve(run)}


def recorded() -> dict[tuple[Any, ...], dict[str, Any]]:
    """The lines that were written down before."""
    told = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {"rows": [], "overfitting": []}
    lines = [*told["rows"], *told["overfitting"]]
    return {tuple(line[name] for name in ("seed", "training", "dialogues", "label")): line for line in lines}


def main(seeds: int, index: int, parts: int, collect: bool) -> None:
    """Train, score, and write everything down."""
    jobs = [Job(seed, "stopping", size, method) for seed in range(seeds) for size in SIZES for method in METHODS]
    over = [name for name in TRAININGS if name != "stopping"]
    jobs += [Job(seed, name, 64, method) for seed in range(seeds) for name in over for method in OVERFITTED]
    lines = recorded()
    for job in jobs[index::parts]:
        if job.key not in lines and (run := job.run(collect)):
            lines[job.key] = job.line(run)
    if parts > 1:
        return
    there = [lines[job.key] for job in jobs if job.key in lines]
    told = {"rows": [line for line in there if line["training"] == "stopping"]}
    told |= {"overfitting": [line for line in there if line["training"] != "stopping"]}
    told |= {"dialogues": 200, "steps": STOPPING.steps, "all": STOPPING.steps * STOPPING.batch_size}
    write_json(FILE, told | {"data": lk.load_dialogues().fingerprint, "environment": environment()}, indent=None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", type=share, default="0/1", help="i/n: every n-th run only, from the i-th on")
    parser.add_argument("--collect", action="store_true", help="train nothing, write down what is there")
    options = parser.parse_args()
    main(options.seeds, *options.part, options.collect)
