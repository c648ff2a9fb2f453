from typing import Any

import pytest
import torch

from labkit.errors import LabError
from labkit.methods import LoRA, PromptTuning, attach
from labkit.models import Model
from labkit.widgets.neighbours import Neighbours


@pytest.fixture
def prompted(tiny: Model) -> Model:
    model = attach(tiny, PromptTuning(tokens=2, init="text", text="tea cake"), seed=1)
    with torch.no_grad():
        model.net.prompt_encoder["default"].embedding.weight[1] *= 2
    return model


def drawn(chart: Any) -> Any:
    return chart.outputs[0]["data"]["application/vnd.plotly.v1+json"]


def test_shows_each_virtual_token_with_its_nearest(prompted: Model) -> None:
    panel = Neighbours(prompted, seed=1)
    assert [row[:3] for row in panel.table.cells] == [["1", "␣tea", "1.00"], ["2", "␣cake", "1.00"]]
    assert panel.table.cells[0][-2:] == ["0.00", "␣tea"]
    assert panel.table.titles[-2:] == ["moved", "started as"]
    assert panel.table.values[1][4] == pytest.approx(panel.table.values[1][6] * 2)  # twice as long: moved by its half


def test_without_a_seed_nothing_is_said_of_the_start(prompted: Model) -> None:
    assert "moved" not in Neighbours(prompted).table.titles


def test_the_dial_and_the_metric_change_table_and_map(prompted: Model) -> None:
    panel = Neighbours(prompted)
    panel.count.value = 3
    assert [row[3].count(",") for row in panel.table.cells] == [1, 1]  # two more beside the nearest
    kinds = [row[0] for row in panel.places.values]
    assert kinds.count("nearest token") == 2
    assert len(drawn(panel.map)["data"][1]["text"]) == kinds.count("further neighbour") > 0
    text = panel.yardstick.value
    panel.metric.value = "euclidean"
    assert panel.table.titles[2] == "euclidean"
    assert panel.table.values[0][2] == pytest.approx(0, abs=1e-6)
    assert panel.yardstick.value != text


def test_says_how_near_chance_comes_and_how_long_the_vectors_are(prompted: Model) -> None:
    panel = Neighbours(prompted)
    assert "Mean cosine of the nearest token: 1.00 for a virtual token," in panel.yardstick.value
    assert "Mean length:" in panel.norms.value


def test_one_neighbour_has_no_next_ones(prompted: Model) -> None:
    panel = Neighbours(prompted)
    panel.count.value = 1
    assert [row[3] for row in panel.table.cells] == ["", ""]


def test_another_method_is_refused(tiny: Model) -> None:
    with pytest.raises(LabError, match="lora has no virtual tokens among the embeddings: use a model with"):
        Neighbours(attach(tiny, LoRA()))
