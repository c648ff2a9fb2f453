from typing import Any

import pytest

from labkit.costs.activations import Step
from labkit.errors import LabError
from labkit.methods import METHODS, Bottleneck, LoRA, PrefixTuning, PromptTuning, Selective
from labkit.widgets.budget import MODELS, Budget
from labkit.widgets.dials import NONE


def bars(panel: Budget) -> Any:
    return panel.chart.outputs[0]["data"]["application/vnd.plotly.v1+json"]["data"]


def mib(panel: Budget, part: str) -> float:
    return float(next(row[1] for row in panel.parts.values if row[0] == part))


def test_says_what_lora_trains_and_how_large_its_file_is() -> None:
    panel = Budget("google/flan-t5-base", LoRA(rank=32))
    # 3,538,944 weights of 4 bytes are 13.5 MiB
    assert "3,538,944 of 251,116,800 parameters (1.41 %)" in panel.trains.value
    assert "its file takes 13.5 MiB" in panel.trains.value


def test_turning_the_rank_turns_the_gradients() -> None:
    panel = Budget("google/flan-t5-base", LoRA(rank=8))
    before = mib(panel, "gradients")
    panel.dials.turn(rank=32)
    assert mib(panel, "gradients") == pytest.approx(4 * before)


def test_fewer_bits_are_a_dial_that_turns_the_weights() -> None:
    panel = Budget("google/flan-t5-base")
    before = mib(panel, "weights")
    assert "bits" not in panel.takes.value
    panel.dials.turn(bits=8)
    # 198,180,864 numbers in 227,328 rows, and two tables of 32,128 x 768
    assert "Matrices in 8 bits take 190.1 MiB in place of 756.0 MiB; embeddings and head keep" in panel.takes.value
    assert mib(panel, "weights") == pytest.approx(before - (756.0 - 190.1), abs=0.1)
    panel.dials.turn(bits=None)
    assert mib(panel, "weights") == before


def test_every_dial_of_the_step_moves_the_activations_and_nothing_else() -> None:
    panel = Budget("google/flan-t5-base", step=Step(batch_size=4, source_tokens=64, target_tokens=16))
    for dial, value in ((panel.batch, 8), (panel.source, 128), (panel.target, 32)):
        before = {row[0]: row[1] for row in panel.parts.values}
        dial.value = value
        after = {row[0]: row[1] for row in panel.parts.values}
        assert after["activations"] > before["activations"]
        assert {name for name in after if after[name] != before[name]} == {"activations", "total"}


def test_checkpointing_and_precision_are_choices() -> None:
    panel = Budget("google/flan-t5-base")
    before = mib(panel, "activations")
    panel.checkpointing.value = True
    assert mib(panel, "activations") < 0.3 * before
    assert mib(panel, "bf16 copies") == 0
    panel.precision.value = "bf16"
    assert mib(panel, "bf16 copies") > 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", MODELS)
def test_shows_every_method_on_every_model(model: str, method: str) -> None:
    panel = Budget(model, METHODS[method]())
    assert mib(panel, "weights") > 10
    assert [bar["name"] for bar in bars(panel)] == [row[0] for row in panel.parts.values][:-1]


def test_table_and_chart_have_the_same_numbers() -> None:
    panel = Budget("nano", step=Step(batch_size=1, source_tokens=64, target_tokens=16))  # below 1 GiB
    assert [bar["x"][0] for bar in bars(panel)] == [row[1] for row in panel.parts.values][:-1]
    assert panel.parts.cells[-1][0] == "total"


def test_says_which_gpus_hold_it() -> None:
    panel = Budget("google/flan-t5-xxl", PromptTuning(tokens=20), Step(1, 64, 16))
    # 11.1 billion weights of 4 bytes are 41.5 GiB, and full fine-tuning stores four such numbers
    assert [cells[0] for cells in panel.gpus.cells] == ["8 GiB", "16 GiB", "24 GiB", "40 GiB", "80 GiB"]
    assert [cells[1].split(",")[0] for cells in panel.gpus.cells] == ["no", "no", "no", "no", "yes"]
    assert {cells[2].split(",")[0] for cells in panel.gpus.cells} == {"no"}


