"""The labs as they are committed; running them is nbmake's part."""

import json
from pathlib import Path

import pytest

LABS = sorted((Path(__file__).parent.parent / "labs").glob("*.ipynb"))


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.stem)
def test_is_committed_without_outputs_and_widget_state(lab: Path) -> None:
    book = json.loads(lab.read_text(encoding="utf-8"))
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in book["cells"])
    assert "widgets" not in book["metadata"]


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.stem)
def test_is_small(lab: Path) -> None:
    assert lab.stat().st_size <= 60_000


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.stem)
def test_has_cells_of_ten_lines_at_most(lab: Path) -> None:
    cells = json.loads(lab.read_text(encoding="utf-8"))["cells"]
    assert all(len(cell["source"]) <= 10 for cell in cells if cell["cell_type"] == "code")


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.stem)
def test_asserts_that_the_answers_of_its_exercises_are_right(lab: Path) -> None:
    for cell in json.loads(lab.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code" and cell["source"][-1].startswith("checks."):
            assert cell["metadata"]["nbmake"]["post_cell_execute"] == ["assert _"]


def test_there_is_a_lab() -> None:
    assert LABS
