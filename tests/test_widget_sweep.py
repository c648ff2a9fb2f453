"""The sweep panel shows the numbers it was given, for whatever is chosen."""

from typing import Any

import pytest
from made import made_sweep

from labkit.errors import LabError
from labkit.published import load_published
from labkit.widgets.sweep import Sweep

RANKS = made_sweep({1: [0.20, 0.22], 4: [0.30, 0.32]}, {1: [-0.1, -0.12, -0.08]})
TOKENS = made_sweep({5: [0.2], 20: [0.3]}, {5: [-0.1, -0.2, 0.0]}, dial="tokens")


@pytest.fixture
def panel() -> Sweep:
    return Sweep(RANKS, TOKENS)


def figure(panel: Sweep) -> dict[str, Any]:
    return panel.chart.outputs[0]["data"]["application/vnd.plotly.v1+json"]


def choose(panel: Sweep, start: str) -> None:
    panel.published.label = next(text for text, _ in panel.published.options if text.startswith(start))


def test_shows_the_same_numbers_as_a_chart_and_as_a_table(panel: Sweep) -> None:
    mean = figure(panel)["data"][-1]
    assert mean["y"] == pytest.approx([0.21, 0.31])
    cells = dict(zip(panel.table.titles, panel.table.cells[0], strict=True))
    assert cells["rank"] == "1"
    assert cells["trainable"] == "100"
    assert cells["ROUGE-1"] == "0.210"
    assert (cells["dialogues, from"], cells["dialogues, to"]) == ("0.190", "0.230")
    assert (cells["seeds, from"], cells["seeds, to"]) == ("0.160", "0.260")
    assert cells["% of its best"] == "67.7"
    assert (cells["to the best"], cells["over the base"]) == ("-0.100", "+0.110")
    assert panel.table.file == "sweep_rank_rouge1.csv"


def test_says_which_interval_is_which(panel: Sweep) -> None:
    assert "95 % over 500 dialogues, and a t-interval over 2 seeds" in panel.table.caption
    panel.dial.value = 1
    assert panel.table.caption.endswith("over 500 dialogues")
    assert "seeds, from" not in panel.table.titles


def test_says_whether_there_is_a_plateau(panel: Sweep) -> None:
    assert "best at rank 4, the highest tried" in panel.verdict.value
    panel.dial.value = 1
    assert "the smallest that is not really below it is 5" in panel.verdict.value


def test_changes_all_with_the_measure(panel: Sweep) -> None:
    panel.measure.value = "rougeLsum"
    assert "ROUGE-Lsum" in panel.table.titles
    assert figure(panel)["layout"]["yaxis"]["title"]["text"].startswith("ROUGE-Lsum")
    assert panel.verdict.value.count("ROUGE-Lsum") == 1


def test_lays_published_figures_over_it_with_their_source_and_their_numbers(panel: Sweep) -> None:
    choose(panel, "LoRA paper, GPT-2 Medium on E2E: BLEU")
    assert figure(panel)["data"][-1]["y"] == pytest.approx(load_published()["lora_rank_e2e"].shares("BLEU"))
    assert "arXiv:2106.09685" in panel.source.value
    assert panel.theirs.titles == ["rank", "validation loss", "BLEU", "ROUGE-L", "% of its best"]
    assert panel.theirs.cells[2] == ["4", "1.18", "70.38", "0.7186", "100.0"]
    assert panel.theirs.layout.display == ""
    choose(panel, "none")
    assert "arXiv" not in panel.source.value
    assert panel.theirs.layout.display == "none"


def test_offers_only_what_was_published_of_the_same_dial(panel: Sweep) -> None:
    assert [text.split(":")[-1].strip() for text, _ in panel.published.options] == [
        "none", "ROUGE-1", "validation loss", "BLEU", "ROUGE-L",
    ]  # fmt: skip
    choose(panel, "LoRA paper")
    panel.dial.value = 1
    assert panel.published.label == "none"
    assert [text for text, _ in panel.published.options] == ["none", "papers on the length of soft prompts"]
    choose(panel, "papers")
    assert len(figure(panel)["data"]) == 1 + 3
    assert panel.theirs.titles == ["tokens", "finding", "source"]


def test_shows_what_was_recorded_as_text() -> None:
    nasty = made_sweep({1: [0.2], 2: [0.3]}, {}, dial="<img onerror=alert(1)>")
    panel = Sweep(nasty)
    assert "<img" not in panel.verdict.value
    assert "&lt;img" in panel.verdict.value


def test_asks_for_a_sweep() -> None:
    with pytest.raises(LabError, match="there is no sweep to show"):
        Sweep()
