"""Record whether soft prompts come nearer to full fine-tuning when the model is larger: three sizes of nano.

    python data/record_sizes.py               # goes on where it was stopped
    python data/record_sizes.py --part 0/2    # every second run only, while another process does 1/2

The sizes were pre-trained alike:

    python data/pretrain_nano.py --name nano-0.45m --width 48 --head-width 12
    python data/pretrain_nano.py --name nano-1.6m --width 112 --head-width 28

Writes data/recorded/sizes.json; runs are kept in data/.record, beside those of record.py.
"""

import argparse
from pathlib import Path
from typing import Any

from record import share, tell

import labkit as lk
from labkit.intervals import paired_difference
from labkit.runs import environment, write_json

HERE = Path(__file__).parent
SIZES = ("nano-0.45m", "nano-1.6m", "nano")
METHODS = (lk.FullFineTuning(), lk.LoRA(), lk.PrefixTuning(), lk.PromptTuning())


def compared(model: str, seeds: range, methods: Any = METHODS) -> lk.Comparison:
    """Train and score what is not there yet."""
    return lk.compare(list(methods), model, seeds=seeds, root=HERE / ".record", report=tell)


def main(seeds: int, index: int, parts: int) -> None:
    """Train, score, and write everything down."""
    for model, method, seed in [(m, x, s) for s in range(seeds) for m in SIZES for x in METHODS][index::parts]:
        compared(model, range(seed, seed + 1), [method])
    if parts > 1:
        return
    rows = []
    for model in SIZES:
        table = compared(model, range(seeds))
        full, base = table["full"].scores, table["base"].scores
        for entry in table.entries:
            row = {"model": model, "parameters": lk.shape_of(model).total, "label": entry.label}
            row |= {"percent": entry.results[0].get("percent", 0.0), **entry.scores.row()}
            for name, other in (("full", full), ("base", base)):
                gap = paired_difference(entry.scores, other, "rouge1")
                row |= {f"over_{name}": gap.mean, f"over_{name}_interval": [gap.low, gap.high]}
            row["rouge1_seeds"] = [run.scores.average("rouge1") for run in entry.runs]
            rows.append(row)
    told = {"rows": rows, "data": lk.load_dialogues().fingerprint, "environment": environment()}
    write_json(HERE / "recorded" / "sizes.json", told, indent=None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", type=share, default="0/1", help="i/n: every n-th run only, from the i-th on")
    options = parser.parse_args()
    main(options.seeds, *options.part)
