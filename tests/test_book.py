"""The book that is made of the labs; running the labs is nbmake's part."""

from pathlib import Path

import pytest
from make_book import LABS, build, hurried, read, run, strangers
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pages import CHART, DOCS, LIVE, MERMAID, STATE, WIDGET, diagram_file, for_a_page, text

from labkit import widgets

EVIL = "</script><img src=x onerror=alert(1)>"


def shown(data: dict[str, object], state: dict[str, object] | None = None) -> list[NotebookNode]:
    """The outputs of a cell that had this one."""
    output = new_output("display_data", data)
    book = new_notebook(
        cells=[new_code_cell("show", outputs=[output])], metadata={"widgets": {STATE: {"state": state}}}
    )
    return list(for_a_page(book).cells[0].outputs)


def widget(name: str, **state: object) -> list[NotebookNode]:
    """The outputs of a cell that showed this widget."""
    told = {WIDGET: {"model_id": "a"}, "text/plain": f"{name}(children=(HTML(value='...'),))"}
    return shown(told, {"a": {"state": state}})


def test_a_lab_in_a_hurry_takes_its_short_settings_unseen() -> None:
    cells = [new_markdown_cell("# A lab"), new_code_cell("steps = 150", metadata={"nbmake": {"mock": {"steps": 4}}})]
    _, hurry, told, mock = hurried(new_notebook(cells=[*cells])).cells
    assert "in a hurry" in hurry.source
    assert told.source == "steps = 150"
    assert mock.source == "steps = 4"
    assert mock.metadata.tags == ["remove-cell"]


def test_a_chart_is_kept_as_its_numbers_which_cannot_end_their_script() -> None:
    figure = {"data": [{"y": [1, 2]}], "layout": {"title": {"text": EVIL}}, "config": {}}
    [output] = shown({CHART: figure, "text/plain": "Figure"})
    markup = output.data["text/html"]
    assert list(output.data) == ["text/html"]
    assert '"y": [1, 2]' in markup
    assert markup.count("<") == 4  # a div with a script


def test_a_panel_is_shown_as_its_picture() -> None:
    [output] = widget("ComparisonPanel")
    assert "_static/panels/comparison.png" in output.data["text/html"]
    assert LIVE in output.data["text/html"]


def test_a_table_is_shown_as_a_table() -> None:
    [output] = widget("Table", caption="all", titles=["name", "ROUGE-1"], cells=[[EVIL, "0.3"]], values=[])
    assert "<td>0.3</td>" in output.data["text/html"]
    assert "<img" not in output.data["text/html"]


def test_a_progress_bar_is_not_shown() -> None:
    assert widget("Output") == []


def test_remarks_of_the_authors_are_left_out() -> None:
    assert text("It rises. <!--\ncheck: it rises -->\nIt falls.") == "It rises.\nIt falls."


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.stem)
def test_every_diagram_has_a_picture(lab: Path) -> None:
    for source in MERMAID.findall("\n".join(cell.source for cell in read(lab).cells)):
        assert diagram_file(source).exists(), "draw it with make pictures"
        assert f"_static/diagrams/{diagram_file(source).name}" in text(f"```mermaid\n{source}```")


@pytest.mark.parametrize("name", widgets.__all__)
def test_every_panel_has_a_picture(name: str) -> None:
    picture = DOCS / "panels" / f"{name.removesuffix('Panel').lower()}.png"
    content = picture.read_bytes()
    assert 600 <= int.from_bytes(content[16:20]) <= 880  # the width in a PNG's head
    assert len(content) <= 200_000


def test_what_a_page_would_load_from_elsewhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        '<a href="https://a.org">a</a><img src="b.png"><script src="//c.org/c.js"></script>'
        '<link href="https://d.org/d.css"><img src="http://e.org/e.png"><b style="background:url(https://f.org)">',
        encoding="utf-8",
    )
    (tmp_path / "style.css").write_text("@import 'https://g.org/g.css'; b { background: url(h.png) }", encoding="utf-8")
    assert strangers(tmp_path) == [
        "page.html: //c.org/c.js",
        "page.html: https://d.org/d.css",
        "page.html: http://e.org/e.png",
        "page.html: https://f.org",
        "style.css: https://g.org/g.css",
    ]


def test_a_book_is_built_that_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    outputs = [new_output("display_data", {CHART: {"data": [{"y": [1, 2]}], "layout": {}}, "text/plain": "Figure"})]
    words = "# A lab\n\nThe sum is $W + BA$, see [LoRA](https://arxiv.org/abs/2106.09685).\n\n"
    words += "<details><summary>Hint</summary>\n\n| a | b |\n|---|---|\n| **c** | d |\n\n</details>"
    cells = [new_markdown_cell(words), new_code_cell("figure", outputs=outputs)]
    book = new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})
    build({"0_lab": book}, tmp_path / "source", tmp_path / "book")
    page = (tmp_path / "book" / "0_lab.html").read_text(encoding="utf-8")
    assert '<div class="chart">' in page
    assert "<math" in page
    assert "<summary>Hint</summary>" in page
    assert "<strong>c</strong>" in page
    assert 'href="https://arxiv.org/abs/2106.09685"' in page
    assert (tmp_path / "book" / "_static" / "plotly.min.js").stat().st_size > 1_000_000
    assert strangers(tmp_path / "book") == []


def test_a_lab_is_run_once_and_shown_with_its_newest_words(tmp_path: Path) -> None:
    code = "from pathlib import Path\nlog = Path('log')\nlog.write_text(log.read_text() + 'x' if log.exists() else 'x')"
    for words in ("old words", "new words"):
        lab = new_notebook(cells=[new_markdown_cell(words), new_code_cell(code)])
        shown = run(lab, "lab.ipynb", tmp_path)
        assert shown.cells[0].source == words
        assert shown.cells[1].outputs[0].data["text/plain"] == "1"
    assert (tmp_path / "log").read_text(encoding="utf-8") == "x"
