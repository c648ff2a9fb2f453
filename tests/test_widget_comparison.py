"""The comparison panel shows the numbers it was given, for whatever is chosen."""

import json
from pathlib import Path
from typing import Any

import pytest
from made import made_comparison

from labkit.errors import LabError
from labkit.paths import DATA
from labkit.widgets.comparison import ComparisonPanel

NEEDED = [f"rouge{m}{end}" for m in ("1", "2", "L", "Lsum") for end in ("", "_interval", "_max")]


def told() -> dict[str, Any]:
    """A recording as it is kept: rows and differences, without intervals over the best references."""
    row = {"label": "base", "seeds": 1, "trainable": 0, "percent": 0.0, "words": 5.0}
    row |= {name: [0.1, 0.3] if name.endswith("interval") else 0.2 for name in NEEDED}
    lora = row | {
        "label": "lora",
        "trainable": 100,
        "rouge1": 0.4,
        "rouge1_gain": 0.2,
        "rouge1_gain_interval": [0.1, 0.3],
    }
    difference = {"label": "lora", "against": "base", "rouge1": 0.2, "interval": [-0.1, 0.3], "real": False}
    return {"rows": [row, lora], "differences": [difference]}


@pytest.fixture
def panel(tmp_path: Path) -> ComparisonPanel:
    return ComparisonPanel(made_comparison(tmp_path))


def figure(chart: Any) -> dict[str, Any]:
    return chart.outputs[0]["data"]["application/vnd.plotly.v1+json"]


def column(table: Any, name: str) -> list[str]:
    at = table.titles.index(name)
    return [cells[at] for cells in table.cells]


def test_shows_the_same_numbers_as_bars_and_as_a_table(panel: ComparisonPanel) -> None:
    (bars,) = figure(panel.bars)["data"]
    assert bars["y"] == pytest.approx([0.25, 0.15, 0.37, 0.365, 0.30], abs=1e-5)
    assert column(panel.table, "ROUGE-1") == ["0.250", "0.150", "0.370", "0.365", "0.300"]
    assert column(panel.table, "ROUGE-1 over the base") == ["+0.100", "", "+0.220", "+0.215", "+0.150"]
    low, high = column(panel.table, "ROUGE-1, from")[0], column(panel.table, "ROUGE-1, to")[0]
    assert float(low) < 0.25 < float(high)
    assert panel.table.file == "comparison.csv"


def test_changes_the_bars_with_the_measure_and_the_way_with_references(panel: ComparisonPanel) -> None:
    panel.measure.value = "rouge2"
    assert figure(panel.bars)["data"][0]["y"][0] == pytest.approx(0.24, abs=1e-5)
    panel.references.value = "_max"
    (bars,) = figure(panel.bars)["data"]
    assert bars["y"][0] == pytest.approx(0.34, abs=1e-5)
    assert bars["error_y"]["array"][0] > 0.01
    assert figure(panel.bars)["layout"]["yaxis"]["title"]["text"] == "ROUGE-2, best reference"


def test_says_which_differences_are_real(panel: ComparisonPanel) -> None:
    # only the two LoRAs are alike: one has its dialogues set off up and down around the other's
    assert "9 of 10 differences in ROUGE-1 are real; these may be chance: lora &lt;b&gt;" in panel.real.value
    (chance,) = [cells for cells in panel.pairs.cells if cells[-1] == "may be chance"]
    assert chance[:2] == ["lora <b>rank</b>=9", "lora"]
    panel.measure.value = "rougeL"
    assert "differences in ROUGE-L are real" in panel.real.value


def test_names_the_front_in_words_and_in_the_table(panel: ComparisonPanel) -> None:
    # the second LoRA is no better than the first, and larger
    assert "better in one: prompt-tuning, lora. Left out" in panel.front.value
    assert "missing: lead-2, base." in panel.front.value
    assert column(panel.table, "Pareto front") == ["", "", "yes", "", "yes"]
    assert len(figure(panel.tradeoff)["data"]) == 1 + 3


def test_changes_the_scatter_with_its_axes(panel: ComparisonPanel) -> None:
    panel.across.value = "words"
    assert "more words are neither better nor worse" in panel.front.value
    assert column(panel.table, "Pareto front") == [""] * 5
    panel.across.value, panel.up.value = "train_seconds", "rougeLsum"
    assert figure(panel.tradeoff)["layout"]["xaxis"]["title"]["text"] == "training in s"
    panel.across.value = "peak_memory_mib"
    assert "No line has both. Left out" in panel.front.value


def test_shows_markup_in_a_label_as_text(panel: ComparisonPanel) -> None:
    assert "<b>" not in panel.real.value + panel.front.value
    assert "lora <b>rank</b>=9" in column(panel.table, "line")


def test_shows_recorded_rows_with_the_differences_recorded_beside_them() -> None:
    recorded = told()
    panel = ComparisonPanel(recorded["rows"], recorded["differences"])
    assert "0 of 1 differences in ROUGE-1 are real; these may be chance: lora and base." in panel.real.value
    assert panel.pairs.cells == [["lora", "base", "+0.200", "-0.100", "+0.300", "may be chance"]]
    panel.references.value = "_max"
    assert "No paired differences of ROUGE-1, best reference were recorded" in panel.real.value
    assert panel.pairs.layout.display == "none"
    assert not figure(panel.bars)["data"][0]["error_y"]["visible"]


def test_opens_the_recording_that_travels_with_the_repository() -> None:
    recorded = json.loads((DATA / "recorded" / "compare_nano.json").read_text(encoding="utf-8"))
    panel = ComparisonPanel(recorded["rows"], recorded["differences"])
    assert column(panel.table, "line") == [row["label"] for row in recorded["rows"]]
    assert len(panel.pairs.cells) == len(recorded["differences"])


@pytest.mark.parametrize("rows", [[], [{"label": "lora"}], ["lora"]])
def test_refuses_what_is_no_comparison(rows: list[Any]) -> None:
    with pytest.raises(LabError, match="these are no rows of a comparison"):
        ComparisonPanel(rows)
