"""Record what single labs show as "ours": the experiments of the lab, with more seeds or rows than a reader waits for.

    python data/record_labs.py          # all of them; goes on where it was stopped
    python data/record_labs.py 2 4      # those of labs 2 and 4

Writes data/recorded/lab_0.json and so on. Runs are kept in data/.record, beside those of record.py.
"""

import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from record import METHODS, plain_rows, size, tell

import labkit as lk
from labkit.intervals import paired_difference
from labkit.methods import Method
from labkit.rouge import score
from labkit.runs import environment, write_json

HERE = Path(__file__).parent
SEEDS = range(3)
PLAIN = lk.Prompt().instruction
PRESENT = "In the present tense."
SHORT: dict[str, Any] = {"training": lk.Training(steps=150), "evaluation": lk.Evaluation(rows=200)}


def compared(methods: Iterable[Method], data: lk.Dialogues | None = None, **changed: Any) -> lk.Comparison:
    """A comparison on nano as briefly as in the labs, with three seeds unless told otherwise."""
    how: dict[str, Any] = {"seeds": SEEDS} | SHORT | changed
    return lk.compare(list(methods), "nano", data, root=HERE / ".record", report=tell, **how)


def together(tables: dict[str, lk.Comparison]) -> lk.Comparison:
    """The last line of each table under a name of its own, below the baselines of the first table."""
    first = next(iter(tables.values()))
    baselines = [entry for entry in first.entries if not entry.results[0].get("trainable")]
    lines = [replace(table.entries[-1], label=label) for label, table in tables.items()]
    return replace(first, entries=(*baselines, *lines))


def told(table: lk.Comparison) -> dict[str, Any]:
    """What every recording of a comparison holds; no times, since many runs are recorded at once."""
    rows = [row | {"train_seconds": None, "generation_seconds": None} for row in plain_rows(table)]
    return {"rows": rows, "differences": table.difference_rows(), **size(table)}


def curve(run: lk.Run) -> list[dict[str, float]]:
    """Of a run's history, what a chart shows."""
    shown = ("step", "loss", "validation_loss")
    kept = [line for line in run.history if line["step"] % 4 == 0 or "validation_loss" in line]
    return [{name: round(line[name], 4) for name in shown if name in line} for line in kept]


def lab_0() -> dict[str, Any]:
    """Lower and lower ranks, one seed as in the exercise."""
    return told(compared([lk.LoRA(rank=rank) for rank in (8, 2, 1)], seeds=(0,)))


def lab_1() -> dict[str, Any]:
    """Prompts with and without examples, on all test dialogues; nothing is trained."""
    base, data = lk.load_model("nano"), lk.load_dialogues()
    ids, dialogues, references = (list(data.test[name]) for name in ("id", "dialogue", "summaries"))
    short = sorted(data.train.select(range(200)), key=lambda row: len(row["dialogue"]))[:2]
    examples = [(row["dialogue"], row["summaries"][0]) for row in short]
    asked = {
        "zero-shot": lk.Prompt(),
        "report": lk.Prompt(f"As a report. {PLAIN}"),
        "present": lk.Prompt(f"{PRESENT} {PLAIN}"),
        "two words": lk.Prompt(f"In two words. {PLAIN}"),
        "1 example": lk.Prompt(examples=tuple(examples[:1])),
        "2 examples": lk.Prompt(examples=tuple(examples)),
    }
    texts = {"lead-2": [lk.lead(each) for each in dialogues]}
    texts |= {name: lk.summarize(base, dialogues, prompt) for name, prompt in asked.items()}
    texts["report, 4 beams"] = lk.summarize(base, dialogues, asked["report"], beams=4)
    scores = {name: score(ids, written, references) for name, written in texts.items()}
    rows = []
    for name, each in scores.items():
        row: dict[str, Any] = {"method": "prompt", "label": name, "seeds": 1, "trainable": 0, "percent": 0.0}
        gain = paired_difference(each, scores["zero-shot"], "rouge1")
        row |= each.row() | {"rouge1_gain": gain.mean, "rouge1_gain_interval": [gain.low, gain.high]}
        rows.append(row)
    return {"rows": rows, "dialogues": len(ids), "steps": 0}


