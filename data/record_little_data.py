"""Record how each method does with little data: 16, 64, 256, 1,024 and 2,400 dialogues, three seeds each.

    python data/record_little_data.py               # goes on where it was stopped
    python data/record_little_data.py --part 0/2    # every second run only, while another process does 1/2

2,400 is what 150 steps of 16 read at most. Each training stops when the validation loss no longer falls, and keeps the
weights that had the lowest (of AdaLoRA perhaps before all ranks were cut that it was to cut). With few dialogues some
have it at the first measurement, so three are measured more closely, too. Beside that: 64 dialogues without such a
stop, plain, with weight decay, and with dropout. Writes data/recorded/little_data.json; runs are kept in data/.record,
beside those of record.py.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import product
from operator import itemgetter
from pathlib import Path
from statistics import fmean
from typing import Any

from record import share, tell
from record_labs import curve

import labkit as lk
from labkit.comparison import Entry
from labkit.experiment import Experiment
from labkit.intervals import paired_difference
from labkit.methods import FAMILY, Method
from labkit.runs import environment, write_json

HERE = Path(__file__).parent
SIZES = (16, 64, 256, 1024, None)
METHODS = [kind() for kind in FAMILY]
STOPPING = lk.Training(steps=150, validations=15, patience=3, validation_rows=64)
CLOSELY = replace(STOPPING, validations=75, patience=10)
LONG = lk.Training(steps=160, validations=16, validation_rows=128)  # as in lab_2.json
AGAINST = {"nothing": LONG, "weight decay": replace(LONG, weight_decay=0.1), "dropout": replace(LONG, dropout=0.1)}
OVERFITTED = (lk.FullFineTuning(), lk.LoRA(), lk.PromptTuning())
CLOSE_UP = (lk.FullFineTuning(), lk.LoRA(), lk.Bottleneck())
# what is trained: first with few and with more dialogues, then on 64 for too long
GRID = [
    *product(SIZES, [STOPPING], METHODS),
    *product(SIZES[:2], [CLOSELY], CLOSE_UP),
    *product([64], AGAINST.values(), OVERFITTED),
]


@cache  # their fingerprint takes a second
def drawn(seed: int, dialogues: int | None) -> lk.Dialogues:
    """So many dialogues to train on, other ones for each seed; None for all."""
    data = lk.load_dialogues()
    return replace(data, train=data.train.shuffle(seed=seed).select(range(dialogues))) if dialogues else data


def train(dialogues: int | None, training: lk.Training, method: Method, seed: int) -> lk.Run:
    """Train and score, if that was not done before."""
    data = drawn(seed, dialogues)
    experiment = Experiment("nano", data, [method], training, lk.Evaluation(rows=200), HERE / ".record", tell)
    return experiment.run(method, seed)


def entry(dialogues: int | None, training: lk.Training, method: Method, seeds: Sequence[int]) -> Entry:
    """The runs of a method over the seeds."""
    return Entry(method.label, method.name, tuple(train(dialogues, training, method, seed) for seed in seeds))


def line(one: Entry, full: Entry) -> dict[str, Any]:
    """What is kept of them."""
    names = ("rouge1", "rouge1_interval", "rouge1_seeds", "rouge2", "rougeL", "validation_loss")
    gap = paired_difference(one.scores, full.scores, "rouge1")
    told = {"label": one.label} | {name: value for name, value in one.row(None).items() if name in names}
    told |= {"rouge1_to_full": gap.mean, "rouge1_to_full_interval": [gap.low, gap.high]}
    told |= {"validation_loss_to_full": told["validation_loss"] - full.mean("validation_loss")}
    lowest = [min(pairs) for pairs in measured(one)]
    told |= {"lowest_at": [step for _, step in lowest], "validation_loss_seeds": [loss for loss, _ in lowest]}
    return told | {"steps": [results["steps"] for results in one.results]}


def measured(one: Entry) -> list[list[tuple[float, int]]]:
    """Each validation loss with its step, for each seed."""
    name = "validation_loss"
    return [[(line[name], line["step"]) for line in run.history if name in line] for run in one.runs]


def overfitting(one: Entry) -> dict[str, Any]:
    """How low the validation loss was and where it ended, means over the seeds, and the curves of the first seed."""
    lowest, end = (fmean(pick(pairs)[0] for pairs in measured(one)) for pick in (min, itemgetter(-1)))
    return {"validation_loss_lowest": lowest, "validation_loss_end": end, "history": curve(one.runs[0])}


def main(seeds: int, index: int, parts: int) -> None:
    """Train, score, and write everything down."""
    for seed, (dialogues, training, method) in list(product(range(seeds), GRID))[index::parts]:
        train(dialogues, training, method, seed)
    if parts > 1:
        return
    rows, closely, long = [], [], []
    for dialogues in SIZES:
        entries = [entry(dialogues, STOPPING, method, range(seeds)) for method in METHODS]
        full = entries[[each.label for each in entries].index("full")]
        told = {"dialogues": dialogues or STOPPING.steps * STOPPING.batch_size}
        rows += [told | line(each, full) for each in entries]
    for name, training in AGAINST.items():
        entries = [entry(64, training, method, range(seeds)) for method in OVERFITTED]
        long += [{"against": name} | line(each, entries[0]) | overfitting(each) for each in entries]
    for dialogues in SIZES[:2]:
        entries = [entry(dialogues, CLOSELY, method, range(seeds)) for method in CLOSE_UP]
        closely += [{"dialogues": dialogues} | line(each, entries[0]) for each in entries]
    found = {"rows": rows, "closely": closely, "overfitting": long, "dialogues": 200, "seeds": seeds}
    found |= {"steps": STOPPING.steps, "data": lk.load_dialogues().fingerprint, "environment": environment()}
    write_json(HERE / "recorded" / "little_data.json", found, indent=None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", type=share, default="0/1", help="i/n: every n-th run only, from the i-th on")
    options = parser.parse_args()
    main(options.seeds, *options.part)
