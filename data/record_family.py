"""Record every method: three seeds of each on the embedded corpus, what it forgot, and how far it moved what is inside.

    python data/record_family.py               # goes on where it was stopped
    python data/record_family.py --part 0/2    # every second method only, while another process does 1/2
    python data/record_family.py --costs       # trains nothing: time and memory anew, into what was recorded

Writes data/recorded/family.json. Runs are kept in data/.record, beside those of record.py. Time and memory are
measured apart, at the end, of each method as it starts: time with the methods taking turns, memory in a process for
each. Nothing else should run then.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from record import GIVING_BACK, plain_rows, share, size, step_seconds, tell

import labkit as lk
from labkit.intervals import bootstrap, paired_difference
from labkit.methods import FAMILY, Method
from labkit.runs import Run, environment, write_json

HERE = Path(__file__).parent
RUNS = HERE / ".record"
FILE = HERE / "recorded" / "family.json"
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


def waits(base: lk.Model) -> dict[str, float]:
    """Median seconds a summary of 32 tokens, of the base, of each method, and of LoRA merged."""
    models = {"base": base} | {method.label: lk.attach(base, method) for method in METHODS}
    models["lora, merged"] = lk.merge(models["lora"])
    dialogues = list(lk.load_dialogues().test["dialogue"][:3])
    return {row["label"]: row["seconds"] for row in lk.latency(models, dialogues, repeats=5)}


def peak(method: Method) -> None:
    """Print the peak memory of this process in 20 steps: libraries, the base and what is trained beside it."""
    with TemporaryDirectory() as folder:
        run = Run(Path(folder) / "run")
        run.start({"method": method.dials()})
        model = lk.attach(lk.load_model("nano"), method)
        print(lk.train(model, lk.load_dialogues(), run, lk.Training(steps=20, validations=1))["peak_memory_mib"])


def peaks() -> dict[str, int]:
    """The peak memory of each method in a process of its own, so that none is left over from another."""
    command = [sys.executable, __file__, "--peak"]
    how: dict[str, Any] = {"stdout": subprocess.PIPE, "check": True, "env": GIVING_BACK}
    found = [subprocess.run([*command, str(i)], **how) for i in range(len(METHODS))]
    return {method.label: int(each.stdout) for method, each in zip(METHODS, found, strict=True)}


def with_costs(told: dict[str, Any]) -> dict[str, Any]:
    """What was recorded, with time and memory measured now."""
    base = lk.load_model("nano")
    steps = step_seconds({method.label: lk.attach(base, method) for method in METHODS})
    seconds, memory = waits(base), peaks()
    for row in told["rows"]:
        row["latency"] = seconds.get(row["label"])
        if row["trainable"]:
            row |= {"step_seconds": steps[row["label"]], "peak_memory_mib": memory[row["label"]]}
    return told | {"latency_merged": seconds["lora, merged"], "costs_environment": environment()}


def main(seeds: int, index: int, parts: int) -> None:
    """Train, measure, and write everything down."""
    base = lk.load_model("nano")
    for seed in range(seeds):
        for method in METHODS[index::parts]:
            entry = train([method], [seed]).entries[-1]
            beside(entry.runs[0], base)
    if parts > 1:
        return
    table = train(METHODS, range(seeds))
    rows = []
    for entry, row in zip(table.entries, plain_rows(table), strict=True):
        line = row | {"train_seconds": None, "generation_seconds": None, "peak_memory_mib": None}
        if row["trainable"]:
            told = [beside(run, base) for run in entry.runs]
            for name in ("full", "lora"):
                gap = paired_difference(entry.scores, table[name].scores, "rouge1")
                line |= {f"rouge1_to_{name}": gap.mean, f"rouge1_to_{name}_interval": [gap.low, gap.high]}
            line |= forgot(told)
            line |= {"hidden": {where: moved(told, where) for where in told[0]["hidden"]}}
            if "ranks" in told[0]:
                line["ranks"] = [each["ranks"] for each in told]
        rows.append(line)
    found = {"rows": rows, **size(table)}
    found["tasks_right"] = float(np.mean(told[0]["base"]))  # before any training
    found |= {"data": lk.load_dialogues().fingerprint, "environment": environment()}
    write_json(FILE, with_costs(found), indent=None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", type=share, default="0/1", help="i/n: train every n-th method only, from the i-th on")
    parser.add_argument("--costs", action="store_true", help="measure time and memory again, and nothing else")
    parser.add_argument("--peak", type=int, help="what the script asks of itself in a process of its own")
    options = parser.parse_args()
    if options.peak is not None:
        peak(METHODS[options.peak])
    elif options.costs:
        write_json(FILE, with_costs(json.loads(FILE.read_text(encoding="utf-8"))), indent=None)
    else:
        main(options.seeds, *options.part)
