"""Training with labkit beside its peers: processes that take turns, round by round.

In each round every case is trained once by each side, so that a machine that grows slower does so for all of them.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from work import SHAPES, write_model

HERE = Path(__file__).parent
LABKIT = ("labkit", "auto")
FP32, BF16, LOOP, LAB_2 = ("trainer", "fp32"), ("trainer", "bf16"), ("loop", "bf16"), ("lab_2", "fp32")
RATIOS = {LAB_2: "over_lab_2", FP32: "over_trainer_fp32", BF16: "over_trainer_bf16", LOOP: "over_loop"}
Side = tuple[str, str]  # who, and in which precision it is asked to train
LEFT_OUT = ("precision", "losses")  # of what a process tells, no numbers to take a median of
LOGGED = 120  # steps; of longer trainings labkit logs means over some steps
APART = 0.02  # of a loss: more than rounding
SLOW_STEPS = 4  # of the course lab, whose steps are all alike


@dataclass(frozen=True)
class Case:
    """One training that labkit and some peers do.

    Attributes:
        model: "nano", or one of `work.SHAPES`.
        method: One of `work.METHODS`.
        peers: Who else trains it.
        steps: Of each training; with fewer than 120, labkit logs each.
        batch: Dialogues a step.
        compiled: Whether labkit compiles its steps, which it would do by itself in still longer trainings only.
    """

    model: str
    method: str
    peers: tuple[Side, ...]
    steps: int = 12
    batch: int = 8
    compiled: bool = False

    @property
    def name(self) -> str:
        """Model and method, and what else is not as usual."""
        rest = [f"{self.steps} steps"] * (self.steps > LOGGED) + ["compiled"] * self.compiled
        return ", ".join([f"{self.model} {self.method}", *rest])


CASES = (
    Case("flan-t5-small", "lora", (LAB_2, FP32, BF16, LOOP)),
    Case("flan-t5-small", "full", (BF16,)),
    Case("flan-t5-small", "prompt-tuning", (BF16,)),
    Case("nano", "lora", (FP32, BF16), steps=40, batch=16),
    Case("nano", "full", (FP32, BF16), steps=40, batch=16),
    Case("nano", "prompt-tuning", (FP32, BF16), steps=40, batch=16),
    Case("flan-t5-base", "lora", (BF16,), steps=6),
    Case("nano", "lora", (BF16,), steps=1500, batch=16, compiled=True),
)


def told(script: str, ask: dict[str, Any] | None = None, cache: str | None = None) -> dict[str, Any]:
    """What a script of this folder prints as its last line, run in a process of its own.

    Args:
        script: Its name.
        ask: Its argument.
        cache: Where labkit keeps what it measures of the machine; the usual place unless given.

    Raises:
        RuntimeError: It failed; the end of what it wrote is told.
    """
    command = [sys.executable, str(HERE / script), *([json.dumps(ask)] if ask else [])]
    around = os.environ | ({"LABKIT_CACHE": cache} if cache else {})
    done = subprocess.run(command, env=around, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{script} {ask} failed: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def training(rounds: int, cases: tuple[Case, ...] = CASES, progress: Callable[[str], Any] = print) -> dict[str, Any]:
    """Train all cases in rounds.

    Args:
        rounds: How often each side trains each case.
        cases: What is trained.
        progress: Called with a line when a training is over.

    Returns:
        The ceilings of this machine in GFLOP/s, and by case what `summary` gives.
    """
    ceilings: list[dict[str, Any]] = []
    found: dict[Case, dict[Side, list[dict[str, Any]]]] = {
        case: {side: [] for side in (LABKIT, *case.peers)} for case in cases
    }
    with tempfile.TemporaryDirectory() as folder:
        used = {case.model for case in cases}
        models = {name: str(write_model(name, Path(folder))) for name in SHAPES if name in used}
        for turn in range(rounds):
            for case, sides in found.items():
                if turn and case.steps > LOGGED:  # one such round takes minutes, and is long enough to be trusted
                    continue
                ceilings.append(told("ceiling.py"))
                for side in list(sides)[:: 1 if turn % 2 == 0 else -1]:  # nobody is always the first
                    ask = asked(case, side) | {"model": models.get(case.model, case.model)}
                    sides[side].append(told("one.py", ask, cache=folder))  # the precision is chosen once a run
                    progress(f"{case.name}, {' '.join(side)}: {sides[side][-1]['examples_per_second']:.2f} examples/s")
    ceiling = {name: median(each[name] for each in ceilings) for name in ceilings[0]}
    return {
        "ceiling_gflops": ceiling,
        "cases": {case.name: summary(case, sides, ceiling) for case, sides in found.items()},
    }


def asked(case: Case, side: Side) -> dict[str, Any]:
    """What `one.py` is asked for.

    Args:
        case: What is trained.
        side: By whom.
    """
    who, precision = side
    steps = min(case.steps, SLOW_STEPS) if side == LAB_2 else case.steps
    return {
        "who": who,
        "model": case.model,
        "method": case.method,
        "precision": precision,
        "steps": steps,
        "batch": case.batch,
        "compiled": case.compiled,
    }


def summary(case: Case, sides: dict[Side, list[dict[str, Any]]], ceiling: dict[str, float]) -> dict[str, Any]:
    """Medians over the rounds, and labkit beside each peer.

    Args:
        case: What was trained.
        sides: What `one.py` told, by side and round.
        ceiling: GFLOP/s by precision.

    Returns:
        steps, batch, precision (labkit's), utilisation (useful FLOP/s over the ceiling of that precision), agreement
        (mean relative difference of the losses to a peer of the same precision), over_... (median of the
        rounds' ratios of examples a second), and the medians of each side.
    """
    ours = sides[LABKIT]
    precision = ours[0]["precision"]
    useful = 1e-9 * median(each["useful_flops"] * each["examples_per_second"] for each in ours)
    result = {
        "rounds": len(ours),
        "steps": case.steps,
        "batch": case.batch,
        "precision": precision,
        "utilisation": round(useful / ceiling[precision], 3),
        "agreement": (apart := agreement(sides, precision)),
    }
    for peer in case.peers if apart is None or apart <= APART else ():  # else it is other work, and the speed is void
        pairs = zip(ours, sides[peer], strict=True)
        ratios = (mine["examples_per_second"] / other["examples_per_second"] for mine, other in pairs)
        result[RATIOS[peer]] = round(median(ratios), 2)
        if case.steps > LOGGED:
            in_all = zip(ours, sides[peer], strict=True)
            ratios = (other["seconds_in_all"] / mine["seconds_in_all"] for mine, other in in_all)
            result[f"{RATIOS[peer]}_in_all"] = round(median(ratios), 2)
    return result | {"sides": {" ".join(side): medians(told) for side, told in sides.items()}}


def medians(told: list[dict[str, Any]]) -> dict[str, float]:
    """The median over the rounds of each figure."""
    return {name: round(median(each[name] for each in told), 2) for name in told[0] if name not in LEFT_OUT}


def agreement(sides: dict[Side, list[dict[str, Any]]], precision: str) -> float | None:
    """How far labkit's losses are from those of a peer that trained on the same batches in the same precision.

    Args:
        sides: What `one.py` told, by side and round.
        precision: labkit's.

    Returns:
        The mean of the relative differences of all steps; None if there is no such peer.
    """
    peer = next((sides[who, precision] for who in ("trainer", "loop") if (who, precision) in sides), None)
    if peer is None:
        return None
    ours, theirs = sides[LABKIT][0]["losses"], peer[0]["losses"]
    size = len(theirs) // len(ours)  # a long training logs means over some steps
    pairs = zip(ours, (mean(theirs[at : at + size]) for at in range(0, len(theirs), size)), strict=True)
    return float(f"{mean(abs(mine - other) / abs(other) for mine, other in pairs):.2g}")
