"""Lab 7's section on causal models: its own cells, on the few rows and steps that nbmake gives them."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datasets import enable_progress_bars

import labkit

LAB = Path(__file__).parent.parent / "labs" / "07_the_real_thing.ipynb"
trl = pytest.mark.skipif(
    importlib.util.find_spec("trl") is None, reason="trl is not installed: pip install 'labkit[trl]'"
)


def run_section(folder: Path) -> dict[str, Any]:
    """Run the code between the section's heading and the exercises; returns all names that it has set."""
    cells = json.loads(LAB.read_text(encoding="utf-8"))["cells"]
    heads = ("### Models that only go on writing", "## Exercises")
    start, stop = (next(i for i, cell in enumerate(cells) if f"{head}\n" in cell["source"]) for head in heads)
    names: dict[str, Any] = {"lk": labkit, "mkdtemp": lambda: str(folder)}  # from the lab's first cells
    for cell in cells[start:stop]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
            names |= cell["metadata"].get("nbmake", {}).get("mock", {})
    return names


@pytest.fixture(autouse=True)
def bars_back() -> Iterator[None]:
    """Give the tests after these the progress bars that the section switches off for its notebook."""
    yield
    enable_progress_bars()


@trl
def test_its_training_lowers_the_loss_leaves_the_base_as_it_was_and_tells_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.delenv("CI", raising=False)  # where it is set, TRL sends nothing anyway
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY", False)
    monkeypatch.setattr("huggingface_hub.utils._telemetry._start_telemetry_thread", lambda: sent.append("started"))
    names = run_section(tmp_path)
    assert names["after"] < names["before"] - 0.1
    assert names["switched_off"] == names["before"]
    assert sent == []


def test_it_does_nothing_without_trl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *at: None if name == "trl" else found(name, *at))
    assert "trainer" not in run_section(tmp_path)
    assert "skipped below: pip install 'labkit[trl]'" in capsys.readouterr().out