def lab_2() -> dict[str, Any]:
    """Learning 64 dialogues by heart, what helps against it, and what was forgotten."""
    base, data = lk.load_model("nano"), lk.load_dialogues()
    few, long = data.head(train=64), lk.Training(steps=160, validations=16, validation_rows=128)
    full = [lk.FullFineTuning()]
    tables = {
        "10,000 dialogues": compared(full),
        "64 dialogues": compared(full, few, training=long),
        "64, early stopping": compared(full, few, training=replace(long, patience=3)),
        "64, dropout": compared(full, few, training=replace(long, dropout=0.1)),
        "64, weight decay": compared(full, few, training=replace(long, weight_decay=0.1)),
        "64, LoRA": compared([lk.LoRA(rank=8)], few, training=long),
    }
    table = together(tables)
    runs = {label: table[label].runs[0] for label in tables}
    models = {label: lk.open_run(runs[label], base) for label in ("10,000 dialogues", "64 dialogues")}
    forgot = lk.forgetting(base, models, lk.load_tasks(rows=60))
    return told(table) | {
        "histories": {label: curve(run) for label, run in runs.items()},
        "forgetting": forgot.rows(),
    }


def lab_4() -> dict[str, Any]:
    """Where a soft prompt starts, and how fast it learns."""
    five = lk.PromptTuning(tokens=5)
    gentle = replace(SHORT["training"], learning_rate=0.001)
    tables = {
        f"20 tokens, {start}": compared([lk.PromptTuning(tokens=20, init=start)])
        for start in ("vocabulary", "random", "text")
    }
    tables["20 tokens, rate 0.001"] = compared([lk.PromptTuning(tokens=20)], training=gentle)
    tables["5 tokens, vocabulary"] = compared([five])
    tables[f'5 tokens, "{PRESENT}"'] = compared([replace(five, init="text", text=PRESENT)])
    return told(together(tables))


def lab_5() -> dict[str, Any]:
    """LoRA and two of its relatives at one rank."""
    return told(compared([lk.LoRA(), lk.LoRA(rslora=True), lk.LoRA(dora=True)]))


def lab_6() -> dict[str, Any]:
    """What the runs of record.py still know of the tasks of the pre-training, beside what they gained."""
    base = lk.load_model("nano")
    table = lk.compare(METHODS, base, seeds=SEEDS, root=HERE / ".record", report=tell)
    runs = {
        (entry.label, seed): run for entry in table.entries[2:] for seed, run in zip(SEEDS, entry.runs, strict=True)
    }
    asked = {f"{label} {seed}": lk.open_run(run, base) for (label, seed), run in runs.items()}
    memory, start = lk.forgetting(base, asked), table["base"].scores
    rows = []
    for label, seed in runs:
        gain = paired_difference(runs[label, seed].scores, start, "rouge1")
        change = memory.change(f"{label} {seed}")
        row = {"label": label, "seed": seed, "gain": gain.mean, "gain_interval": [gain.low, gain.high]}
        rows.append(row | {"change": change.mean, "change_interval": [change.low, change.high]})
    return {"forgetting": rows}


LABS: dict[str, Callable[[], dict[str, Any]]] = {"0": lab_0, "1": lab_1, "2": lab_2, "4": lab_4, "5": lab_5, "6": lab_6}

if __name__ == "__main__":
    for number in sys.argv[1:] or LABS:
        found = LABS[number]() | {"data": lk.load_dialogues().fingerprint, "environment": environment()}
        write_json(HERE / "recorded" / f"lab_{number}.json", found, indent=None)
