"""Questions of nano's pre-training with one right answer each, on dialogues that it never saw."""

from typing import NamedTuple

from labkit.errors import LabError
from labkit.paths import DATA
from labkit.tables import read_file


class Task(NamedTuple):
    """One question about one dialogue.

    Attributes:
        kind: Which of the tasks it is: "question", "detail", "role", ...
        prompt: All that the model reads: dialogue and instruction, in one of many wordings.
        answer: The right answer.
    """

    kind: str
    prompt: str
    answer: str


def load_tasks(rows: int | None = None) -> list[Task]:
    """Load the tasks that travel with labkit: ten kinds, 60 of each, each on a dialogue of its own.

    Args:
        rows: How many of each kind to give, from the first on; all unless given.

    Returns:
        The tasks, kind after kind.

    Raises:
        LabError: The number of rows is below 1.
    """
    if rows is not None and rows < 1:
        raise LabError(f"rows is {rows}: use 1 or more")
    kinds: dict[str, list[Task]] = {}
    for row in read_file(DATA / "tasks" / "validation.jsonl"):
        kinds.setdefault(row["task"], []).append(Task(row["task"], row["prompt"], row["answer"]))
    return [task for kind in kinds.values() for task in kind[:rows]]
