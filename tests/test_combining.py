"""Combining LoRAs: the sum is exact, taking away is the opposite of adding, and what does not fit is refused."""

import math
from typing import Any

import pytest
import torch
from made_runs import made_run
from safetensors.torch import load_file
from test_methods import logits

from labkit.adapters.combining import combine
from labkit.adapters.merging import merge
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.generation import summarize
from labkit.methods import LoRA, Method, PromptTuning
from labkit.models import Model
from labkit.opening import open_run
from labkit.runs import Run

METHODS: dict[str, Method] = {
    "first": LoRA(rank=3),
    "second": LoRA(rank=4, alpha=2),
    "elsewhere": LoRA(targets=("q",)),
    "dora": LoRA(dora=True),
    "ranks": LoRA(rank=2, ranks="v=1"),
    "lowest": LoRA(rank=2, layers="0"),
    "pissa": LoRA(rank=2, init="pissa"),
    "soft": PromptTuning(5),
}
LAYER = "decoder.block.1.layer.1.EncDecAttention.v"


@pytest.fixture(scope="module")
def runs(tiny: Model, tiny_data: Dialogues, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    return {
        name: made_run(folder / name, tiny, method, tiny_data, seed=seed)
        for seed, (name, method) in enumerate(METHODS.items())
    }


def learned(run: Run, scale: float) -> torch.Tensor:
    """Scale B A of one layer, from the file of a run."""
    weights = load_file(run.weights / "adapter_model.safetensors")
    a, b = (weights[f"base_model.model.{LAYER}.lora_{part}.weight"] for part in "AB")
    return scale * b @ a


def test_the_sum_is_that_of_the_changes(runs: dict[str, Run], tiny: Model) -> None:
    both = combine(tiny, [(runs["first"], 0.5), (runs["second"], -2.0)])
    assert both.method == LoRA(rank=7, alpha=7.0)
    layer, x = both.net.get_submodule(f"base_model.model.{LAYER}"), torch.randn(5, 32)
    change = 0.5 * learned(runs["first"], 2.0) - 2.0 * learned(runs["second"], 0.5)  # alpha / rank: 6 / 3 and 2 / 4
    assert change.abs().max() > 1e-3
    with torch.no_grad():
        torch.testing.assert_close(layer(x) - layer.base_layer(x), x @ change.T, rtol=0, atol=1e-5)


def test_what_is_added_and_taken_away_leaves_the_base(runs: dict[str, Run], tiny: Model, tiny_data: Dialogues) -> None:
    dialogues = list(tiny_data.test["dialogue"])
    once = combine(tiny, [(runs["first"], 1.0)])
    assert summarize(once, dialogues, max_new_tokens=6) != summarize(tiny, dialogues, max_new_tokens=6)
    none = combine(tiny, [(runs["first"], 1.0), (runs["first"], -1.0)])
    assert summarize(none, dialogues, max_new_tokens=6) == summarize(tiny, dialogues, max_new_tokens=6)


@pytest.mark.parametrize("name", ["lowest", "pissa"])
def test_one_with_weight_1_is_the_run_itself(
    name: str, runs: dict[str, Run], tiny: Model, tiny_data: Dialogues
) -> None:
    once, itself = combine(tiny, [(runs[name], 1.0)]), open_run(runs[name], tiny)
    torch.testing.assert_close(logits(once, tiny_data), logits(itself, tiny_data), rtol=0, atol=1e-5)
    assert not torch.equal(logits(once, tiny_data), logits(tiny, tiny_data))


def test_a_combination_can_be_merged(runs: dict[str, Run], tiny: Model, tiny_data: Dialogues) -> None:
    both, dialogues = combine(tiny, [(runs["first"], 1.0), (runs["second"], 1.0)]), list(tiny_data.test["dialogue"])
    assert summarize(merge(both), dialogues, max_new_tokens=6) == summarize(both, dialogues, max_new_tokens=6)


@pytest.mark.parametrize(
    ("names", "weight", "line"),
    [
        ([], 1.0, "give one or more runs of LoRA"),
        (["first", "soft"], 1.0, "give runs of LoRA without dora and ranks"),
        (["first", "dora"], 1.0, "give runs of LoRA without dora"),
        (["first", "ranks"], 1.0, "give runs of LoRA without dora and ranks"),
        (["first", "lowest"], 1.0, "combine runs with the same targets and layers"),
        (["first", "elsewhere"], 1.0, "combine runs with the same targets"),
        (["first"], math.nan, "nan is no weight: use a number such as 0.5 or -1"),
        (["first"], "1", "'1' is no weight: use a number such as 0.5 or -1"),
        (["first"] * 11, 1.0, "rank 33 is above 24, the width of the narrowest target layer"),
    ],
)
def test_refuses_what_does_not_add_up(
    names: list[str], weight: Any, line: str, runs: dict[str, Run], tiny: Model
) -> None:
    with pytest.raises(LabError, match=line) as caught:
        combine(tiny, [(runs[name], weight) for name in names])
    assert "\n" not in str(caught.value)


def test_refuses_runs_without_weights(runs: dict[str, Run], tiny: Model) -> None:
    without: Any = [runs["first"], runs["second"]]
    with pytest.raises(LabError, match=r"part 1 is no pair: give a run and its weight, such as \(run, 0.5\)"):
        combine(tiny, without)
