"""Measure labkit's speed and size, and put each beside a peer on the same work in the same run.

    python benchmarks/report.py          # writes benchmarks/report.json and prints it

Machines are noisy: read the ratios, and the seconds only against the limits they are set.
"""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch
from panels import panels

import labkit as lk
from labkit.generation import eval_mode
from labkit.memory import MIB
from labkit.prompts import encode_prompts
from labkit.runs import environment, write_json

HERE = Path(__file__).parent
ROWS = 96


def seconds(command: list[str], folder: str, times: int = 1) -> float:
    """Median wall time of a whole process."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        taken.append(time.perf_counter() - started)
    return round(statistics.median(taken), 2)


def seconds_and_peak(command: list[str], folder: str) -> tuple[float, float]:
    """Wall time of a whole process, and the most memory it took, in MiB."""
    started, peak = time.perf_counter(), 0.0
    process = psutil.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):
            peak = max(peak, process.memory_info().rss / MIB)
        time.sleep(0.02)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return round(time.perf_counter() - started, 2), round(peak)


def timed(work: Callable[[], Any], times: int = 3) -> float:
    """Median seconds of a function, after one run to warm up."""
    work()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def commands() -> dict[str, Any]:
    """What a learner waits for, as whole processes in an empty folder."""
    labkit = str(Path(sys.executable).parent / "labkit")
    with tempfile.TemporaryDirectory() as folder:
        result = {
            "import_labkit": seconds([sys.executable, "-c", "import labkit"], folder, 5),
            "params_xxl": seconds([labkit, "params", "--model", "google/flan-t5-xxl"], folder, 5),
        }
        from_nothing, peak = seconds_and_peak([labkit, "compare", "--json"], folder)
        result |= {"compare_from_nothing": from_nothing, "compare_peak_memory_mib": peak}
        result["compare_stored"] = seconds([labkit, "compare", "--json"], folder, 3)
    return result


def wheel_bytes() -> dict[str, int]:
    """Size of the wheel, and of what it unpacks to."""
    with tempfile.TemporaryDirectory() as folder:
        build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder]
        subprocess.run(build, cwd=HERE.parent, check=True, capture_output=True)
        wheel = next(Path(folder).glob("*.whl"))
        shutil.unpack_archive(wheel, f"{folder}/unpacked", "zip")
        unpacked = sum(file.stat().st_size for file in Path(f"{folder}/unpacked").rglob("*") if file.is_file())
        return {"wheel": wheel.stat().st_size, "installed": unpacked}


def generation() -> dict[str, float]:
    """`summarize` against one dialogue at a time, as the course lab and its copies do it."""
    base = lk.load_model("nano")
    dialogues = list(lk.load_dialogues().test["dialogue"])[:ROWS]
    prompts = encode_prompts(base.tokenizer, dialogues).ids

    def one_by_one() -> None:
        with eval_mode(base.net), torch.inference_mode():
            for ids in prompts:
                base.net.generate(input_ids=torch.tensor([ids]), max_new_tokens=64, do_sample=False)

    ours, peer = timed(lambda: lk.summarize(base, dialogues)), timed(one_by_one, 1)
    times = {"labkit_seconds": round(ours, 2), "one_by_one_seconds": round(peer, 2)}
    return times | {"times_faster": round(peer / ours, 2)}


def training() -> dict[str, float]:
    """`train`, from the rows to the saved adapter, against a plain loop that pads to 512 as the course lab does."""
    base, data = lk.load_model("nano"), lk.load_dialogues()
    rows = data.train.select(range(ROWS))
    prompts = encode_prompts(base.tokenizer, list(rows["dialogue"])).ids
    labels = base.tokenizer([each[0] for each in rows["summaries"]])["input_ids"]

    def labkit_loop() -> None:
        with tempfile.TemporaryDirectory() as folder:
            run = lk.Run(Path(folder) / "run")
            run.start({"method": lk.LoRA().dials()})
            short = lk.Training(steps=ROWS // 16, batch_size=16, validations=1, validation_rows=1)
            lk.train(lk.attach(base, lk.LoRA()), data.head(train=ROWS), run, short)

    def plain_loop() -> None:
        model = lk.attach(base, lk.LoRA())
        optimizer = torch.optim.AdamW([p for p in model.net.parameters() if p.requires_grad], lr=1e-3)
        for at in range(0, ROWS, 16):
            ids = padded(prompts[at : at + 16], 512, 0)
            targets = padded(labels[at : at + 16], 512, -100)
            model.net(input_ids=ids, attention_mask=ids.ne(0), labels=targets).loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    ours, peer = timed(labkit_loop), timed(plain_loop, 1)
    return {
        "labkit_examples_per_second": round(ROWS / ours, 1),
        "padded_to_512_examples_per_second": round(ROWS / peer, 1),
        "times_faster": round(peer / ours, 2),
    }


def padded(rows: list[list[int]], width: int, fill: int) -> torch.Tensor:
    """Rows of ids as one tensor of this width."""
    return torch.tensor([row + [fill] * (width - len(row)) for row in rows])


def main() -> None:
    """Measure everything, the whole processes first while nothing else is loaded."""
    with tempfile.TemporaryDirectory() as os.environ["LABKIT_CACHE"]:  # what was encoded before is no part of it
        report = {"commands": commands(), "panels": panels(), "bytes": wheel_bytes()}
        report |= {"generation": generation(), "training": training(), "environment": environment()}
    write_json(HERE / "report.json", report)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
