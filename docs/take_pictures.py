"""Takes the pictures of the panels, and of the labs' diagrams, in a real JupyterLab: make pictures.

It needs Chromium, as the tests in tests/browser do, whose helpers it uses. Nano is trained for 150 steps with three
methods, so the first time takes some minutes; the runs are kept in build/picture-runs.
"""

import shutil
import tempfile
from pathlib import Path
from urllib.parse import unquote

import nbformat
from book import PYTHON, Book
from conftest import FLAGS, NAMES
from lab_server import Server, lab_server
from pages import DOCS, MERMAID, diagram_file
from playwright.sync_api import Page, expect, sync_playwright

RUNS = DOCS.parent / "build" / "picture-runs"
MOST = 200_000  # bytes a picture
SETUP = """\
import labkit as lk
from labkit import widgets

base, data = lk.load_model("nano"), lk.load_dialogues("nano")
how = {"training": lk.Training(steps=150), "evaluation": lk.Evaluation(rows=200), "root": "runs"}
methods = [lk.FullFineTuning(), lk.PromptTuning(tokens=20), lk.LoRA(rank=8)]
table = lk.compare(methods, base, data, **how)
lora, soft = (lk.open_run(table[label].runs[0], base) for label in ("lora", "prompt-tuning"))
"""
PANELS = {
    "budget": "widgets.Budget('google/flan-t5-base')",
    "trainer": "widgets.Trainer(base, data, **how)",
    "summaries": "widgets.Summaries(table, data, base)",
    "comparison": "widgets.ComparisonPanel(table)",
    "sweep": "widgets.Sweep(lk.recorded_sweep('rank'))",
    "anatomy": "widgets.Anatomy(lora)",
    "neighbours": "widgets.Neighbours(soft, seed=0)",
    "judge": "widgets.Judge(table, data, 'full', 'lora')",
}


def main() -> None:
    """Take them all anew."""
    RUNS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as root, lab_server(Path(root)) as server, sync_playwright() as playwright:
        (server.folder / "runs").symlink_to(RUNS)
        path = next(filter(None, map(shutil.which, NAMES)))
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        # higher than any panel: what is scrolled out of sight would be missing
        page = chromium.new_page(viewport={"width": 1340, "height": 3200})
        draw_diagrams(page, server)
        show_panels(page, server)
        chromium.close()


def show_panels(page: Page, server: Server) -> None:
    """A picture a panel."""
    book = Book.of(page, server, "panels.ipynb", SETUP, "")
    book.run("notebook:run-cell", 0, timeout=1_800_000)
    for name, source in PANELS.items():
        panel = book.show(source)
        page.wait_for_timeout(3000)  # charts are drawn
        file = DOCS / "panels" / f"{name}.png"
        panel.screenshot(path=file, animations="disabled")
        if file.stat().st_size > MOST:
            raise SystemExit(f"{file.name} has {file.stat().st_size:,} bytes: show less")


def draw_diagrams(page: Page, server: Server) -> None:
    """Every mermaid diagram of the labs, as JupyterLab draws it."""
    labs = [nbformat.read(lab, as_version=4) for lab in sorted((DOCS.parent / "labs").glob("*.ipynb"))]
    sources = [found for lab in labs for cell in lab.cells for found in MERMAID.findall(cell.source)]
    cells = [nbformat.v4.new_markdown_cell(f"```mermaid\n{source}```") for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=PYTHON), server.folder / "diagrams.ipynb")
    Book(page, server, "diagrams.ipynb")
    drawn = page.locator(".jp-RenderedMermaid img")
    expect(drawn).to_have_count(len(sources))
    shutil.rmtree(DOCS / "diagrams", ignore_errors=True)
    (DOCS / "diagrams").mkdir()
    for place, source in enumerate(sources):
        svg = unquote(drawn.nth(place).get_attribute("src"))
        diagram_file(source).write_text(svg[svg.index("<svg") :] + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
