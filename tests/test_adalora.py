"""AdaLoRA in a real training: its budget falls, what it keeps is kept, and its losses are those of other methods."""

import copy
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from made_runs import made_run
from outputs import batch, logits
from peft import AdaLoraModel, PeftModel

from labkit.adapters.foreign import open_adapter
from labkit.adapters.merging import merge
from labkit.adapters.together import together
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.inside.ranks import ranks
from labkit.methods import IA3, AdaLoRA, LoRA, Method, attach, restore
from labkit.models import Model, quiet
from labkit.opening import open_run
from labkit.parameters import shape_of
from labkit.runs import Run
from labkit.training import Training, train

METHOD = AdaLoRA(rank=2, start=4)
LAYERS = 12  # q and v in 2 encoder attentions and 2 x 2 decoder attentions


def loss(net: Any, model: Model, data: Dialogues) -> float:
    with torch.no_grad():
        return float(net(**batch(model, data)).loss)


def fit(tiny: Model, data: Dialogues, folder: Path, steps: int = 20, **dials: Any) -> tuple[Model, Run]:
    model, run = attach(tiny, METHOD), Run(folder)
    run.start({"method": METHOD.dials()})
    train(model, data, run, Training(steps=steps, batch_size=4, validations=4, **dials))
    return model, run


@pytest.fixture(scope="module")
def trained(tiny: Model, tiny_data: Dialogues, tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Run]:
    return fit(tiny, tiny_data, tmp_path_factory.mktemp("adalora"))


def test_the_budget_falls_by_the_cubic_curve_of_the_paper(trained: tuple[Model, Run]) -> None:
    _, run = trained
    budgets = {line["step"]: line["budget"] for line in run.history if "budget" in line}

    # 20 steps: 4 x 12 up to step 2, 2 x 12 from step 10 on, and between them what (1 - share of the way)^3 leaves
    def expected(step: int) -> int:
        return 48 if step <= 2 else 24 if step >= 10 else int(24 + 24 * (1 - (step - 2) / 8) ** 3)

    assert budgets == {step: expected(step) for step in range(1, 21)}


def test_the_ranks_add_up_to_the_budget_and_differ(trained: tuple[Model, Run], tiny: Model) -> None:
    model, run = trained
    found = ranks(model)
    assert len(found) == LAYERS
    assert sum(found.values()) == METHOD.rank * LAYERS
    assert len(set(found.values())) > 1
    assert "decoder 1 cross-attention v" in found
    assert ranks(restore(tiny, METHOD, run.weights)) == found


def test_what_was_kept_gives_the_same_logits_and_less_is_kept_than_was_trained(
    trained: tuple[Model, Run], tiny: Model, tiny_data: Dialogues
) -> None:
    from safetensors.torch import load_file

    model, run = trained
    again, expected = restore(tiny, METHOD, run.weights), logits(model, tiny_data)
    assert (expected - logits(tiny, tiny_data)).abs().max() > 0.01
    torch.testing.assert_close(logits(again, tiny_data), expected, rtol=0, atol=1e-5)
    with quiet():
        plain = PeftModel.from_pretrained(copy.deepcopy(tiny.net), run.weights)
    with plain.disable_adapter(), torch.no_grad():
        assert torch.equal(plain(**batch(tiny, tiny_data)).logits, logits(tiny, tiny_data))
    (file,) = run.weights.glob("*.safetensors")
    # A and B of q and v, 32 to 24, and one number of E, for each rank that is left
    assert sum(weight.numel() for weight in load_file(file).values()) == METHOD.rank * LAYERS * (32 + 24 + 1)


def test_a_trained_one_is_opened_from_its_folder_alone(
    trained: tuple[Model, Run], tiny: Model, tiny_data: Dialogues
) -> None:
    model, run = trained
    again = open_adapter(run.weights, tiny)
    assert again.method == replace(METHOD, alpha=2 * METHOD.start)
    torch.testing.assert_close(logits(again, tiny_data), logits(model, tiny_data), rtol=0, atol=1e-5)
    assert ranks(again) == ranks(model)


