"""Record what lab 7 shows of real dialogues: nano trained on DialogSum, and how many tokens FLAN-T5 makes of it.

    python data/record_dialogsum.py dialogsum.dev.jsonl flan_t5_tokenizer/

The first is DialogSum's development file (github.com/cylnlp/dialogsum), 500 dialogues with one reference; the second a
folder with the tokenizer of google/flan-t5-small. Neither is a part of this project: only figures are kept, in
data/recorded/lab_7.json.
"""

import statistics
import sys
from pathlib import Path
from typing import Any

from record import METHODS, tell
from record_labs import told

import labkit as lk
from labkit.runs import environment, write_json

HERE = Path(__file__).parent


def dialogsum(file: str) -> lk.Dialogues:
    """250 dialogues to train on, 50 to validate, and 200 for the test."""
    from datasets import concatenate_datasets

    data = lk.load_dialogues(file, columns={"id": "fname"})  # 400, 50 and 50
    test = concatenate_datasets([data.train.select(range(250, 400)), data.test])
    return lk.Dialogues("DialogSum, development", data.train.select(range(250)), data.validation, test)


def learned(data: lk.Dialogues) -> dict[str, Any]:
    """Each method on nano with three seeds, stopped when validation no longer gets better."""
    stops = lk.Training(steps=160, validations=16, patience=3)
    return told(lk.compare(METHODS, "nano", data, seeds=range(3), training=stops, root=HERE / ".record", report=tell))


def lengths(data: lk.Dialogues, tokenizer: Any) -> dict[str, float]:
    """How many tokens FLAN-T5 makes of the prompts of all 500."""
    dialogues = [text for split in (data.train, data.validation, data.test) for text in split["dialogue"]]
    prompts = sorted(len(tokenizer(lk.Prompt().text(dialogue)).input_ids) for dialogue in dialogues)
    over = sum(length > 512 for length in prompts)
    middle = round(statistics.mean(prompts), 1)
    return {"mean": middle, "share_95": prompts[int(0.95 * len(prompts))], "most": prompts[-1], "over_512": over}


def main(file: str, folder: str) -> None:
    """Train, count, and write it down."""
    from transformers import AutoTokenizer

    data, tokenizer = dialogsum(file), AutoTokenizer.from_pretrained(folder)
    found = {"data": data.fingerprint, "tokens": lengths(data, tokenizer)} | learned(data)
    write_json(HERE / "recorded" / "lab_7.json", found | {"environment": environment()}, indent=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
