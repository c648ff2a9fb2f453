"""Record how each method does with little data: 16, 64, 256, 1,024 and 2,400 dialogues, three seeds each.

    python data/record_little_data.py               # goes on where it was stopped
    python data/record_little_data.py --part 0/2    # every second run only, while another process does 1/2

2,400 is what 150 steps of 16 read at most. Each training stops when the validation loss no longer falls, and keeps the
weights that had the lowest (of AdaLoRA perhaps before all ranks were cut that it was to cut). Beside that: 64 dialogues
without such a stop, plain, with weight decay, and with dropout. Writes data/recorded/little_data.json; runs are kept in
data/.record, beside those of record.py.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from record import share, tell
from record_labs import curve

import labkit as lk
from labkit.methods import FAMILY, Method
from labkit.runs import environment, write_json

HERE = Path(__file__).parent
SIZES = (16, 64, 256, 1024, None)
METHODS = [kind() for kind in FAMILY]
STOPPING = lk.Training(steps=150, validations=15, patience=3, validation_rows=64)
LONG = lk.Training(steps=160, validations=16, validation_rows=128)  # as in lab_2.json
AGAINST = {"plain": LONG, "weight decay": replace(LONG, weight_decay=0.1), "dropout": replace(LONG, dropout=0.1)}
OVERFITTED = (lk.FullFineTuning(), lk.LoRA(), lk.Bottleneck(), lk.PromptTuning())


def run(method: Method, training: lk.Training, dialogues: int | None, seed: int) -> lk.Run:
    """The run of one method, trained on so many dialogues, which are other ones for each seed."""
    data = lk.load_dialogues()
    if dialogues:
        data = replace(data, train=data.train.shuffle(seed=seed).select(range(dialogues)))
    how: dict[str, Any] = {"training": training, "evaluation": lk.Evaluation(rows=200), "root": HERE / ".record"}
    return lk.compare([method], "nano", data, seeds=[seed], report=tell, **how).entries[-1].runs[0]


def line(method: Method, run: lk.Run, seed: int, **told: Any) -> dict[str, Any]:
    """What is kept of a run."""
    score, results = run.scores.row(), run.results
    kept = {name: score[name] for name in ("rouge1", "rouge1_interval", "rouge2", "rougeL")}
    return {
        "label": method.label,
        "seed": seed,
        **told,
        **kept,
        **{n: results[n] for n in ("steps", "validation_loss")},
    }


def main(seeds: int, index: int, parts: int) -> None:
    """Train, score, and write everything down."""
    few = [(seed, size, method) for seed in range(seeds) for size in SIZES for method in METHODS]
    over = [(seed, name, method) for seed in range(seeds) for name in AGAINST for method in OVERFITTED]
    rows = [
        line(method, run(method, STOPPING, size, seed), seed, dialogues=size)
        for seed, size, method in few[index::parts]
    ]
    curves = []
    for seed, name, method in over[index::parts]:
        found = run(method, AGAINST[name], 64, seed)
        curves.append(line(method, found, seed, dialogues=64, against=name) | {"history": curve(found)})
    if parts == 1:
        told = {"rows": rows, "overfitting": curves, "dialogues": 200, "steps": STOPPING.steps}
        told |= {"all": STOPPING.steps * STOPPING.batch_size}
        told |= {"data": lk.load_dialogues().fingerprint, "environment": environment()}
        write_json(HERE / "recorded" / "little_data.json", told, indent=None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", type=share, default="0/1", help="i/n: every n-th run only, from the i-th on")
    options = parser.parse_args()
    main(options.seeds, *options.part)
