"""The prompt, and how a dialogue that is too long for it is cut."""

from typing import Any

import pytest

from labkit.errors import LabError
from labkit.models import Model
from labkit.prompts import AFTER, BEFORE, INSTRUCTION, LIMIT, Prompt, encode_prompts

TURNS = [f"#Person{1 + i % 2}#: Can we meet at {i}?" for i in range(12)]


EXAMPLES = (("#Person1#: Hello Anna.", "Anna is it."), ("#Person1#: Tea?\n#Person2#: Thanks.", "Ben will bring tea."))


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


def test_a_few_shot_prompt_repeats_the_frame_with_a_summary_for_each_example() -> None:
    assert Prompt(examples=EXAMPLES).text("#Person1#: Bye.") == (
        "Summarize the following conversation.\n\n#Person1#: Hello Anna.\n\nSummary: Anna is it.\n\n"
        "Summarize the following conversation.\n\n#Person1#: Tea?\n#Person2#: Thanks.\n\n"
        "Summary: Ben will bring tea.\n\n"
        "Summarize the following conversation.\n\n#Person1#: Bye.\n\nSummary: "
    )


def test_a_prompt_takes_other_words_or_none() -> None:
    assert Prompt("Who will come?").text("Hi.") == "Who will come?\n\nHi.\n\nSummary: "
    assert Prompt("").text("Hi.") == "Hi.\n\nSummary: "


def test_a_prompt_made_of_lists_equals_one_made_of_tuples() -> None:
    prompt = Prompt(examples=[list(pair) for pair in EXAMPLES])  # type: ignore[arg-type]
    assert prompt == Prompt(INSTRUCTION, EXAMPLES)
    assert hash(prompt) == hash(Prompt(INSTRUCTION, EXAMPLES))


@pytest.mark.parametrize(
    "pair", ["#Person1#: Hi.", ("#Person1#: Hi.",), ("#Person1#: Hi.", " "), ("a", ["b"]), {"a": 1, "b": 2}, None]
)
def test_an_example_that_is_no_pair_of_texts_is_refused(pair: Any) -> None:
    with pytest.raises(LabError, match="example 2 is no pair of dialogue and summary: give two texts"):
        Prompt(examples=(EXAMPLES[0], pair))


def test_too_long_a_dialogue_after_examples_loses_its_own_oldest_turns_only(tiny: Model) -> None:
    prompt = Prompt(examples=EXAMPLES)
    expected = encoded(tiny, prompt.text("\n".join(TURNS[7:])))
    assert encode_prompts(tiny.tokenizer, ["\n".join(TURNS)], len(expected), prompt) == ([expected], [7])


def test_too_long_a_last_turn_after_examples_keeps_its_end(tiny: Model) -> None:
    prompt = Prompt(examples=EXAMPLES)
    before, after = encoded(tiny, prompt.before)[:-1], encoded(tiny, f"Friday cafe{AFTER}")
    limit = len(before) + len(after) + 9
    (ids,), cut = encode_prompts(tiny.tokenizer, ["#Person2#: " + "tea " * 90 + "Friday cafe"], limit, prompt)
    assert ids == before + encoded(tiny, "tea")[:1] * 9 + after
    assert cut == [1]


def test_examples_that_leave_no_room_are_refused_with_the_tokens_they_take(tiny: Model) -> None:
    prompt, dialogue = Prompt(examples=EXAMPLES), "Hello"
    frame = len(encoded(tiny, BEFORE + AFTER))
    taken = len(encoded(tiny, prompt.text(""))) - frame
    assert encode_prompts(tiny.tokenizer, [dialogue], taken + 2 * frame, prompt).turns_cut == [0]
    limit = taken + 2 * frame - 1
    with pytest.raises(
        LabError, match=rf"^the examples take {taken} of {limit} tokens and leave no room .*: use fewer"
    ):
        encode_prompts(tiny.tokenizer, [dialogue], limit, prompt)


def test_looks_for_the_cut_by_halves(tiny: Model) -> None:
    looks = 0

    def counting(*args: Any, **options: Any) -> Any:
        nonlocal looks
        looks += 1
        return tiny.tokenizer(*args, **options)

    turns = [f"#Person{1 + i % 2}#: Hello Anna, can we meet?" for i in range(256)]
    prompts = encode_prompts(counting, ["\n".join(turns)], 60)
    assert prompts.ids == [encoded(tiny, BEFORE + "\n".join(turns[prompts.turns_cut[0] :]) + AFTER)]
    assert looks <= 14  # 8 halvings of 256 turns, and what is looked at once
