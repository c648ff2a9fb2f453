"""Measure labkit's speed and size, and put each beside its peers on the same work in the same run.

    python benchmarks/report.py                            # all sections, written into benchmarks/report.json
    python benchmarks/report.py --only training --rounds 5
    python benchmarks/report.py --only compare --today ../other-checkout

Machines are noisy: read the ratios, and the seconds only against the limits they are set.
"""

import argparse
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
from evaluating import evaluating
from panels import panels
from table import table
from training import training

from labkit.compute.machine import processor
from labkit.memory import MIB
from labkit.runs import environment, write_json

HERE = Path(__file__).parent
REPORT = HERE / "report.json"


def seconds(command: list[str], folder: str, times: int = 1, checkout: Path | None = None) -> float:
    """Median wall time of a whole process; with a checkout, its labkit is what is imported."""
    # with the folder as its cache it knows nothing of the machine yet
    taken, around = [], os.environ | ({"PYTHONPATH": str(checkout), "LABKIT_CACHE": folder} if checkout else {})
    for _ in range(times):
        started = time.perf_counter()
        subprocess.run(command, cwd=folder, env=around, check=True, capture_output=True)
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


def compare(today: Path, rounds: int) -> dict[str, Any]:
    """`labkit compare` from nothing, as a whole process in an empty folder, in turns with another checkout's.

    Args:
        today: The other checkout.
        rounds: How often each is run.
    """
    command = [sys.executable, "-c", "from labkit.cli import main; main()", "compare", "--json"]
    taken: dict[str, list[float]] = {"labkit": [], "other": []}
    for _ in range(rounds):
        for name, checkout in (("labkit", HERE.parent), ("other", today.resolve())):
            with tempfile.TemporaryDirectory() as folder:
                taken[name].append(seconds(command, folder, checkout=checkout))
    pairs = zip(taken["labkit"], taken["other"], strict=True)
    return {
        "rounds": rounds,
        "labkit_seconds": statistics.median(taken["labkit"]),
        "other_seconds": statistics.median(taken["other"]),
        "over_other": round(statistics.median(other / ours for ours, other in pairs), 2),
    }


def rouge() -> dict[str, Any]:
    """ROUGE by labkit beside ROUGE by others."""
    from rouge import rouge as measure

    return dict(measure())


def sections(rounds: int, today: Path | None) -> dict[str, Callable[[], dict[str, Any]]]:
    """What can be measured, whole processes first while nothing else is loaded.

    Args:
        rounds: How often what takes turns with a peer is measured.
        today: Another checkout, if there is one to compare with.
    """
    there: dict[str, Callable[[], dict[str, Any]]] = {"commands": commands}
    if today:
        there["compare"] = lambda: compare(today, rounds)
    there |= {"panels": panels, "bytes": wheel_bytes}
    there |= {"training": lambda: training(rounds), "evaluation": lambda: evaluating(rounds)}
    if (HERE / "rouge.py").is_file():
        there["rouge"] = rouge
    return there


def merged(report: dict[str, Any], section: str, figures: dict[str, Any]) -> dict[str, Any]:
    """A report with a section measured anew; each section says on what, since they need not be of one day.

    Args:
        report: What there was.
        section: Its name.
        figures: What was measured.
    """
    told = environment()
    told["hardware"] |= {"processor": processor(), "threads": torch.get_num_threads()}
    return report | {section: figures | {"environment": told}}


def options() -> argparse.Namespace:
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="SECTION", help="measure these, and keep the others as they are")
    parser.add_argument("--rounds", type=int, default=3, help="of what takes turns with a peer")
    parser.add_argument("--today", type=Path, metavar="DIR", help="another checkout, to run `labkit compare` beside")
    asked = parser.parse_args()
    known = sections(asked.rounds, asked.today)
    if unknown := set(asked.only or ()) - set(known):
        parser.error(f"no section {', '.join(sorted(unknown))}: use {', '.join(known)}; compare needs --today")
    return asked


def main() -> None:
    """Measure what is asked for, and write each section when it is there: a later one may break off."""
    asked = options()
    for name, measure in sections(asked.rounds, asked.today).items():
        if asked.only and name not in asked.only:
            continue
        figures = measure()
        report = json.loads(REPORT.read_text(encoding="utf-8")) if REPORT.is_file() else {}
        write_json(REPORT, merged(report, name, figures))
        print(f"{name}: measured")
    print(table(json.loads(REPORT.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
