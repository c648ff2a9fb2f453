"""Checks of exercises: the right value passes, and each usual mistake gets its own line."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch

from labkit import checks
from labkit.checks import Check, check
from labkit.dialogues import Dialogues
from labkit.methods import LoRA, PromptTuning, attach
from labkit.models import Model
from labkit.parameters import shape_of
from labkit.prompts import Prompt
from labkit.rouge import score

DIALOGUE = "#Person1#: Hello Anna, can we meet on Monday?\n#Person2#: Thanks, I will be at the park."


def test_an_outcome_is_true_or_false_and_says_so_in_words() -> None:
    assert check("x", 3, 3, [], "count")
    assert not check("x", 2, 3, [], "count")
    assert repr(check("x", 3, 3, [], "count")) == "Right: 3 is x."
    assert repr(check("x", 2, 3, [], "count again")) == "Not yet: 2 is too low for x: count again."
    assert repr(check("x", 4, 3, [], "count again")) == "Not yet: 4 is too high for x: count again."


def test_the_first_mistake_that_fits_is_told() -> None:
    mistakes = [(6, "doubled"), (6, "doubled, too"), (3, "right after all")]
    assert check("x", 6, 3, mistakes, "").text == "6 is not x: doubled."
    assert check("x", 3, 3, mistakes, "")


@pytest.mark.parametrize("value", [None, ..., "many", float("nan"), float("inf"), [1, 2], "<b>"])
def test_what_is_no_number_gets_the_hint_instead_of_a_traceback(value: Any) -> None:
    found = check("x", value, 3, [], "count again")
    assert not found
    assert found.text.endswith("is no number, x is one: count again.")


def test_a_hint_that_asks_ends_as_it_does() -> None:
    assert check("x", 4, 3, [], "what is x?").text == "4 is too high for x: what is x?"


def test_the_html_escapes_what_the_learner_gave() -> None:
    html = check("x", "<img onerror=a()>", 3, [], "count")._repr_html_()
    assert "Not yet:" in html
    assert "&lt;img onerror=a()&gt;" in html
    assert "<img" not in html
    assert "Right:" in Check(True, "yes")._repr_html_()


# Lab 1

# 7 words and 9; their stems have 5 in common: anna, book, the, tabl, for
SUMMARY, REFERENCE = "Anna booked the the tables for Ben.", "The table for Anna was booking up by it."


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (5 / 7, "the precision"),
        (5 / 9, "the recall"),
        ((5 / 7 + 5 / 9) / 2, "the mean of precision and recall"),
        (12 / 16, "as often as it is in both"),  # both "the" counted
        (6 / 16, "compared as stems"),  # anna, the, for
        (10 / 15, "comes of sets"),  # 6 and 9
        (4 / 16, "capitals and full stops"),  # Anna, for
        (62.5, "in percent"),
        (5, "the number of shared words"),
        (0.9, "too high"),
        (0.1, "too low"),
    ],
)
def test_rouge_by_hand_knows_the_usual_mistakes(value: float, said: str) -> None:
    found = checks.rouge1_by_hand(value, SUMMARY, REFERENCE)
    assert not found
    assert said in found.text


def test_rouge_by_hand_takes_what_rouge_gives_to_three_digits() -> None:
    for summary, reference in ((SUMMARY, REFERENCE), ("Ben is late.", "Ben will be late today, says Anna.")):
        f = score(["one"], [summary], [[reference]]).average("rouge1")
        assert checks.rouge1_by_hand(f, summary, reference)
        assert checks.rouge1_by_hand(round(f, 3), summary, reference)
        assert not checks.rouge1_by_hand(f + 0.01, summary, reference)


def test_examples_of_the_train_split_pass(tiny_data: Dialogues) -> None:
    rows = [tiny_data.train[0], tiny_data.train[5]]
    prompt = Prompt(examples=tuple((row["dialogue"], row["summaries"][0]) for row in rows))
    assert checks.few_shot_from_train(prompt, tiny_data)


def test_examples_from_elsewhere_are_told(tiny_data: Dialogues) -> None:
    train, test, other = tiny_data.train[0], tiny_data.test[0], tiny_data.validation[1]
    good = (train["dialogue"], train["summaries"][0])

    def said(*examples: tuple[str, str]) -> str:
        found = checks.few_shot_from_train(Prompt(examples=examples), tiny_data)
        assert not found
        return found.text

    assert "has no examples" in said()
    assert "example 2 is from test" in said(good, (test["dialogue"], test["summaries"][1]))
    assert "example 1 is from validation" in said((other["dialogue"], other["summaries"][0]))
    assert "example 1 is no dialogue of tiny" in said(("#Person1#: Hi.", "A greeting."))
    assert "the summary of example 1 is another dialogue's" in said((train["dialogue"], "A greeting."))


def test_counts_the_tokens_that_a_prompt_leaves(tiny: Model) -> None:
    prompt = Prompt(examples=(("#Person1#: Hi.", "Anna is it."),))
    taken = len(tiny.tokenizer(prompt.text(DIALOGUE))["input_ids"])
    soft = attach(tiny, PromptTuning(tokens=20))

    def said(value: int, model: Model = tiny) -> str:
        return repr(checks.prompt_tokens_left(value, model, DIALOGUE, prompt))

    assert said(512 - taken).startswith("Right")
    assert said(492 - taken, soft).startswith("Right")
    assert "the virtual tokens take room" in said(512 - taken, soft)
    assert "what the prompt takes" in said(taken)
    assert "the end token" in said(513 - taken)
    assert "the instruction" in said(512 - len(tiny.tokenizer(DIALOGUE)["input_ids"]))
    assert "those are words" in said(512 - len(prompt.text(DIALOGUE).split()))
    assert "those are characters" in said(512 - len(prompt.text(DIALOGUE)))


# Labs 2 to 4


def test_training_memory_is_16_bytes_a_trained_parameter_and_4_a_frozen_one() -> None:
    assert checks.training_memory(16_000, 1000)
    assert checks.training_memory(4 * 1000 + 12 * 10, 1000, trainable=10)


@pytest.mark.parametrize(
    ("value", "trainable", "said"),
    [
        (4000, None, "the weights alone"),
        (8000, None, "weights and gradients"),
        (12_000, None, "one of four"),
        (1000, None, "how many parameters"),
        (16, None, "in kB"),
        (16_000 / 2**20, None, "in MiB"),
        (16_000, 300, "only what is trained"),
        (4800, 300, "the frozen weights"),
        (3600, 300, "the weights themselves"),
        (1, None, "too low"),
    ],
)
def test_training_memory_knows_the_usual_mistakes(value: float, trainable: int | None, said: str) -> None:
    found = checks.training_memory(value, 1000, trainable)
    assert not found
    assert said in found.text


def test_an_adapter_takes_4_bytes_a_trained_parameter_and_a_little_more() -> None:
    assert checks.adapter_storage(4_000, 1000, 90_000)
    assert checks.adapter_storage(4_150, 1000, 90_000)
    assert not checks.adapter_storage(4_300, 1000, 90_000)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (360_000, "the whole model"),
        (1000, "how many parameters"),
        (2000, "2 bytes"),
        (32_000, "in bits"),
        (16_000, "gradients and moments"),
        (4, "in kB"),
    ],
)
def test_adapter_storage_knows_the_usual_mistakes(value: float, said: str) -> None:
    found = checks.adapter_storage(value, 1000, 90_000)
    assert not found
    assert said in found.text


def test_counts_lora_as_the_package_does(tiny_folder: Any) -> None:
    shape = shape_of(str(tiny_folder))
    counted = LoRA(rank=2, targets=("q",)).trainable(shape)
    assert checks.lora_parameters(counted, inputs=32, outputs=24, rank=2, layers=6)
    assert "a third" in checks.lora_parameters(2 * 2 * (32 + 24), 32, 24, 2, 6).text  # two layers of the encoder


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (4 * 32 * 24, "inputs and outputs are added"),
        (9 * 4 * 32 * 24, "inputs and outputs are added"),
        (9 * 4 * 32, "of the two, A"),
        (9 * 4 * 24, "of the two, B"),
        (4 * (32 + 24), "one adapted layer"),
        (9 * 32 * 24, "W itself"),
        (9 * (32 * 24 + 4 * (32 + 24)), "W is frozen"),
        (9 * (32 + 24), "the rank is left out"),
        (18, "how many matrices"),
        (6 * 4 * (32 + 24), "attention to the encoder"),
        (7, "too low"),
    ],
)
def test_lora_parameters_knows_the_usual_mistakes(value: int, said: str) -> None:
    found = checks.lora_parameters(value, 32, 24, 4, layers=1 if value == 4 * 32 * 24 else 9)
    assert not found
    assert said in found.text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (20, "how many tokens"),
        (192, "one token's vector"),
        (2 * 20 * 192, "the decoder has none"),
        (3 * 20 * 192, "in each layer"),
        (6 * 20 * 192, "keys and values"),
        (21 * 192, "too high"),
    ],
)
def test_virtual_token_parameters_knows_the_usual_mistakes(value: int, said: str) -> None:
    assert checks.virtual_token_parameters(20 * 192, 20, 192, 3)
    found = checks.virtual_token_parameters(value, 20, 192, 3)
    assert not found
    assert said in found.text


@pytest.fixture(scope="module")
def adapted(tiny: Model) -> Model:
    """The tiny model with a LoRA that changes something, scaled by 2."""
    model = attach(tiny, LoRA(rank=2, alpha=4, targets=("all",)))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        for name, weights in model.net.named_parameters():
            if "lora_" in name:
                weights.normal_(std=0.2)
    return model


def merged_by_hand(base: Model, adapted: Model, scale: float) -> Model:
    """W + scale B A in every adapted layer of a copy of the base."""
    net, trained = copy.deepcopy(base.net), dict(adapted.net.named_parameters())
    with torch.no_grad():
        for name, weights in net.named_parameters():
            a, b = (f"base_model.model.{name[:-7]}.lora_{part}.default.weight" for part in "AB")
            if a in trained:
                weights += scale * trained[b] @ trained[a]
    return replace(base, net=net)


@pytest.mark.filterwarnings("ignore:Input and output embeddings are no longer tied")  # nor were they before
def test_a_merged_model_is_the_same_function(tiny: Model, adapted: Model) -> None:
    before = copy.deepcopy(adapted.net.state_dict())
    assert checks.merged_equal(adapted, merged_by_hand(tiny, adapted, 2), DIALOGUE)
    merged = copy.deepcopy(adapted.net).merge_and_unload()
    assert checks.merged_equal(adapted, replace(adapted, net=merged), DIALOGUE)
    assert all(torch.equal(before[name], weights) for name, weights in adapted.net.state_dict().items())


@pytest.mark.parametrize(
    ("scale", "said"),
    [
        (0, "taken off instead of merged"),
        (1, "the scale is left out"),
        (4, "merged twice"),
        (-2, "was subtracted"),
        (3, "their log-probabilities differ by up to"),
    ],
)
def test_a_wrong_merge_is_told(tiny: Model, adapted: Model, scale: float, said: str) -> None:
    found = checks.merged_equal(adapted, merged_by_hand(tiny, adapted, scale), DIALOGUE)
    assert not found
    assert said in found.text
    assert checks.merged_equal(adapted, merged_by_hand(tiny, adapted, 2), DIALOGUE)  # the scale is as it was


def test_a_comparison_that_would_show_nothing_is_told(tiny: Model, adapted: Model) -> None:
    fresh = attach(tiny, LoRA(rank=2))
    assert "one and the same model" in checks.merged_equal(adapted, replace(adapted), DIALOGUE).text
    assert "still has adapters" in checks.merged_equal(adapted, fresh, DIALOGUE).text
    assert "changes nothing yet" in checks.merged_equal(fresh, tiny, DIALOGUE).text
    assert "has no LoRA" in checks.merged_equal(tiny, merged_by_hand(tiny, adapted, 2), DIALOGUE).text
