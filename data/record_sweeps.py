"""Record what turning one dial does: ranks of LoRA and virtual tokens of prompt tuning, three seeds each.

    python data/record_sweeps.py             # goes on where it was stopped
    python data/record_sweeps.py --seeds 1   # a quick look

Writes data/recorded/sweep_rank.json and sweep_tokens.json. Runs are kept in data/.record, beside those of record.py.
"""

import argparse
from pathlib import Path

from record import tell

import labkit as lk
from labkit.runs import write_json

HERE = Path(__file__).parent
SWEEPS: dict[str, tuple[lk.LoRA | lk.PromptTuning, tuple[int, ...]]] = {
    "rank": (lk.LoRA(), (1, 2, 4, 8, 16, 64)),
    "tokens": (lk.PromptTuning(), (1, 5, 20, 100)),
}


def main(seeds: int) -> None:
    """Train, score, and write everything down."""
    short = {"training": lk.Training(steps=150), "evaluation": lk.Evaluation(rows=200)}
    for dial, (method, values) in SWEEPS.items():
        found = lk.sweep(method, dial, values, seeds=range(seeds), root=HERE / ".record", report=tell, **short)
        told = found.to_json()
        told["rows"] = [row | {"train_seconds": None} for row in told["rows"]]  # many runs are recorded at once
        write_json(HERE / "recorded" / f"sweep_{dial}.json", told, indent=None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    main(parser.parse_args().seeds)
