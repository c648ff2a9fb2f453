"""What is kept for the backward pass, by arithmetic; test_measured.py holds it against what PyTorch really keeps."""

from dataclasses import replace

import pytest

from labkit.costs.activations import Step, kept
from labkit.errors import LabError
from labkit.methods import (
    IA3,
    AdaLoRA,
    Bottleneck,
    FullFineTuning,
    LlamaAdapter,
    LoRA,
    Method,
    MultitaskPromptTuning,
    PrefixTuning,
    PromptTuning,
    PTuning,
    Selective,
)
from labkit.parameters import Shape, shape_of

BASE = shape_of("google/flan-t5-base")
STEP = Step(batch_size=4, source_tokens=128, target_tokens=32)


def activations(shape: Shape, method: Method, step: Step) -> int:
    return kept(shape, method, step).activations


def test_twice_the_batch_keeps_twice_the_bytes() -> None:
    assert activations(BASE, LoRA(), replace(STEP, batch_size=8)) == 2 * activations(BASE, LoRA(), STEP)


def test_each_word_of_the_vocabulary_costs_a_number_a_summary_token() -> None:
    larger = replace(BASE, vocabulary=BASE.vocabulary + 1)
    assert activations(larger, LoRA(), STEP) - activations(BASE, LoRA(), STEP) == 4 * 4 * 32


def test_a_longer_prompt_costs_more_than_in_proportion() -> None:
    short, long = (activations(BASE, LoRA(), replace(STEP, source_tokens=n)) for n in (128, 256))
    assert long > 1.8 * short  # the decoder and the vocabulary are in both
    # only softmaxes grow with the square: 12 encoder layers of 12 heads, 4 rows, so 4 x 576 bytes a pair of tokens
    lengths = [activations(BASE, LoRA(), replace(STEP, source_tokens=n)) for n in (100, 200, 300)]
    assert lengths[2] - 2 * lengths[1] + lengths[0] == 4 * 576 * 2 * 100**2


def test_virtual_tokens_count_like_tokens_of_the_prompt() -> None:
    a = activations(BASE, PromptTuning(tokens=28), replace(STEP, source_tokens=100))
    assert a == activations(BASE, PromptTuning(tokens=8), replace(STEP, source_tokens=120))


def test_freezing_saves_the_inputs_of_frozen_layers() -> None:
    full, lora, wide = (activations(BASE, m, STEP) for m in (FullFineTuning(), LoRA(), LoRA(targets=("all",))))
    assert 0.6 * full < lora < wide < full


def test_nothing_is_kept_in_front_of_the_first_trained_weight() -> None:
    # of the head alone, its input and the log-softmax
    assert activations(BASE, Selective(part="head"), STEP) == 4 * 4 * 32 * (768 + 32_128)
    # of the last layer of the decoder, keys, values and softmaxes of one cross-attention grow with the prompt
    last = Selective(part="decoder", weights="norms")
    short, long = (activations(BASE, last, replace(STEP, source_tokens=tokens)) for tokens in (128, 129))
    assert long - short == 4 * 4 * (2 * 768 + 12 * 32)


TOKENS = 4 * (12 * 128 + 12 * 32)  # of the batch, in all layers of encoder and decoder


@pytest.mark.parametrize(
    ("narrow", "wide", "numbers"),
    [
        # each of the extra numbers, or tokens, once more where the text stands beside it
        (Bottleneck(16), Bottleneck(17), 2 * TOKENS + 4 * 12 * 32),  # two places in the encoder, three in the decoder
        (Bottleneck(16, place="parallel"), Bottleneck(17, place="parallel"), TOKENS),
        (LoRA(rank=8), LoRA(rank=9), 2 * TOKENS + 4 * 12 * (32 + 128)),  # q and v; those of the cross-attention
        # as LoRA, but for A A^T and B B^T, and for A times E where what is in front has a gradient, too
        (
            AdaLoRA(start=9),
            AdaLoRA(start=10),
            2 * TOKENS + 4 * 12 * (32 + 128) + 72 * 2 * (10**2 - 9**2) + (72 - 4) * 768,
        ),
        # values of 24 attentions, a softmax a head over them, and keys where queries have a gradient: not at first
        (PrefixTuning(20), PrefixTuning(21), 4 * (24 + 22) * 768 + 12 * TOKENS),
        # of the 2 last layers; a softmax a head for each token of a summary
        (LlamaAdapter(10), LlamaAdapter(11), 4 * ((2 + 1) * 768 + 2 * 12 * 32)),
        (PTuning(hidden=128), PTuning(hidden=129), 2 * 20),  # once for all rows
        (MultitaskPromptTuning(num_ranks=1), MultitaskPromptTuning(num_ranks=2), 4 * (20 + 768)),
    ],
    ids=lambda value: value.label if isinstance(value, Method) else "",
)
def test_a_wider_method_keeps_its_own_tensors_more(narrow: Method, wide: Method, numbers: int) -> None:
    assert activations(BASE, wide, STEP) - activations(BASE, narrow, STEP) == 4 * numbers


def test_ia3_keeps_what_it_scales() -> None:
    """LoRA on the same layers keeps their inputs, all cross-attentions that of one encoder, and a number at each."""
    lora = activations(BASE, LoRA(rank=1, targets=("k", "v", "wo")), STEP)
    in_stacks = 12 * (128 + 32) * (2 * 768 - 768 - 3)
    to_encoder = 12 * 128 * (2 * 768 - 2) - 128 * 768
    assert activations(BASE, IA3(), STEP) - lora == 4 * 4 * (in_stacks + to_encoder)


def test_checkpointing_keeps_far_less() -> None:
    checkpointed = activations(BASE, FullFineTuning(), replace(STEP, checkpointing=True))
    assert checkpointed < 0.25 * activations(BASE, FullFineTuning(), STEP)


def test_bf16_keeps_less_than_fp32_and_more_than_half_of_it() -> None:
    """Norms and the written-out gelu stay in fp32."""
    half = activations(BASE, FullFineTuning(), replace(STEP, precision="bf16"))
    assert 0.5 < half / activations(BASE, FullFineTuning(), STEP) < 0.9


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
