"""The tasks that travel with labkit: they come from their generator, and no training ever saw their dialogues."""

import itertools
import json
import re
from collections import Counter

import pytest
from generate_tasks import FILE, ROWS, TASKS, as_line, rows
from screenplay.engine import bucket, load_situations, named_pools

from labkit.dialogues import load_dialogues
from labkit.errors import LabError
from labkit.tasks import Task, load_tasks


def test_is_what_the_generator_writes_byte_for_byte() -> None:
    lines = FILE.read_text(encoding="utf-8").splitlines()
    written = [as_line(row) for row in itertools.islice(rows(load_situations()), ROWS + 5)]
    assert written == lines[: ROWS + 5]


def test_has_as_many_of_each_kind() -> None:
    assert Counter(task.kind for task in load_tasks()) == dict.fromkeys(TASKS, ROWS)


def test_gives_the_first_of_each_kind() -> None:
    every, few = load_tasks(), load_tasks(rows=3)
    assert len(few) == 3 * len(TASKS)
    assert few == [task for kind in TASKS for task in [t for t in every if t.kind == kind][:3]]
    assert few[0] == Task(**{"kind" if key == "task" else key: value for key, value in first_row().items()})


def first_row() -> dict[str, str]:
    with FILE.open(encoding="utf-8") as file:
        return dict(json.loads(file.readline()))


def test_every_task_asks_about_a_dialogue_of_its_own() -> None:
    turns = [frozenset(line for line in task.prompt.split("\n") if line.startswith("#Person")) for task in load_tasks()]
    assert len(set(turns)) == len(turns)


def test_no_dialogue_is_in_the_corpus() -> None:
    prompts = "\n\n".join(task.prompt for task in load_tasks())
    data = load_dialogues()
    for split in (data.train, data.validation, data.test):
        assert not [dialogue for dialogue in split["dialogue"] if dialogue in prompts]


def test_names_no_person_of_the_pre_training() -> None:
    known = {name for pool in ("first", "woman", "man") for name in named_pools()[pool] if bucket(name) == "train"}
    words = set(re.findall(r"\w+", " ".join(f"{task.prompt} {task.answer}" for task in load_tasks())))
    assert len(known) > 300
    assert not known & words


def test_rows_below_one_are_refused() -> None:
    with pytest.raises(LabError, match="rows is 0: use 1 or more"):
        load_tasks(rows=0)
