"""One training in a process of its own, measured: prints one line of JSON.

python benchmarks/one.py '{"who": "labkit", "model": "nano", "method": "lora", "precision": "auto", "steps": 8,
    "batch": 16}'

who is labkit, trainer, loop or lab_2; model is nano, flan-t5-small, flan-t5-base (random weights) or a folder.
"""

import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from ceiling import useful_flops
from peers import PEERS
from work import METHODS, SHAPES, SKIPPED, Clock, dialogues, ordered_rows, write_model

import labkit as lk
from labkit.parameters import shape_of_net


def labkit(ask: dict[str, Any], clock: Clock, folder: str) -> list[float]:
    """`labkit.train`; its history's seconds are rounded, so the clock is read when a line of it is written.

    Args:
        ask: What to train, and how long; "precision" is set to the one that was chosen.
        clock: Told when a step ends.
        folder: For the run.

    Returns:
        The loss of each line of the history: with fewer than 120 steps, of each step.
    """
    base = lk.load_model(ask["model"], device="cpu", precision=ask["precision"])
    ask["precision"] = base.precision
    model, run = lk.attach(base, METHODS[ask["method"]]), lk.Run(Path(folder) / "run")
    run.start({"method": model.method.dials()})
    # one validation of one row, at the end, costs nothing that is measured
    training = lk.Training(steps=ask["steps"], batch_size=ask["batch"], validations=1, validation_rows=1)

    def report(line: dict[str, float]) -> None:
        if "loss" in line:
            clock.tick(int(line["step"]))

    lk.train(model, dialogues(ask["model"], ask["steps"] * ask["batch"]), run, training, report=report)
    return [line["loss"] for line in run.history if "loss" in line]


def measured(ask: dict[str, Any]) -> dict[str, Any]:
    """Train as asked, and give the figures.

    Args:
        ask: who, model, method, precision, steps, batch.
    """
    os.environ["LABKIT_COMPILE"] = "always" if ask.get("compiled") else "never"
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        if ask["model"] in SHAPES:
            ask["model"] = str(write_model(ask["model"], Path(folder)))
        losses = {"labkit": labkit, **PEERS}[ask["who"]](ask, clock, folder)
        figures = clock.figures(ask["batch"])  # before the work is counted, which takes memory
        return {"precision": ask["precision"], **figures, **work_of(ask), "losses": losses}


def work_of(ask: dict[str, Any]) -> dict[str, float]:
    """Real tokens and useful FLOPs of an example, as means over the steps that are measured.

    Args:
        ask: What `measured` takes.
    """
    base = lk.load_model(ask["model"], device="cpu", precision="fp32")
    method = METHODS[ask["method"]]
    model = lk.attach(base, method)
    data = dialogues(ask["model"], ask["steps"] * ask["batch"])
    rows = ordered_rows(model, data, ask["steps"], ask["batch"])[SKIPPED * ask["batch"] :]
    shape, lengths = shape_of_net(base.net), [(len(row["input_ids"]), len(row["labels"])) for row in rows]
    return {
        "prompt_tokens": mean(prompt for prompt, _ in lengths),
        "summary_tokens": mean(summary for _, summary in lengths),
        "useful_flops": mean(useful_flops(shape, method, *each) for each in lengths),
    }


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # Trainer prints, and the one line is for who started this
        told = measured(json.loads(sys.argv[1]))
    print(json.dumps(told))
