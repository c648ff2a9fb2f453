"""Measure how time and memory grow with rows, tokens, rank, virtual tokens and parameters, and fit what is expected.

    python benchmarks/growth.py           # writes benchmarks/growth.json and docs/growth.svg, in some minutes
    python benchmarks/growth.py --fast    # small points, to see whether it works; writes nothing

Each point is a process of its own, so that none finds memory or caches that another left. Of several steps the fastest
counts, since what else runs on a machine only adds; memory is the peak of the whole process, libraries included.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from growth_picture import picture

ROOT = Path(__file__).parent.parent
STEPS = 10  # of which the first is not counted
BATCH = 4
LAWS = {"flat": 0, "linear": 1, "quadratic": 2}  # the highest power of x; the lower ones count, too


class Growth(NamedTuple):
    """What is turned, the points, fast ones, and the laws of time and memory."""

    points: tuple[int, ...]
    fast: tuple[int, ...]
    seconds: str
    mib: str


GROWTH = {
    # each row is encoded once and read once
    "rows": Growth((10_000, 20_000, 40_000, 70_000, 100_000), (200, 400, 600, 800, 1000), "linear", "flat"),
    # every matrix product is linear in the tokens, scores of attention are quadratic
    "tokens": Growth((64, 128, 256, 384, 512), (16, 32, 48, 64, 80), "quadratic", "quadratic"),
    # beside the base, which stays the same
    "LoRA's rank": Growth((1, 32, 64, 96, 128), (1, 2, 4, 6, 8), "linear", "linear"),
    # they are tokens like others, to the encoder
    "virtual tokens": Growth((1, 64, 128, 192, 256), (1, 8, 16, 24, 32), "quadratic", "quadratic"),
    # of 1 to 12 layers: in width, the embeddings and the activations would grow in other measure than the rest
    "parameters": Growth((1, 3, 6, 9, 12), (1, 2, 3, 4, 5), "linear", "linear"),
}


class Corpus:
    """The training rows of nano's corpus, over and over, with a number that makes each another; made when read.

    They take no memory, which leaves what is made of them: `load_dialogues` itself holds all text that it has read.
    """

    def __init__(self, rows: Any, numbers: Any):
        self.rows, self.numbers = rows, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, part: slice) -> dict[str, list[Any]]:
        numbers = [int(number) for number in self.numbers[part]]
        block = self.rows[[number % len(self.rows) for number in numbers]]
        return block | {"dialogue": [f"{text} {n}" for text, n in zip(block["dialogue"], numbers, strict=True)]}

    def select(self, numbers: Any) -> "Corpus":
        """These rows, by number."""
        return Corpus(self.rows, np.asarray(self.numbers)[numbers])

    def select_columns(self, names: list[str]) -> "Corpus":
        """The same rows: they have these columns only."""
        assert set(names) == set(self.rows.column_names)
        return self


def rows(count: int) -> tuple[Callable[[], Any], int]:
    """Encode so many rows and read them in batches, as a training of one epoch does."""
    import labkit as lk
    from labkit.batches import collator, training_rows

    base = lk.load_model("nano")
    split = Corpus(lk.load_dialogues().train.select_columns(["dialogue", "summaries"]), range(count))

    def epoch() -> None:
        seen, _ = training_rows(base, split, count // 16, 16, seed=0)
        collate = collator(base)
        for at in range(0, len(seen), 16):
            collate([seen[number] for number in range(at, at + 16)])

    return epoch, count


def step(what: str, value: int) -> tuple[Callable[[], Any], int]:
    """A step of a training on random tokens, and what it is against."""
    import torch

    import labkit as lk

    base, tokens, method = lk.load_model("nano"), 128, lk.LoRA()
    if what == "tokens":
        tokens = value
    elif what == "LoRA's rank":
        method = lk.LoRA(rank=value)
    elif what == "virtual tokens":
        method = lk.PromptTuning(tokens=value)
    else:
        method = lk.FullFineTuning()
        config = type(base.net.config)(**base.net.config.to_dict() | {"num_layers": value, "num_decoder_layers": value})
        base = replace(base, net=type(base.net)(config))
    net = lk.attach(base, method).net.train()
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], fused=True)
    ids, labels = (torch.randint(3, net.config.vocab_size, (BATCH, length)) for length in (tokens, 32))

    def update() -> None:
        net(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return update, sum(p.numel() for p in net.parameters()) if what == "parameters" else value


def point(what: str, value: int) -> dict[str, float]:
    """Seconds and MiB of one point, in this process."""
    from labkit.memory import PeakMemory

    (work, x), times = (rows(value), 1) if what == "rows" else (step(what, value), STEPS)
    taken = []
    with PeakMemory() as peak:
        for _ in range(times):
            began = time.perf_counter()
            work()
            taken.append(time.perf_counter() - began)
    return {"x": x, "seconds": round(min(taken[1:] or taken), 4), "mib": round(peak.mib, 1)}


def measured(what: str, value: int) -> dict[str, float]:
    """The same in a process of its own, with an empty cache."""
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, __file__, "--point", what, str(value)]
        environment = os.environ | {"LABKIT_CACHE": cache, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    told: dict[str, float] = json.loads(done.stdout)
    print(what, told, flush=True)
    return told


def fitted(points: list[dict[str, float]], name: str, law: str) -> dict[str, Any]:
    """The law's coefficients, none below 0, by least squares of relative differences; and how far off the worst is."""
    x, y = (np.array([each[axis] for each in points], float) for axis in ("x", name))
    powers = x[:, None] ** np.arange(LAWS[law] + 1) / y[:, None]
    fits = []
    for kept in itertools.product((False, True), repeat=LAWS[law] + 1):  # few enough to try which of them are above 0
        coefficients = np.zeros(LAWS[law] + 1)
        coefficients[list(kept)] = np.linalg.lstsq(powers[:, kept], np.ones_like(y), rcond=None)[0]
        if (coefficients >= 0).all():
            fits.append((float(((powers @ coefficients - 1) ** 2).sum()), coefficients))
    best = min(fits, key=lambda fit: fit[0])[1]
    departure = float(np.abs(powers @ best - 1).max())
    return {"law": law, "coefficients": best.tolist(), "departure": round(departure, 4)}


def main(fast: bool) -> None:
    """Measure all points, and write what came of them."""
    from labkit.runs import environment, write_json

    found: dict[str, Any] = {}
    for what, growth in GROWTH.items():
        points = [measured(what, value) for value in (growth.fast if fast else growth.points)]
        laws = {"seconds": growth.seconds, "mib": growth.mib}
        found[what] = {"points": points} | {name: fitted(points, name, law) for name, law in laws.items()}
        print(what, {name: found[what][name] for name in laws}, flush=True)
    if not fast:
        write_json(ROOT / "benchmarks" / "growth.json", {"growth": found, "environment": environment()})
        (ROOT / "docs" / "growth.svg").write_text(picture(found), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How time and memory grow.")
    parser.add_argument("--fast", action="store_true", help="small points; writes nothing")
    parser.add_argument("--point", nargs=2, metavar=("WHAT", "VALUE"), help="print one point, measured here")
    asked = parser.parse_args()
    if asked.point:
        print(json.dumps(point(asked.point[0], int(asked.point[1]))))
    else:
        main(asked.fast)
