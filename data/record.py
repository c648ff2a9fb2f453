"""Record the figures that the labs and the README show: three seeds of each method on the embedded corpus.

    python data/record.py               # goes on where it was stopped
    python data/record.py --seeds 1     # a quick look

Writes data/recorded/compare_nano.json: the rows of `labkit compare --json`, the same on the hand-written
dialogues, how the baselines do, and the environment. Runs are kept in data/.record.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import labkit as lk
from labkit.batches import collator, encode_rows
from labkit.evaluation import LEAD, evaluate
from labkit.runs import environment, write_json
from labkit.training import set_dropout

HERE = Path(__file__).parent
# a process where glibc gives back at once what is freed, so that its peak is what it held, twice the same
GIVING_BACK = os.environ | {"MALLOC_MMAP_THRESHOLD_": "1000000", "MALLOC_TRIM_THRESHOLD_": "1000000"}
METHODS = (lk.FullFineTuning(), lk.LoRA(), lk.LoRA(rank=4, targets=("all",)), lk.PromptTuning())


def tell(label: str, news: dict[str, Any]) -> None:
    """Print what validations say."""
    if "validation_loss" in news:
        print(label, json.dumps(news), flush=True)


def carried(table: lk.Comparison) -> list[dict[str, Any]]:
    """How each line of the table does on the hand-written dialogues, which nothing was trained on."""
    base, handwritten, rows = lk.load_model("nano"), lk.load_dialogues("handwritten"), []
    for entry in table.entries:
        models = [None if entry.label == LEAD else lk.open_run(run, base) for run in entry.runs]
        scores = lk.Scores.over_seeds([evaluate(model, handwritten) for model in models])
        rows.append({"label": entry.label, "dialogues": len(scores.ids)} | scores.row())
    return rows


def template_guess(rows: Any) -> lk.Scores:
    """A template guesser: the summary of another dialogue of the same situation and outcome in the train split."""
    from labkit.rouge import score

    data = lk.load_dialogues()
    known: dict[tuple[str, str], str] = {}
    for frame, summaries in zip(data.train["frame"], data.train["summaries"], strict=True):
        known.setdefault((frame["situation"], frame["outcome"]), summaries[0])
    guesses = [known[frame["situation"], frame["outcome"]] for frame in rows["frame"]]
    return score(list(rows["id"]), guesses, list(rows["summaries"]))


def size(table: lk.Comparison) -> dict[str, int]:
    """How many dialogues were summarized, and the steps of the longest training."""
    steps = [run.results.get("steps", 0) for entry in table.entries for run in entry.runs]
    return {"dialogues": len(table.entries[0].scores.ids), "steps": max(steps)}


def plain_rows(table: lk.Comparison) -> list[dict[str, Any]]:
    """The rows of a table without the folders of this machine."""
    return [row | {"runs": [Path(folder).name for folder in row["runs"]]} for row in table.rows()]


def share(text: str) -> tuple[int, int]:
    """Which share of the runs a process does, from "i/n": every n-th one, from the i-th on."""
    index, parts = map(int, text.split("/"))
    if not 0 <= index < parts:
        raise argparse.ArgumentTypeError(f"{text} is no share: use 0/2 and 1/2 for two processes")
    return index, parts


def step_seconds(models: Mapping[str, lk.Model], rounds: int = 9) -> dict[str, float]:
    """Median seconds of a training's step on 16 dialogues; the models take turns, so a slow moment is one for all."""
    import torch

    rows = lk.load_dialogues().train.select(range(16))
    trainings, taken = [], {label: list[float]() for label in models}
    for label, model in models.items():
        net, method = model.net.train(), model.method
        set_dropout(net, 0.0)  # as in a training
        optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=1e-4, fused=True)
        extra = method.while_training(net, 2 * rounds) if method else []
        trainings.append((label, net, collator(model)(encode_rows(model, rows)[0]), optimizer, extra))
    for turn in range(rounds):
        for label, net, batch, optimizer, extra in trainings:
            for step in (2 * turn, 2 * turn + 1):  # the first, after those of another model, is slower: not counted
                began = time.perf_counter()
                net(**batch).loss.backward()
                optimizer.step()
                for callback in extra:
                    callback.on_optimizer_step(None, SimpleNamespace(global_step=step), None)
                optimizer.zero_grad()
                seconds = time.perf_counter() - began
            taken[label].append(seconds)
    return {label: statistics.median(each) for label, each in taken.items()}


def main(seeds: int) -> None:
    """Train, score, and write everything down."""
    data = lk.load_dialogues()
    table = lk.compare(METHODS, seeds=range(seeds), root=HERE / ".record", report=tell)
    guess = template_guess(data.test)
    write_json(
        HERE / "recorded" / "compare_nano.json",
        {
            "rows": plain_rows(table),
            "differences": table.difference_rows(),
            "template_guesser": guess.row(),
            "handwritten": carried(table),
            **size(table),
            "data": data.fingerprint,
            "environment": environment(),
        },
        indent=None,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    main(parser.parse_args().seeds)
