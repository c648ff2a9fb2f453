"""The prompt, and how a dialogue that is too long for it is cut."""

import pytest

from labkit.errors import LabError
from labkit.models import Model
from labkit.prompts import AFTER, BEFORE, LIMIT, encode_prompts

TURNS = [f"#Person{1 + i % 2}#: Can we meet at {i}?" for i in range(12)]


def encoded(model: Model, text: str) -> list[int]:
    return list(model.tokenizer(text)["input_ids"])


def test_a_dialogue_that_fits_is_put_into_the_prompt_unchanged(tiny: Model) -> None:
    short, long = "\n".join(TURNS[:2]), "\n".join(TURNS)
    prompts = encode_prompts(tiny.tokenizer, [short, long], LIMIT)
    assert prompts.ids == [encoded(tiny, f"{BEFORE}{each}{AFTER}") for each in (short, long)]
    assert prompts.turns_cut == [0, 0]


def test_a_dialogue_that_just_fits_is_not_cut(tiny: Model) -> None:
    dialogue = "\n".join(TURNS)
    length = len(encoded(tiny, f"{BEFORE}{dialogue}{AFTER}"))
    assert encode_prompts(tiny.tokenizer, [dialogue], length).turns_cut == [0]
    assert encode_prompts(tiny.tokenizer, [dialogue], length - 1).turns_cut == [1]


@pytest.mark.parametrize("cut", range(1, len(TURNS)))
def test_cuts_the_oldest_turns_first_and_tells_how_many(tiny: Model, cut: int) -> None:
    expected = encoded(tiny, BEFORE + "\n".join(TURNS[cut:]) + AFTER)
    prompts = encode_prompts(tiny.tokenizer, ["\n".join(TURNS)], len(expected))
    assert prompts.ids == [expected]
    assert prompts.turns_cut == [cut]


def test_cuts_only_the_dialogues_that_are_too_long(tiny: Model) -> None:
    prompts = encode_prompts(tiny.tokenizer, ["\n".join(TURNS), TURNS[0], "\n".join(TURNS[:9])], 80)
    assert [cut > 0 for cut in prompts.turns_cut] == [True, False, True]
    assert prompts.ids[1] == encoded(tiny, f"{BEFORE}{TURNS[0]}{AFTER}")


@pytest.mark.parametrize("end", ["", "\n", "\n \n"], ids=["plain", "newline", "blank line"])
def test_a_last_turn_that_is_too_long_alone_keeps_its_end(tiny: Model, end: str) -> None:
    last = "#Person2#: Monday " + "tea " * 50 + "Friday cafe" + end
    prompts = encode_prompts(tiny.tokenizer, [f"{TURNS[0]}\n{last}"], 40)
    before, after = encoded(tiny, BEFORE)[:-1], encoded(tiny, f"Friday cafe{AFTER}")
    (ids,) = prompts.ids
    tea = encoded(tiny, "tea")[0]
    assert ids == before + [tea] * (40 - len(before) - len(after)) + after
    assert prompts.turns_cut == [2]


def test_a_limit_that_leaves_no_room_for_a_dialogue_is_refused(tiny: Model) -> None:
    with pytest.raises(
        LabError, match=r"only 10 tokens are left for prompt and dialogue.*: use fewer tokens"
    ) as caught:
        encode_prompts(tiny.tokenizer, TURNS, 10)
    assert "\n" not in str(caught.value)


def test_no_prompt_is_ever_longer_than_the_limit(tiny: Model) -> None:
    dialogues = [
        "\n".join(TURNS),
        TURNS[0],
        "#Person1#: " + "tea " * 300,
        "Hello\n" + "x" * 400 + "\n",
        "\n".join(["#Person1#: " + "cake " * 90, *TURNS]),
        "\n\n\n",
    ]
    frame = len(encoded(tiny, BEFORE + AFTER))
    for limit in [*range(2 * frame, 130), 255, 256, 511, 512]:
        prompts = encode_prompts(tiny.tokenizer, dialogues, limit)
        assert max(map(len, prompts.ids)) <= limit
        assert all(ids[-1] == tiny.tokenizer.eos_token_id for ids in prompts.ids)
