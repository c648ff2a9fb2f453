"""Finished runs with summaries written by hand, for what reads runs and trains none."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labkit.comparison import Comparison, Entry
from labkit.dialogues import Dialogues
from labkit.rouge import score
from labkit.runs import Run, write_json


def handmade_run(root: Path, name: str, data: Dialogues, summaries: Sequence[str], **config: Any) -> Run:
    """A run of the first test dialogues, one a summary."""
    rows, folder = data.head(test=len(summaries)).test, root / name
    scores = score(list(rows["id"]), list(summaries), list(rows["summaries"]))
    predictions = [{"id": i, "summary": s} for i, s in zip(rows["id"], summaries, strict=True)]
    what = {"name": data.name, "fingerprint": data.fingerprint}
    write_json(folder / "config.json", {"data": what, "environment": {}, **config})
    (folder / "predictions.jsonl").write_text("".join(json.dumps(each) + "\n" for each in predictions))
    write_json(folder / "scores.json", {"rouge": scores.to_json()})
    return Run(folder)


def handmade_table(root: Path, data: Dialogues, summaries: Mapping[str, Sequence[str]]) -> Comparison:
    """A comparison with a line of this label for each list of summaries; the folders are numbered."""
    runs = [handmade_run(root, f"run-{i}", data, each) for i, each in enumerate(summaries.values())]
    entries = (Entry(label, label, (run,)) for label, run in zip(summaries, runs, strict=True))
    return Comparison("tiny", data.name, tuple(entries))
