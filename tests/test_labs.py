"""The labs as they are committed; running them is nbmake's part."""

import ast
import json
import re
from pathlib import Path

import pytest

LABS = sorted((Path(__file__).parent.parent / "labs").glob("*.ipynb"))
EXPERIMENTS = tuple(f"checks.{name}(" for name in ("compared", "overfits", "better_wording", "errors_counted"))


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
def test_asserts_what_the_checks_of_its_exercises_say(lab: Path) -> None:
    for cell in json.loads(lab.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code" and cell["source"][-1].startswith("checks."):
            experiment = cell["source"][-1].startswith(EXPERIMENTS)  # nobody does it in a test
            expected = "assert not _" if experiment else "assert _"
            assert cell["metadata"]["nbmake"]["post_cell_execute"] == [expected]


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.stem)
def test_leaves_the_last_output_its_name(lab: Path) -> None:
    # IPython no longer sets _ once a cell has, and then every assertion about a check would be one about that
    for cell in code(lab):
        own = [part for part in cell.body if not isinstance(part, ast.FunctionDef)]
        nodes = [node for part in own for node in ast.walk(part)]
        targets = [node.target for node in nodes if isinstance(node, ast.For | ast.AnnAssign | ast.NamedExpr)]
        targets += [target for node in nodes if isinstance(node, ast.Assign) for target in node.targets]
        targets += [node.optional_vars for node in nodes if isinstance(node, ast.withitem) and node.optional_vars]
        assert "_" not in {name.id for each in targets for name in ast.walk(each) if isinstance(name, ast.Name)}


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.stem)
def test_has_exercises_with_time_check_hint_and_solution(lab: Path) -> None:
    text = "".join("".join(cell["source"]) + "\n" for cell in json.loads(lab.read_text(encoding="utf-8"))["cells"])
    exercises = re.split(r"^\*\*\d\. ", text.split("## Exercises")[1], flags=re.MULTILINE)[1:]
    assert 2 <= len(exercises) <= 3
    for exercise in exercises:
        assert re.match(r"[^*]+ \(\d+ minutes\)\.\*\*", exercise)
        asked, solved = exercise.split("<summary>Hint")
        assert "checks." in asked
        assert "<summary>Solution" in solved


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.stem)
def test_has_lines_of_120_characters_at_most_where_they_can_be_broken(lab: Path) -> None:
    for cell in json.loads(lab.read_text(encoding="utf-8"))["cells"]:
        lines = "".join(cell["source"]).split("\n")
        unbroken = ("|", "](http", " --> ")  # tables, links, diagrams
        assert [line for line in lines if len(line) > 120 and not any(part in line for part in unbroken)] == []


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.stem)
def test_tells_mistakes_as_pairs_of_a_number_and_what_to_say(lab: Path) -> None:
    # only a wrong answer would find out, and the tests give right ones
    given = [node for cell in code(lab) for node in ast.walk(cell) if isinstance(node, ast.Assign)]
    for node in given:
        if [name.id for name in node.targets if isinstance(name, ast.Name)] == ["mistakes"]:
            assert isinstance(node.value, ast.List)
            for pair in node.value.elts:
                assert isinstance(pair, ast.Tuple)
                assert [type(part) for part in pair.elts][1:] == [ast.Constant]
                assert isinstance(ast.literal_eval(pair.elts[1]), str)


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.stem)
def test_leaves_what_it_read_from_a_recording_its_name(lab: Path) -> None:
    # far below, another cell looks into the same recording
    given = [node for cell in code(lab) for node in ast.walk(cell) if isinstance(node, ast.Assign)]
    reads = [node for node in given if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "read"]
    recorded = {ast.unparse(node.targets[0]): node for node in reads}
    again = [node for node in given if {ast.unparse(each) for each in node.targets} & recorded.keys()]
    assert again == list(recorded.values())


def code(lab: Path) -> list[ast.Module]:
    """The code cells of a lab."""
    cells = json.loads(lab.read_text(encoding="utf-8"))["cells"]
    return [ast.parse("".join(cell["source"])) for cell in cells if cell["cell_type"] == "code"]


def test_there_is_a_lab() -> None:
    assert LABS
