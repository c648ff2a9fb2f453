"""The instruction tasks of the pre-training: the target summaries stay out, and the answers are right."""

import re
from random import Random

import pytest
from generate_dialogues import scene
from instructions import TASKS, examples, pose
from screenplay.engine import Scene, load_situations
from wordings import SUMMARIZE

SCENES = 400


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    situations = load_situations()
    return [scene(situations, "validation", index, 7) for index in range(SCENES)]


def test_no_answer_is_a_target_summary(scenes: list[Scene]) -> None:
    for number, drawn in enumerate(scenes):
        answers = {answer.lower() for _, _, answer in examples(drawn, Random(number), 60)}
        assert len(answers) > 10
        assert not answers & {summary.lower() for summary in drawn.lines["sum"]}


def test_the_bare_word_summarize_calls_up_topics_and_headlines_only(scenes: list[Scene]) -> None:
    tasks = set()
    for number, drawn in enumerate(scenes):
        for task, prompt, _ in examples(drawn, Random(number), 40):
            before, _, after = prompt.partition("\n\n")
            if before in SUMMARIZE or after in SUMMARIZE:
                tasks.add(task)
    assert tasks == {"topic", "headline"}


@pytest.mark.parametrize("task", sorted(set(TASKS) - {"continue", "blanks"}))
def test_every_prompt_shows_the_whole_dialogue(task: str, scenes: list[Scene]) -> None:
    posed = [(drawn.dialogue, pose(task, drawn, Random(number))) for number, drawn in enumerate(scenes)]
    assert sum(found is not None for _, found in posed) > SCENES / 2
    assert all(dialogue in found[0] and "{" not in found[0] + found[1] for dialogue, found in posed if found)


def test_filling_the_blanks_restores_the_dialogue(scenes: list[Scene]) -> None:
    for number, drawn in enumerate(scenes):
        words, answer = TASKS["blanks"](drawn, Random(number)) or pytest.fail("no blanks")
        text = words["dialogue"]
        for mark, hidden in re.findall(r"(<extra_id_\d+>) (.*?)(?= <extra_id_|$)", answer):
            text = text.replace(mark, hidden)
        assert text == drawn.dialogue != words["dialogue"]


def test_the_order_is_that_of_the_dialogue(scenes: list[Scene]) -> None:
    for number, drawn in enumerate(scenes):
        if found := TASKS["order"](drawn, Random(number)):
            turns = dict(re.findall(r"\((.)\) (.*?)(?= \([abc]\) |$)", found[0]["mixed"]))
            said = [text for _, text in drawn.turns]
            places = [said.index(turns[letter]) for letter in found[1].split()]
            assert places == sorted(places)