def test_a_rank_that_does_not_fit_is_told_in_one_line_and_leaves_no_figures() -> None:
    panel = Budget("nano", LoRA(rank=8))
    next(dial for dial in panel.dials.children if getattr(dial, "label", "") == "rank").high = 256.0
    panel.dials.turn(rank=200)
    assert "rank 200 is above 192" in panel.trains.value
    assert not panel.parts.cells
    assert not panel.gpus.cells
    assert not panel.chart.outputs
    panel.dials.turn(rank=8)
    assert "rank 200" not in panel.trains.value
    assert panel.parts.cells


@pytest.mark.parametrize(
    ("name", "turned", "why"),
    [
        ("bottleneck", {"width": 192}, "width 192 is no bottleneck in a model of 192: use less than that"),
        ("adalora", {"rank": 16, "start": 16}, "start 16 leaves nothing to cut down to rank 16: use a start above"),
        ("selective", {"part": "encoder", "weights": "position-biases"}, "leaves nothing to train: choose"),
    ],
)
def test_a_combination_that_is_refused_says_why_in_one_line(name: str, turned: dict[str, Any], why: str) -> None:
    panel = Budget("nano", METHODS[name]())
    assert panel.parts.cells
    panel.dials.turn(**turned)
    assert why in panel.trains.value
    assert not panel.parts.cells


DIALS = {
    "full": [],
    "selective": ["part", "layers", "weights"],
    "lora": ["rank", "targets", "rslora", "dora", "init", "bits"],
    "adalora": ["rank", "start", "targets"],
    "bottleneck": ["width", "place"],
    "ia3": [],
    "layer-norm": [],
    "prefix-tuning": ["tokens", "cross", "mlp"],
    "llama-adapter": ["tokens", "layers", "encoder"],
    "prompt-tuning": ["tokens", "init"],
    "p-tuning": ["tokens", "hidden"],
    "multitask-prompt-tuning": ["tokens"],
}


def test_choosing_a_method_shows_its_dials() -> None:
    panel = Budget("nano")
    found = {}
    for name in METHODS:
        panel.dials.children[0].value = name
        assert panel.dials.method == METHODS[name]()
        assert f"{name} trains " in panel.trains.value
        found[name] = list(panel.dials._dials)
    assert found == DIALS


@pytest.mark.parametrize("name", [name for name, dials in DIALS.items() if dials])
def test_every_dial_reaches_the_method(name: str) -> None:
    panel = Budget("google/flan-t5-base", METHODS[name]())
    for dial in DIALS[name]:
        before = getattr(panel.dials.method, dial)
        options = [value for _, value in getattr(panel.dials._dials[dial], "options", ())]
        turned = next(value for value in options if value not in (before, NONE)) if options else before + 1
        panel.dials.turn(**{dial: turned})
        assert getattr(panel.dials.method, dial) == turned != before
        panel.dials.turn(**{dial: before})


@pytest.mark.parametrize(("name", "dial"), [("lora", "bits"), ("adalora", "start"), ("prefix-tuning", "mlp")])
def test_a_dial_that_is_not_set_shows_so_and_does_again_after_it_was(name: str, dial: str) -> None:
    panel = Budget("google/flan-t5-base", METHODS[name]())
    shown = panel.dials._dials[dial]
    first = shown.label
    assert first
    panel.dials.turn(**{dial: shown.options[1][1]})
    assert shown.label != first
    panel.dials.turn(**{dial: None})
    assert shown.label == first
    assert getattr(panel.dials.method, dial) is None


def test_a_value_that_no_dial_has_is_kept() -> None:
    for method in (Bottleneck(width=700), Selective(layers="0,3"), PrefixTuning(mlp=48), LoRA(targets=("k",))):
        panel = Budget("google/flan-t5-base", method)
        assert panel.dials.method == method


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(LabError, match="no budget is known for model 'gpt2': use one of nano, google/flan-t5-small"):
        Budget("gpt2")


def test_text_of_a_learner_is_shown_as_text() -> None:
    panel = Budget("nano", PromptTuning(init="text", text="<img src=x onerror=alert(1)>"))
    assert "<img" not in panel.trains.value
    assert "&lt;img" in panel.trains.value
