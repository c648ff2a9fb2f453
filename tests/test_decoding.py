"""Greedy search: the same texts as transformers' own, whatever is written together."""

from typing import Any

import pytest
import torch
from transformers import GenerationConfig

import labkit.compute.encoded as encoded
from labkit.compute.decoding import batches, encode, greedy, tokens_kept
from labkit.dialogues import Dialogues
from labkit.generation import generate
from labkit.methods import LoRA, Selective, attach
from labkit.models import Model
from labkit.prompts import encode_prompts

SETTINGS = GenerationConfig(
    max_new_tokens=12, do_sample=False, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, use_cache=True
)


@pytest.fixture
def prompts(tiny: Model, tiny_data: Dialogues) -> list[list[int]]:
    return encode_prompts(tiny.tokenizer, list(tiny_data.train["dialogue"])[:9]).ids


def ending(tiny: Model, prompts: list[list[int]]) -> GenerationConfig:
    """Settings with an end token that comes early in some texts and late, or never, in others."""
    free = greedy(tiny.net, encode(tiny.net, prompts, SETTINGS), SETTINGS)
    common = max({token for text in free for token in text}, key=lambda one: sum(one in text for text in free) % 9)
    return GenerationConfig(**{**SETTINGS.to_diff_dict(), "eos_token_id": common})


@torch.inference_mode()
def test_writes_what_transformers_writes_one_by_one(tiny: Model, prompts: list[list[int]]) -> None:
    settings = ending(tiny, prompts)
    ours = greedy(tiny.net, encode(tiny.net, prompts, settings), settings)
    for prompt, text in zip(prompts, ours, strict=True):
        alone = tiny.net.generate(input_ids=torch.tensor([prompt]), generation_config=settings)[0, 1:].tolist()
        assert text == (alone[: alone.index(settings.eos_token_id)] if settings.eos_token_id in alone else alone)
    assert len({len(text) for text in ours}) > 1


@torch.inference_mode()
def test_tells_of_each_text_that_has_ended_once(tiny: Model, prompts: list[list[int]]) -> None:
    settings, told = ending(tiny, prompts), list[int]()
    greedy(tiny.net, encode(tiny.net, prompts, settings), settings, told.append)
    assert sum(told) == len(prompts)
    assert min(told) > 0


def test_batches_hold_each_row_once_within_their_budget() -> None:
    lengths = [3, 50, 7, 7, 12, 1, 30]
    found = list(batches(lengths, budget=32, most=3))
    assert sorted(row for rows in found for row in rows) == list(range(7))
    assert found[0] == [1]  # too long for the budget, and so alone
    assert all(len(rows) <= 3 and (len(rows) == 1 or max(lengths[r] for r in rows) * len(rows) <= 32) for rows in found)


def test_keeps_as_many_tokens_as_their_keys_and_values_fit_into_256_mib(tiny: Model) -> None:
    # tiny: 2 layers of the decoder, 3 heads of 8, a key and a value: 96 numbers a token
    assert tokens_kept(tiny.net.config, 4) == 2**28 // (96 * 4)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many prompts were encoded at each call."""
    calls, real = list[int](), encoded.encode

    def encode_and_count(net: Any, prompts: list[list[int]], settings: Any) -> Any:
        calls.append(len(prompts))
        return real(net, prompts, settings)

    monkeypatch.setattr(encoded, "encode", encode_and_count)
    monkeypatch.setattr(encoded, "_kept", {})
    return calls


def test_a_method_that_leaves_the_encoder_alone_takes_what_the_base_has_read(
    tiny: Model, prompts: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted(monkeypatch)
    for method in (None, Selective(), LoRA(rank=2)):
        generate(attach(tiny, method) if method else tiny, prompts, max_new_tokens=2)
    assert calls == [9, 0, 9]


def test_a_weight_that_was_changed_by_hand_is_another_encoder(
    tiny: Model, prompts: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, model = counted(monkeypatch), attach(tiny, Selective())
    generate(model, prompts, max_new_tokens=1)
    with torch.no_grad():
        model.net.get_base_model().encoder.block[0].layer[0].SelfAttention.q.weight[0, 0] += 1
    generate(model, prompts, max_new_tokens=1)
    assert calls == [9, 9]
