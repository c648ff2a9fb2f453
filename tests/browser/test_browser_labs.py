"""The labs as a learner runs them: opened in JupyterLab, all cells."""

from pathlib import Path

import nbformat
import pytest
from book import Book, mocked
from lab_server import Server
from playwright.sync_api import BrowserContext, expect

LABS = Path(__file__).parents[2] / "labs"


@pytest.mark.parametrize("lab", ["00_start_here", "03_lora"])
def test_all_cells_run_without_an_error(context: BrowserContext, server: Server, lab: str) -> None:
    nbformat.write(mocked(LABS / f"{lab}.ipynb"), server.folder / f"{lab}.ipynb")
    book = Book(context.new_page(), server, f"{lab}.ipynb")
    book.run("notebook:run-all-cells", timeout=600_000)
    code = [cell for cell in nbformat.read(LABS / f"{lab}.ipynb", as_version=4).cells if cell.cell_type == "code"]
    assert sum(map(bool, book.outputs())) > len(code) / 2
    assert book.complaints() == []
    expect(book.page.locator(".js-plotly-plot").first).to_be_attached()
    book.page.close()
