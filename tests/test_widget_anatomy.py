import json
from typing import Any

import pytest
import torch

from labkit.errors import LabError
from labkit.methods import FullFineTuning, LoRA, PromptTuning, attach
from labkit.models import Model
from labkit.widgets.anatomy import Anatomy


@pytest.fixture
def lora(tiny: Model) -> Model:
    model = attach(tiny, LoRA(rank=4))
    with torch.no_grad():
        for parameter in (p for p in model.net.parameters() if p.requires_grad):
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
    return model


def drawn(chart: Any) -> Any:
    return chart.outputs[0]["data"]["application/vnd.plotly.v1+json"]


def test_shows_the_first_layer_and_another_when_it_is_chosen(lora: Model) -> None:
    panel = Anatomy(lora)
    assert panel.layer.value == "encoder 0 self-attention q"
    assert [cells[:4] for cells in panel.matrices.cells] == [
        ["W", "24", "32", "768"], ["A", "4", "32", "128"], ["B", "24", "4", "96"], ["2 BA", "24", "32", "768"],
    ]  # fmt: skip
    before, picture = panel.values.cells, drawn(panel.pictures)
    panel.layer.value = "decoder 1 cross-attention v"
    assert panel.values.cells != before
    assert drawn(panel.pictures) != picture
    assert len(json.dumps(drawn(panel.pictures))) < 300_000


def test_says_how_many_weights_a_and_b_have(lora: Model) -> None:
    # 32 x 24 = 768; A is 4 x 32 = 128 and B is 24 x 4 = 96, together 224, which is 29 % of 768
    assert "32 x 24 = 768 weights; A and B at rank 4: 128 + 96 = 224, 71 % fewer" in Anatomy(lora).arithmetic.value


def test_the_table_of_changes_has_a_row_a_changed_layer(lora: Model) -> None:
    panel = Anatomy(lora)
    assert [row[0] for row in panel.changes.values] == list(panel.layer.options)
    assert "12 of 52 weight tensors of the base changed" in panel.about.value


def test_full_fine_tuning_shows_w_and_its_change(tiny: Model) -> None:
    model = attach(tiny, FullFineTuning())
    with torch.no_grad():
        model.net.lm_head.weight += 0.01
    panel = Anatomy(model, tiny)
    panel.layer.value = "output head"
    assert [cells[0] for cells in panel.matrices.cells] == ["W", "dW"]
    assert [row[0] for row in panel.changes.values] == ["output head"]


def test_prompt_tuning_is_said_to_change_nothing(tiny: Model) -> None:
    panel = Anatomy(attach(tiny, PromptTuning(tokens=3)))
    text = " ".join(child.value for child in panel.children[1:])
    assert "prompt-tuning tokens=3 has changed none of the 52 weight tensors of the base." in text
    assert "in front of the input" in text


def test_a_base_is_refused(tiny: Model) -> None:
    with pytest.raises(LabError, match="has no method: attach one first"):
        Anatomy(tiny)
