"""Measure labkit's speed and size, and put each beside a peer on the same work in the same run.

    python benchmarks/report.py          # writes benchmarks/report.json and prints it

Machines are noisy: read the ratios, and the seconds only against the limits they are set.
"""

import contextlib
import json
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
from torch.nn.utils.rnn import pad_sequence

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
    """A step as labkit makes it, padded to the batch and sorted, against one padded to 512 as in the course lab."""
    base, data = lk.load_model("nano"), lk.load_dialogues()
    rows = data.train.select(range(ROWS))
    prompts = sorted(encode_prompts(base.tokenizer, list(rows["dialogue"])).ids, key=len)
    labels = base.tokenizer([each[0] for each in rows["summaries"]])["input_ids"]

    def steps(width: int | None) -> None:
        model = lk.attach(base, lk.LoRA())
        optimizer = torch.optim.AdamW([p for p in model.net.parameters() if p.requires_grad], lr=1e-3)
        for at in range(0, ROWS, 16):
            ids = pad_sequence([torch.tensor(row) for row in prompts[at : at + 16]], batch_first=True)
            targets = pad_sequence([torch.tensor(row) for row in labels[at : at + 16]], True, -100)
            if width:
                ids = torch.nn.functional.pad(ids, (0, width - ids.shape[1]))
                targets = torch.nn.functional.pad(targets, (0, width - targets.shape[1]), value=-100)
            model.net(input_ids=ids, attention_mask=ids.ne(0), labels=targets).loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    ours, peer = timed(lambda: steps(None)), timed(lambda: steps(512), 1)
    return {
        "labkit_examples_per_second": round(ROWS / ours, 1),
        "padded_to_512_examples_per_second": round(ROWS / peer, 1),
        "times_faster": round(peer / ours, 2),
    }


def main() -> None:
    """Measure everything, the whole processes first while nothing else is loaded."""
    report = {"commands": commands(), "bytes": wheel_bytes(), "generation": generation(), "training": training()}
    report["environment"] = environment()
    write_json(HERE / "report.json", report)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
