"""Record whether soft prompts come nearer to full fine-tuning when the model is larger: three sizes of nano.

    python data/record_sizes.py               # goes on where it was stopped
    python data/record_sizes.py --part 0/2    # every second run only, while another process does 1/2

The two small ones were pre-trained as nano was:

    python data/pretrain_nano.py --name nano-0.45m --width 48 --head-width 12
    python data/pretrain_nano.py --name nano-1.6m --width 112 --head-width 28

Writes data/recorded/sizes.json, with nano's own lines from family.json, which were made in the same way; runs are kept
in data/.record, beside those of record.py.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from record import plain_rows, share, size, tell

import labkit as lk
from labkit.intervals import paired_difference
from labkit.methods import Method
from labkit.runs import environment, write_json

HERE = Path(__file__).parent
SMALL = ("nano-0.45m", "nano-1.6m")
METHODS = (lk.FullFineTuning(), lk.LoRA(), lk.PrefixTuning(), lk.PromptTuning())
KEPT = ("label", "seeds", "percent", "words", "rouge1", "rouge1_interval", "rouge1_seeds", "rouge2", "rougeL")
GAPS = ("rouge1_gain", "rouge1_gain_interval", "rouge1_to_full", "rouge1_to_full_interval")


def compared(model: str, seeds: Sequence[int], methods: Sequence[Method] = METHODS) -> lk.Comparison:
    """Train and score what is not there yet."""
    return lk.compare(list(methods), model, seeds=seeds, root=HERE / ".record", report=tell)


def small(table: lk.Comparison) -> Iterator[dict[str, Any]]:
    """The rows of a table, with what each method is above full fine-tuning."""
    for entry, row in zip(table.entries, plain_rows(table), strict=True):
        gap = paired_difference(entry.scores, table["full"].scores, "rouge1")
        yield row | {"rouge1_to_full": gap.mean, "rouge1_to_full_interval": [gap.low, gap.high]}


def lines(model: str, rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What is kept of the rows of a model."""
    shown = {"lead-2", "base", *(method.label for method in METHODS)}
    for row in rows:
        if row["label"] in shown:
            told = {"model": model, "parameters": lk.shape_of(model).total}
            yield told | {name: row[name] for name in (*KEPT, *GAPS) if name in row}


def main(seeds: int, index: int, parts: int) -> None:
    """Train, score, and write everything down."""
    for model, method, seed in [(m, x, s) for s in range(seeds) for m in SMALL for x in METHODS][index::parts]:
        compared(model, [seed], [method])
    if parts > 1:
        return
    family = json.loads((HERE / "recorded" / "family.json").read_text(encoding="utf-8"))
    tables = {model: compared(model, range(seeds)) for model in SMALL}
    found = [line for model in SMALL for line in lines(model, list(small(tables[model])))]
    found += lines("nano", family["rows"])
    done = size(tables[SMALL[0]])
    if done != {name: family[name] for name in done}:
        raise SystemExit(f"family.json is of other dialogues or steps than {done}: record it anew")
    told = {"rows": found, **done, "data": lk.load_dialogues().fingerprint, "environment": environment()}
    write_json(HERE / "recorded" / "sizes.json", told, indent=None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", type=share, default="0/1", help="i/n: every n-th run only, from the i-th on")
    options = parser.parse_args()
    main(options.seeds, *options.part)
