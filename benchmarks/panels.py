"""What lab 3 and the panels make a learner wait for, measured in a Jupyter kernel of their own."""

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

LAB = Path(__file__).parents[1] / "labs" / "03_lora.ipynb"
BUDGET = """\
import json, statistics, time
from labkit.methods import METHODS
from labkit.widgets import Budget
from labkit.widgets.budget import MODELS


def turn(dial, value, taken):
    began = time.perf_counter()
    dial.value = value
    taken.append(1000 * (time.perf_counter() - began))


def p95(taken):
    return round(statistics.quantiles(taken, n=20)[-1], 1)


panel, milliseconds = Budget(), {}
for model in MODELS:
    panel.model.value = model
    for name in METHODS:
        taken = milliseconds[model, name] = []
        turn(panel.dials.children[0], name, taken)
        for dial in (panel.batch, panel.source, panel.target):
            for step in (dial.step, -dial.step):
                for _ in range(5):
                    turn(dial, dial.value + step, taken)
        assert panel.parts.cells, panel.trains.value
every = [each for taken in milliseconds.values() for each in taken]
largest = {name: p95(milliseconds[MODELS[-1], name]) for name in METHODS}
print(json.dumps({"budget_changes": len(every), "budget_p95_milliseconds": p95(every), "on_" + MODELS[-1]: largest}))
"""
TRAINER = """\
import labkit as lk
from labkit import widgets

base, data = lk.load_model("nano"), lk.load_dialogues("nano")
long = lk.Training(steps=3000, batch_size=4, validations=10, validation_rows=32)
panel = widgets.Trainer(base, data, lk.LoRA(rank=2), long, lk.Evaluation(rows=12))
panel
"""


class Kernel:
    """A kernel that is told what to run, and what it has sent by then, in bytes of JSON."""

    def __init__(self, client: BlockingKernelClient):
        self.client, self.sent = client, 0

    def run(self, source: str) -> str:
        """Run a cell to its end; what it printed, or an error."""
        asked, printed = self.client.execute(source), ""
        while True:
            message = self.client.get_iopub_msg(timeout=1800)
            self.sent += len(json.dumps(message, default=str))
            content, kind = message["content"], message["msg_type"]
            if kind == "error":
                raise RuntimeError(f"{content['ename']}: {content['evalue']}")
            if kind == "stream" and content["name"] == "stdout":
                printed += content["text"]
            if message["parent_header"].get("msg_id") == asked and content.get("execution_state") == "idle":
                return printed


@contextmanager
def kernel() -> Iterator[Kernel]:
    """A fresh kernel that keeps its runs in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        manager, client = start_new_kernel(cwd=folder, env=os.environ | {"LABKIT_RUNS": folder})
        try:
            yield Kernel(client)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


def lab_3() -> float:
    """Seconds from the start of its kernel to the first comparison that is done, in lab 3 as it is shipped."""
    cells = [cell.source for cell in nbformat.read(LAB, as_version=4).cells if cell.cell_type == "code"]
    began = time.perf_counter()
    with kernel() as fresh:
        for source in cells:
            fresh.run(source)
            if "lk.compare(" in source:
                return round(time.perf_counter() - began, 1)
    raise RuntimeError("lab 3 compares nothing")


def panels() -> dict[str, Any]:
    """Lab 3, the Budget panel over all models and methods, and what a training of 3,000 steps sends to its page."""
    result: dict[str, Any] = {"lab_3_first_comparison_seconds": lab_3()}
    with kernel() as fresh:
        result |= json.loads(fresh.run(BUDGET))
    with kernel() as fresh:
        fresh.run(TRAINER)
        before = fresh.sent
        fresh.run("panel.start(); run = panel.live.wait()")
        steps = int(fresh.run("print(run.history[-1]['step'])"))
        result |= {"trained_steps": steps, "training_messages_bytes": fresh.sent - before}
    return result


if __name__ == "__main__":
    print(json.dumps(panels(), indent=1))