def test_a_trained_one_is_merged(trained: tuple[Model, Run], tiny: Model, tiny_data: Dialogues) -> None:
    model, run = trained
    for one in (model, restore(tiny, METHOD, run.weights)):
        torch.testing.assert_close(logits(merge(one), tiny_data), logits(model, tiny_data), rtol=0, atol=1e-4)


def test_the_losses_are_without_the_penalty_and_the_gradients_are_those_of_peft(
    tiny: Model, tiny_data: Dialogues
) -> None:
    model = attach(tiny, METHOD)
    theirs = copy.deepcopy(model.net)
    theirs.base_model.__class__ = AdaLoraModel
    base = loss(tiny.net, tiny, tiny_data)  # E is 0 at the start
    assert loss(model.net, tiny, tiny_data) == base
    assert loss(theirs.eval(), tiny, tiny_data) > base + 0.1  # why peft's own is not used
    for net in (model.net, theirs):
        net.train()
        torch.manual_seed(0)
        net(**batch(tiny, tiny_data)).loss.backward()
    ours = {name: p.grad for name, p in model.net.named_parameters() if p.requires_grad}
    assert any((grad != 0).any() for name, grad in ours.items() if "lora_A" in name)  # from the penalty alone
    for name, parameter in theirs.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(ours[name], parameter.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_a_short_training_ends_with_its_budget_if_there_are_two_steps(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path, steps: int
) -> None:
    model, run = fit(tiny, tiny_data, tmp_path, steps=steps)
    assert sum(ranks(model).values()) == LAYERS * (METHOD.start if steps == 1 else METHOD.rank)
    budgets = [line["budget"] for line in run.history if "budget" in line]
    assert all(later <= earlier for earlier, later in itertools.pairwise(budgets))
    assert ranks(restore(tiny, METHOD, run.weights)) == ranks(model)


def test_ranks_of_lora_are_its_dial_and_others_have_none(tiny: Model) -> None:
    assert set(ranks(attach(tiny, LoRA(rank=3))).values()) == {3}
    with pytest.raises(LabError, match="ia3 has no ranks: give a model with LoRA or AdaLoRA"):
        ranks(attach(tiny, IA3()))
    with pytest.raises(LabError, match="tiny has no ranks"):
        ranks(tiny)


def test_the_rank_alone_sets_the_start_to_one_and_a_half_times_as_much(tiny: Model) -> None:
    shape = shape_of(tiny.name)
    assert AdaLoRA(rank=15).trainable(shape) == AdaLoRA(rank=15, start=23).trainable(shape)
    assert AdaLoRA().trainable(shape) == AdaLoRA(start=12).trainable(shape)


def test_the_ranks_are_those_of_the_adapter_in_use(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    kinds: list[dict[str, Method]] = [
        {"a": LoRA(rank=3, layers="last 1"), "b": LoRA(rank=5, layers="0")},
        {"a": AdaLoRA(targets=("q",)), "b": METHOD},
    ]
    for number, methods in enumerate(kinds):
        runs = {n: made_run(tmp_path / f"{number}{n}", tiny, method, tiny_data) for n, method in methods.items()}
        both, alone = together(tiny, runs), {name: ranks(open_run(run, tiny)) for name, run in runs.items()}
        assert alone["a"] != alone["b"]
        assert {name: ranks(both.use(name)) for name in methods} == alone
        both.unload("a")
        assert ranks(both.use("b")) == alone["b"]


def test_a_start_above_the_width_of_a_target_is_refused(tiny: Model) -> None:
    attach(tiny, AdaLoRA(start=24))
    with pytest.raises(LabError, match="start 25 is above 24, the width of the narrowest target layer: use up to 24"):
        attach(tiny, AdaLoRA(start=25))
    attach(tiny, AdaLoRA(rank=16))
    with pytest.raises(LabError, match=r"rank 17 starts with 26, above 24, .*: use a rank up to 16"):
        attach(tiny, AdaLoRA(rank=17))


def test_what_is_used_for_start_and_alpha_is_told_where_none_was_given() -> None:
    told = AdaLoRA(rank=8).used()
    assert (told["rank"], told["start"], told["alpha"]) == (8, 12, 24)
