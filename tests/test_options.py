"""Every dial of every dataclass is an option, said once."""

from dataclasses import fields

import pytest

from labkit.errors import LabError
from labkit.evaluation import Evaluation
from labkit.methods import METHODS, FullFineTuning, LoRA, PromptTuning
from labkit.options import built, dials, methods, settings
from labkit.training import Training


def given(**options: object) -> dict[str, object]:
    every = [*dials(), *settings(Training), *settings(Evaluation)]
    return {parameter.name: parameter.default for parameter in every} | options


def test_every_dial_of_every_method_has_an_option() -> None:
    names = {parameter.name for parameter in dials()}
    assert names >= {field.name for method in METHODS.values() for field in fields(method)} - {"dropout"}
    assert "lora_dropout" in names  # --dropout is the model's own


def test_options_that_are_not_given_leave_every_default() -> None:
    assert methods(["full", "lora", "prompt-tuning"], given()) == [FullFineTuning(), LoRA(), PromptTuning()]
    assert built(Training, given()) == Training()
    assert built(Evaluation, given()) == Evaluation()


def test_options_reach_the_methods_that_have_such_a_dial() -> None:
    turned = given(rank=4, targets="q, wo", lora_dropout=0.1, tokens=50, dropout=0.2, learning_rate=1.0)
    assert methods(["lora", "prompt-tuning"], turned) == [
        LoRA(rank=4, targets=("q", "wo"), dropout=0.1),
        PromptTuning(tokens=50),
    ]
    assert built(Training, turned) == Training(dropout=0.2, learning_rate=1.0)


def test_bits_are_for_lora_and_leave_the_others_beside_it_alone() -> None:
    assert methods(["full", "lora"], given(bits=8)) == [FullFineTuning(), LoRA(bits=8)]


def test_a_dial_that_no_chosen_method_has_is_refused() -> None:
    with pytest.raises(
        LabError, match=r"--tokens is no dial of full or lora: leave it out, or take one of .*prompt-tuning"
    ):
        methods(["full", "lora"], given(tokens=5))


def test_a_refused_value_says_which_of_several_methods_refuses_it() -> None:
    with pytest.raises(LabError, match=r"^lora: unknown init 'text': use one of default, pissa$"):
        methods(["lora", "prompt-tuning"], given(init="text"))
    with pytest.raises(LabError, match=r"^unknown init 'random': use"):
        methods(["lora"], given(init="random"))


def test_the_help_says_whose_dial_is_what_where_several_methods_have_it() -> None:
    shown = {parameter.name: parameter.annotation.__metadata__[0] for parameter in dials()}
    told = {name: option.help for name, option in shown.items()}
    panels = {name: option.rich_help_panel for name, option in shown.items()}
    assert (panels["rank"], panels["ranks"]) == ("Dials of several methods", "Dials of lora")
    assert told["ranks"].endswith("the scale stays the same.")
    assert told["width"].startswith("Numbers in")
    assert " prompt-tuning, p-tuning, multitask-prompt-tuning: Virtual tokens" in told["tokens"]
    assert told["layers"].startswith("selective: ")
    assert " lora: Layers of encoder and decoder to adapt" in told["layers"]
    assert " prompt-tuning: Where they start" in told["init"]


@pytest.mark.parametrize("name", ["full", "selective", "layer-norm"])
def test_bits_on_a_method_that_trains_the_models_own_weights_are_refused_with_the_reason(name: str) -> None:
    with pytest.raises(LabError, match=f"{name} trains weights of the model itself, and in fewer bits .*: use lora"):
        methods([name], given(bits=8))
