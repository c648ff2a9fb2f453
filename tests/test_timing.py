"""Latency: the same work for each model, in turns."""

import copy
from dataclasses import replace
from typing import Any

import pytest
from transformers import T5ForConditionalGeneration

from labkit.adapters import timing
from labkit.adapters.timing import latency
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.methods import LoRA, PromptTuning, attach
from labkit.models import Model
from labkit.prompts import AFTER, BEFORE

plain = T5ForConditionalGeneration.generate


def eager_to_stop(model: Model, dialogues: list[str]) -> Model:
    """A copy that takes for the end of a summary what it writes first."""
    batch = model.tokenizer([BEFORE + dialogue + AFTER for dialogue in dialogues], padding=True, return_tensors="pt")
    first = plain(model.net, **batch, max_new_tokens=1)[:, 1].unique().tolist()
    net = copy.deepcopy(model.net)
    net.generation_config.eos_token_id = first
    return replace(model, net=net)


def test_every_model_writes_as_many_tokens_for_every_dialogue(
    tiny: Model, tiny_data: Dialogues, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = []

    def listen(net: Any, **asked: Any) -> Any:
        out = plain(net, **asked)
        lengths.append(tuple(out.shape))
        return out

    monkeypatch.setattr(T5ForConditionalGeneration, "generate", listen)
    dialogues = list(tiny_data.test["dialogue"][:2])
    base = eager_to_stop(tiny, dialogues)
    models = {"base": base, "lora": attach(base, LoRA()), "soft": attach(base, PromptTuning(tokens=4))}
    rows = latency(models, dialogues, repeats=2, tokens=3)
    assert lengths == [(1, 1 + 3)] * (3 + 3 * 2 * 2)  # one to warm up; the first token is the decoder's start
    assert [row["label"] for row in rows] == list(models)
    assert all(0 < row["low"] <= row["seconds"] <= row["high"] for row in rows)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Model]:
    """A machine that slows down steadily: each summary takes a second longer than the one before it."""
    calls: list[Model] = []

    def slower(model: Model, prompts: Any, tokens: int) -> float:
        calls.append(model)
        return float(len(calls))

    monkeypatch.setattr(timing, "seconds_for", slower)
    return calls


def test_a_machine_that_slows_down_does_so_for_all_models(tiny: Model, calls: list[Model]) -> None:
    first, second = tiny, attach(tiny, LoRA())
    rows = latency({"a": first, "b": second}, ["#Person1#: Hello."], repeats=2)
    assert calls[2:] == [first, second, second, first]
    # a took 3 and 6 seconds, b 4 and 5
    assert rows == [
        {"label": "a", "seconds": 4.5, "low": 3.75, "high": 5.25},
        {"label": "b", "seconds": 4.5, "low": 4.25, "high": 4.75},
    ]


def test_seconds_are_those_of_one_summary(tiny: Model, calls: list[Model]) -> None:
    (row,) = latency({"a": tiny}, ["#Person1#: Hello."] * 3, repeats=1)
    assert row["seconds"] == (2 + 3 + 4) / 3


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"dialogues": []}, "there is nothing to time: give one model and one dialogue or more"),
        ({"dialogues": "#Person1#: Hi."}, "dialogues is one text: give a list of them"),
        ({"models": {}}, "there is nothing to time: give one model and one dialogue or more"),
        ({"repeats": 0}, "repeats is 0: use 1 or more"),
        ({"tokens": 0}, "tokens is 0: use 1 or more"),
    ],
)
def test_refuses_what_cannot_be_timed(changed: dict[str, Any], why: str, tiny: Model) -> None:
    with pytest.raises(LabError, match=why):
        latency(**({"models": {"a": tiny}, "dialogues": ["#Person1#: Hello."]} | changed))
