"""What is kept for the backward pass, by arithmetic; test_measured.py holds it against what PyTorch really keeps."""

from dataclasses import replace

import pytest

from labkit.costs.activations import Step, activation_bytes
from labkit.errors import LabError
from labkit.methods import FullFineTuning, LoRA, PromptTuning
from labkit.parameters import shape_of

BASE = shape_of("google/flan-t5-base")
STEP = Step(batch_size=4, source_tokens=128, target_tokens=32)


def test_twice_the_batch_keeps_twice_the_bytes() -> None:
    assert activation_bytes(BASE, LoRA(), replace(STEP, batch_size=8)) == 2 * activation_bytes(BASE, LoRA(), STEP)


def test_each_word_of_the_vocabulary_costs_a_number_a_summary_token() -> None:
    larger = replace(BASE, vocabulary=BASE.vocabulary + 1)
    assert activation_bytes(larger, LoRA(), STEP) - activation_bytes(BASE, LoRA(), STEP) == 4 * 4 * 32


def test_a_longer_prompt_costs_more_than_in_proportion() -> None:
    short, long = (activation_bytes(BASE, LoRA(), replace(STEP, source_tokens=n)) for n in (128, 256))
    assert long > 1.8 * short  # the decoder and the vocabulary are in both
    # only softmaxes grow with the square: 12 encoder layers of 12 heads, 4 rows, so 4 x 576 bytes a pair of tokens
    lengths = [activation_bytes(BASE, LoRA(), replace(STEP, source_tokens=n)) for n in (100, 200, 300)]
    assert lengths[2] - 2 * lengths[1] + lengths[0] == 4 * 576 * 2 * 100**2


def test_virtual_tokens_count_like_tokens_of_the_prompt() -> None:
    a = activation_bytes(BASE, PromptTuning(tokens=28), replace(STEP, source_tokens=100))
    assert a == activation_bytes(BASE, PromptTuning(tokens=8), replace(STEP, source_tokens=120))


def test_freezing_saves_the_inputs_of_frozen_layers() -> None:
    full, lora, wide = (activation_bytes(BASE, m, STEP) for m in (FullFineTuning(), LoRA(), LoRA(targets=("all",))))
    assert 0.6 * full < lora < wide < full


def test_checkpointing_keeps_far_less() -> None:
    checkpointed = activation_bytes(BASE, FullFineTuning(), replace(STEP, checkpointing=True))
    assert checkpointed < 0.25 * activation_bytes(BASE, FullFineTuning(), STEP)


def test_bf16_keeps_less_than_fp32_and_more_than_half_of_it() -> None:
    """Norms and the written-out gelu stay in fp32."""
    half = activation_bytes(BASE, FullFineTuning(), replace(STEP, precision="bf16"))
    assert 0.5 < half / activation_bytes(BASE, FullFineTuning(), STEP) < 0.9


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"batch_size": 0}, "batch_size is 0: use 1 or more"),
        ({"source_tokens": -1}, "source_tokens is -1: use 1 or more"),
        ({"target_tokens": 0}, "target_tokens is 0: use 1 or more"),
        ({"precision": "fp16"}, "unknown precision 'fp16': use fp32 or bf16"),
    ],
)
def test_refuses_what_is_no_step(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(LabError) as error:
        Step(**wrong)  # type: ignore[arg-type]
    assert str(error.value) == told
