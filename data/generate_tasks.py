"""Write questions of the pre-training on dialogues that it never saw, to measure what a fine-tuned model forgot.

python data/generate_tasks.py            # writes data/tasks/validation.jsonl

Only tasks with one right answer, so that an answer is right or wrong to the letter.
"""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

from generate_dialogues import scene
from instructions import pose
from screenplay.engine import Situation, load_situations

FILE = Path(__file__).parent / "tasks" / "validation.jsonl"
TASKS = ("question", "detail", "details", "want", "outcome", "role", "dropped", "speaker", "reply", "order")
ROWS = 60  # a task
SEED = 7  # as in the pre-training, so the corpus has other dialogues


def rows(situations: list[Situation]) -> Iterator[dict[str, str]]:
    """All rows, task by task; each has a dialogue of its own, with names and facts of the validation split."""
    indices = itertools.count()
    for task in TASKS:
        posed = (pose(task, scene(situations, "validation", i, SEED), Random(f"{task} {i}")) for i in indices)
        for prompt, answer in itertools.islice(filter(None, posed), ROWS):
            yield {"task": task, "prompt": prompt, "answer": answer}


def as_line(row: dict[str, str]) -> str:
    """A row as it stands in the file."""
    return json.dumps(row, separators=(",", ":"))


def write() -> None:
    """Write the file; it appears only when it is complete."""
    text = "".join(as_line(row) + "\n" for row in rows(load_situations()))
    FILE.parent.mkdir(exist_ok=True)
    FILE.with_suffix(".new").write_text(text, encoding="utf-8", newline="\n")
    FILE.with_suffix(".new").replace(FILE)
    print(f"{FILE.relative_to(FILE.parent.parent.parent)}: {text.count(chr(10))} tasks")


if __name__ == "__main__":
    write()
