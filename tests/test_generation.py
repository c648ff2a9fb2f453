"""Summaries: whatever the batch, the order and the mode the model was left in, they are the same."""

import copy
import re
from dataclasses import replace
from typing import Any

import pytest
import torch

from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.generation import eval_mode, generate, prompt_tokens, summarize, turns_cut
from labkit.methods import FullFineTuning, PromptTuning, attach
from labkit.models import Model
from labkit.prompts import AFTER, BEFORE, LIMIT, LONGEST_SUMMARY, Prompt
from labkit.runs import Run
from labkit.training import Training, set_dropout, train


@pytest.fixture(scope="module")
def trained(tiny: Model, tiny_data: Dialogues, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model that has learned enough to write different summaries; its tokenizer and net are not to be changed."""
    method, run = FullFineTuning(), Run(tmp_path_factory.mktemp("generation") / "run")
    run.start({"method": method.dials()})
    model = attach(tiny, method)
    train(model, tiny_data, run, Training(steps=80, batch_size=8, learning_rate=1e-2, validations=1))
    return model


@pytest.fixture(scope="module")
def dialogues(tiny_data: Dialogues) -> list[str]:
    return list(tiny_data.test["dialogue"]) + list(tiny_data.validation["dialogue"])


@pytest.fixture(scope="module")
def summaries(trained: Model, dialogues: list[str]) -> list[str]:
    return summarize(trained, dialogues)


def test_writes_different_summaries_for_different_dialogues(summaries: list[str]) -> None:
    assert len(set(summaries)) > 3
    assert all("will" in summary for summary in summaries)


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_writes_the_same_whatever_the_batch_size(
    trained: Model, dialogues: list[str], summaries: list[str], batch_size: int
) -> None:
    assert summarize(trained, dialogues, batch_size=batch_size) == summaries


def test_writes_the_same_whatever_the_order(trained: Model, dialogues: list[str], summaries: list[str]) -> None:
    assert summarize(trained, dialogues[::-1], batch_size=3) == summaries[::-1]


def test_writes_what_plain_greedy_search_does(trained: Model, dialogues: list[str], summaries: list[str]) -> None:
    # one dialogue at a time, no padding, no cache: always the likeliest next token, until the end of the sentence
    for dialogue, summary in zip(dialogues, summaries, strict=True):
        ids = torch.tensor([trained.tokenizer(BEFORE + dialogue + AFTER)["input_ids"]])
        written = [0]
        while len(written) <= LONGEST_SUMMARY and (len(written) == 1 or written[-1] != 1):
            with torch.no_grad():
                logits = trained.net(input_ids=ids, decoder_input_ids=torch.tensor([written])).logits
            written.append(int(logits[0, -1].argmax()))
        assert trained.tokenizer.decode(written, skip_special_tokens=True).strip() == summary


def test_writes_what_plain_beam_search_does(trained: Model, dialogues: list[str]) -> None:
    with_beams = summarize(trained, dialogues, beams=4, max_new_tokens=20)
    for dialogue, summary in zip(dialogues, with_beams, strict=True):
        batch = trained.tokenizer(BEFORE + dialogue + AFTER, return_tensors="pt")
        out = trained.net.generate(batch["input_ids"], num_beams=4, max_new_tokens=20, do_sample=False)
        assert trained.tokenizer.decode(out[0], skip_special_tokens=True).strip() == summary


def test_writes_without_dropout_even_if_the_model_was_left_in_training(
    trained: Model, dialogues: list[str], summaries: list[str]
) -> None:
    net = copy.deepcopy(trained.net)
    set_dropout(net, 0.5)
    net.train()
    model = replace(trained, net=net)
    assert summarize(model, dialogues) == summaries
    assert summarize(model, dialogues) == summaries
    assert all(module.training for module in net.modules())


def test_puts_each_module_back_to_the_mode_it_was_in(trained: Model) -> None:
    net = copy.deepcopy(trained.net).train()
    net.encoder.eval()
    before = [module.training for module in net.modules()]

    def stop() -> None:
        with eval_mode(net):
            assert not any(module.training for module in net.modules())
            raise RuntimeError("broken off")

    with pytest.raises(RuntimeError, match="broken off"):
        stop()
    assert [module.training for module in net.modules()] == before


def test_writes_with_a_soft_prompt_too(tiny: Model, dialogues: list[str]) -> None:
    model = attach(tiny, PromptTuning(tokens=4))
    assert summarize(model, dialogues[:4], batch_size=1) == summarize(model, dialogues[:4], batch_size=4)


def test_cuts_a_dialogue_that_is_too_long_and_still_writes(trained: Model, dialogues: list[str]) -> None:
    turns = [f"#Person{1 + i % 2}#: Hello Anna, can we meet on Monday?" for i in range(200)]
    assert summarize(trained, ["\n".join(turns)], max_new_tokens=8)[0]


def test_writes_no_more_tokens_than_asked_for(trained: Model, dialogues: list[str], summaries: list[str]) -> None:
    cut = summarize(trained, dialogues, max_new_tokens=2)
    assert [summary.split()[:2] for summary in summaries] == [short.split() for short in cut]


def test_tells_how_many_are_done_after_each_batch(trained: Model, dialogues: list[str]) -> None:
    done: list[int] = []
    summarize(trained, dialogues, batch_size=5, max_new_tokens=2, progress=done.append)
    assert done == [5, 10, 12]


def test_gives_nothing_for_nothing(trained: Model) -> None:
    assert summarize(trained, []) == []


@pytest.mark.parametrize("dialogue", ["", " \n\t "])
def test_refuses_an_empty_dialogue(trained: Model, dialogue: str) -> None:
    with pytest.raises(LabError, match="dialogue 2 of 2 is empty: give it at least one turn"):
        summarize(trained, ["#Person1#: Hello.", dialogue])


@pytest.mark.parametrize("dial", ["beams", "max_new_tokens", "batch_size"])
def test_refuses_a_number_below_one(trained: Model, dial: str) -> None:
    numbers: dict[str, Any] = {dial: 0}
    with pytest.raises(LabError, match=f"{dial} is 0: use 1 or more"):
        summarize(trained, ["#Person1#: Hello."], **numbers)


FEW = Prompt(examples=(("#Person1#: Hello Anna, can we meet on Monday?", "Anna will meet on Monday."),) * 3)


def test_writes_what_follows_any_prompt(trained: Model, dialogues: list[str], summaries: list[str]) -> None:
    ids = [list(trained.tokenizer(BEFORE + dialogue + AFTER)["input_ids"]) for dialogue in dialogues]
    assert generate(trained, ids, batch_size=5) == summaries
    assert generate(trained, []) == []


def test_a_prompt_with_examples_is_what_the_model_reads(trained: Model, dialogues: list[str]) -> None:
    ids = [list(trained.tokenizer(FEW.text(dialogue))["input_ids"]) for dialogue in dialogues]
    assert summarize(trained, dialogues, FEW) == generate(trained, ids)
    assert summarize(trained, dialogues, FEW) != summarize(trained, dialogues)


def test_counts_the_tokens_of_a_prompt_however_long(tiny: Model, dialogues: list[str]) -> None:
    prompt = Prompt(examples=FEW.examples * 20)
    counts = prompt_tokens(tiny, dialogues, prompt)
    assert counts == [len(tiny.tokenizer(prompt.text(dialogue))["input_ids"]) for dialogue in dialogues]
    assert min(counts) > LIMIT
    assert prompt_tokens(tiny, []) == []
    with pytest.raises(LabError, match="the examples take"):
        summarize(tiny, dialogues, prompt)


def test_examples_and_virtual_tokens_cost_turns(tiny: Model) -> None:
    turns = "\n".join(f"#Person{1 + i % 2}#: Hello Anna, can we meet on Monday?" for i in range(60))
    soft = attach(tiny, PromptTuning(tokens=50))
    zero, few = (*turns_cut(tiny, [turns]), *turns_cut(tiny, [turns], FEW))
    (both,) = turns_cut(soft, [turns], FEW)
    assert 0 < zero < few < both < 60


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (("#Person1#: Hello.",), "dialogues is one text: give a list of them, such as [text]"),
        ((["#Person1#: Hello."], "In short."), "prompt 'In short.' is no Prompt: give Prompt('...')"),
    ],
)
def test_one_text_instead_of_a_list_or_of_a_prompt_is_refused(asked: Any, why: str, tiny: Model) -> None:
    with pytest.raises(LabError, match=re.escape(why)):
        summarize(tiny, *asked)
