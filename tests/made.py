"""Comparisons and sweeps that nothing was trained for: scores made up, so that what is right is known."""

from pathlib import Path
from typing import Any

import numpy as np

from labkit.comparison import Comparison, Entry
from labkit.intervals import MEASURES, Scores
from labkit.runs import Run, write_json
from labkit.sweep_results import SweepResult

DIALOGUES = 30


def made_scores(level: float, bend: float = 0.0) -> Scores:
    """Scores around a level, the same ups and downs for every model; `bend` sets every other dialogue off by it."""
    n = np.arange(DIALOGUES)
    wave = 0.1 * np.sin(n) - 0.1 * np.sin(n).mean()
    mean = {m: level + wave + bend * (-1.0) ** n - 0.01 * i for i, m in enumerate(MEASURES)}
    return Scores(tuple(f"d{i}" for i in n), mean, {m: each + 0.1 for m, each in mean.items()}, np.full(DIALOGUES, 9.0))


def made_entry(root: Path, label: str, levels: list[float], bend: float = 0.0, **results: Any) -> Entry:
    """A line of a comparison: a finished run a seed."""
    runs = []
    for seed, level in enumerate(levels):
        run = Run(root / f"{label.encode().hex()}-{seed}")
        asked = {name: {"name": "made up"} for name in ("model", "data", "training", "evaluation")}
        write_json(run.folder / "config.json", {"method": {"method": "lora"}, **asked, "environment": {"cores": 2}})
        write_json(run.folder / "scores.json", {"rouge": made_scores(level, bend).to_json()} | results)
        runs.append(run)
    return Entry(label, label.split()[0], tuple(runs))


def made_comparison(root: Path) -> Comparison:
    """Two baselines and three methods: the second is about as good as the first and dearer, the third cheap."""

    def cost(trainable: int) -> dict[str, Any]:
        return {"trainable": trainable, "percent": trainable / 1000, "train_seconds": 10.0, "adapter_bytes": trainable}

    return Comparison(
        "nano",
        "made up",
        (
            made_entry(root, "lead-2", [0.25]),
            made_entry(root, "base", [0.15]),
            made_entry(root, "lora", [0.36, 0.38], **cost(2000)),
            made_entry(root, "lora <b>rank</b>=9", [0.365], bend=0.02, **cost(2250)),
            made_entry(root, "prompt-tuning", [0.30], **cost(10)),
        ),
    )


def made_sweep(levels: dict[float, list[float]], behind: dict[float, list[float]], dial: str = "rank") -> SweepResult:
    """A sweep of these means a seed, and these [mean, low, high] below the best, the same for every measure."""
    rows = []
    for value, seeds in levels.items():
        mean = sum(seeds) / len(seeds)
        row = {"value": value, "label": f"lora {dial}={value}", "seeds": len(seeds), "trainable": int(100 * value)}
        for measure in MEASURES:
            row[measure], row[f"{measure}_interval"] = mean, [mean - 0.02, mean + 0.02]
            row[f"{measure}_seeds"] = seeds
            row[f"{measure}_seeds_interval"] = [mean - 0.05, mean + 0.05] if len(seeds) > 1 else None
            row[f"{measure}_behind"], *row[f"{measure}_behind_interval"] = behind.get(value, [0.0, 0.0, 0.0])
        rows.append(row)
    base = dict.fromkeys(MEASURES, 0.1)
    return SweepResult(dial, {"method": "lora"}, {"dialogues": 500}, base, rows)
