"""Record every method: three seeds of each on the embedded corpus, what it forgot, and how far it moved what is inside.

    python data/record_family.py               # goes on where it was stopped
    python data/record_family.py --part 0/2    # the first half of the runs only, while another process does 1/2

Writes data/recorded/family.json. Runs are kept in data/.record, beside those of record.py. Times are measured apart,
at the end, with the methods taking turns: nothing else should run then.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from record import plain_rows, size, tell

import labkit as lk
from labkit.batches import collator, encode_rows
from labkit.intervals import bootstrap, paired_difference
from labkit.methods import FAMILY, Method
from labkit.runs import Run, environment, write_json

HERE = Path(__file__).parent
RUNS = HERE / ".record"
TURNED = (
    lk.Selective(part="cross-attention", layers="all"),
    lk.LoRA(rank=4, targets=("all",)),
    lk.LoRA(rslora=True),
    lk.LoRA(dora=True),
    lk.LoRA(init="pissa"),
    lk.LoRA(bits=8),
    lk.Bottleneck(place="parallel"),
    lk.PrefixTuning(mlp=64),
)
# each method as it comes, and with some of its dials turned, in the order of the family
METHODS = sorted((*(kind() for kind in FAMILY), *TURNED), key=lambda method: FAMILY.index(type(method)))
DIALOGUES = 100  # of the test split, for what is measured inside


def train(methods: Sequence[Method], seeds: Sequence[int]) -> lk.Comparison:
    """Train and score what is not there yet."""
    return lk.compare(list(methods), "nano", seeds=seeds, root=RUNS, report=tell)


def beside(run: Run, base: lk.Model) -> dict[str, Any]:
    """What is measured of a run beside its scores, kept in its folder: tasks that it still has right, and Δh."""
    kept = run.folder / "beside.json"
    if not kept.is_file():
        model, tasks = lk.open_run(run, base), lk.load_tasks()
        rows = lk.load_dialogues().test.select(range(DIALOGUES))
        moved = {"dialogues": rows, "tasks": tasks[:: len(tasks) // DIALOGUES]}
        found = lk.forgetting(base, {"run": model}, tasks)
        hidden = {name: lk.hidden_changes(base, model, each).rows() for name, each in moved.items()}
        told = {"right": found.of("run").tolist(), "base": found.of("base").tolist(), "hidden": hidden}
        write_json(kept, told | ({"ranks": lk.ranks(model)} if isinstance(model.method, lk.AdaLoRA) else {}))
    read: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return read


def forgot(told: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many more of the pre-training's tasks are right than before, over seeds, with an interval over the tasks."""
    change = np.mean([each["right"] for each in told], axis=0) - np.array(told[0]["base"])
    return {"forgetting": float(change.mean()), "forgetting_interval": list(bootstrap(change))}


def moved(told: Sequence[dict[str, Any]], where: str) -> list[dict[str, Any]]:
    """Mean over the seeds of ||Δh|| / ||h|| after each layer."""
    seeds = [each["hidden"][where] for each in told]
    return [
        {"stack": lines[0]["stack"], "layer": lines[0]["layer"], "change": statistics.fmean(x["change"] for x in lines)}
        for lines in zip(*seeds, strict=True)
    ]


def step_seconds(base: lk.Model, methods: Sequence[Method], rounds: int = 7) -> dict[str, float]:
    """Median time of a step of 16 dialogues; the methods take turns, so that a slow moment is one for all."""
    import torch

    rows = lk.load_dialogues().train.select(range(16))
    models = {method.label: lk.attach(base, method) for method in methods}
    taken: dict[str, list[float]] = {label: [] for label in models}
    for _ in range(rounds):
        for label, model in models.items():
            batch = collator(model)(encode_rows(model, rows)[0])
            trained = [weight for weight in model.net.parameters() if weight.requires_grad]
            optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
            model.net.train()
            for _ in range(2):  # the first one is slower, and not counted
                began = time.perf_counter()
                model.net(**batch).loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                seconds = time.perf_counter() - began
            taken[label].append(seconds)
    return {label: statistics.median(each) for label, each in taken.items()}


def waits(table: lk.Comparison, base: lk.Model) -> dict[str, float]:
    """Median seconds a summary of 32 tokens, of each model, and of LoRA merged."""
    models = {entry.label: lk.open_run(entry.runs[0], base) for entry in table.entries[1:]}
    models["lora, merged"] = lk.merge(models["lora"])
    dialogues = list(lk.load_dialogues().test["dialogue"][:3])
    return {row["label"]: row["seconds"] for row in lk.latency(models, dialogues, repeats=5)}


def main(seeds: int, part: str) -> None:
    """Train, measure, and write everything down."""
    base = lk.load_model("nano")
    index, parts = map(int, part.split("/"))
    for seed in range(seeds):
        for method in METHODS[index::parts]:
            entry = train([method], [seed]).entries[-1]
            beside(entry.runs[0], base)
    if parts > 1:
        return
    table = train(METHODS, range(seeds))
    steps, seconds = step_seconds(base, METHODS), waits(table, base)
    full, rows = table["full"].scores, []
    for entry, row in zip(table.entries, plain_rows(table), strict=True):
        line = row | {"train_seconds": None, "generation_seconds": None, "latency": seconds.get(entry.label)}
        if row["trainable"]:
            told = [beside(run, base) for run in entry.runs]
            gap = paired_difference(entry.scores, full, "rouge1")
            line |= {"rouge1_to_full": gap.mean, "rouge1_to_full_interval": [gap.low, gap.high]}
            line |= forgot(told) | {"step_seconds": steps[entry.label]}
            line |= {"hidden": {where: moved(told, where) for where in told[0]["hidden"]}}
            if "ranks" in told[0]:
                line["ranks"] = [each["ranks"] for each in told]
        rows.append(line)
    found = {"rows": rows, "latency_merged": seconds["lora, merged"], **size(table)}
    found |= {"data": lk.load_dialogues().fingerprint, "environment": environment()}
    write_json(HERE / "recorded" / "family.json", found, indent=None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", default="0/1", help="i/n: train every n-th method only, from the i-th on")
    options = parser.parse_args()
    main(options.seeds, options.part)
