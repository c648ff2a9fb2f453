"""A notebook open in the browser: its cells are run through JupyterLab, its panels are used like a learner does."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat
from lab_server import Server
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Locator, Page, expect

START = 120_000  # ms: a kernel that imports torch on a busy machine
CONTROLS = {"button", "slider", "spinbutton", "textbox", "searchbox", "combobox", "checkbox", "link"}

PYTHON = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
# the notebook that the page shows, in JupyterLab's own terms
BOOK = "const book = [...jupyterapp.shell.widgets('main')].find((each) => each.content?.model?.cells);"
READY = f"""() => {{
  if (!window.jupyterapp) return false;
  {BOOK}
  return Boolean(book?.context.isReady) && book.sessionContext.session?.kernel?.status === "idle";
}}"""
RUN = f"""([command, cell, source]) => {{
  {BOOK}
  jupyterapp.shell.activateById(book.id);
  if (source !== null) book.content.model.cells.get(cell).sharedModel.setSource(source);
  if (cell !== null) book.content.activeCellIndex = cell;
  window.labkitRan = false;
  jupyterapp.commands.execute(command).finally(() => {{ window.labkitRan = true; }});
}}"""
OUTPUTS = f"() => {{ {BOOK} return JSON.stringify(book.content.model.toJSON().cells.map((cell) => cell.outputs)); }}"
THEME = "(name) => jupyterapp.commands.execute('apputils:change-theme', { theme: name })"


class Book:
    """A page that shows one notebook.

    Args:
        page: A page of the browser.
        server: The JupyterLab.
        name: The notebook's file in the server's folder.
    """

    def __init__(self, page: Page, server: Server, name: str):
        self.page, self.server, self.name = page, server, name
        page.goto(f"{server.address}/lab/tree/{name}?reset&token={server.token}")
        self.wait()

    @classmethod
    def of(cls, page: Page, server: Server, name: str, *sources: str) -> "Book":
        """A new notebook with these cells."""
        cells = [new_code_cell(source) for source in sources]
        nbformat.write(new_notebook(cells=cells, metadata=PYTHON), server.folder / name)
        return cls(page, server, name)

    def wait(self) -> None:
        """Wait until the notebook is shown, and its kernel has nothing to do."""
        self.page.wait_for_function(READY, timeout=START)

    def run(self, command: str, cell: int | None = None, source: str | None = None, timeout: float = START) -> None:
        """Run a command of JupyterLab, on a cell with this new source, to its end; an error of a cell is ours."""
        self.page.evaluate(RUN, [command, cell, source])
        self.page.wait_for_function("() => window.labkitRan", timeout=timeout)
        assert not self.complaints()

    def show(self, source: str) -> Locator:
        """Run this in the last cell, and return the panel that it shows."""
        self.run("notebook:run-cell", len(self.outputs()) - 1, source)
        panel = self.page.locator(".labkit-panel")
        expect(panel).to_have_count(1)
        return panel

    def reload(self) -> Locator:
        """Save, reload the page, and return the panel that is there again."""
        self.run("docmanager:save")
        self.page.reload()
        self.wait()
        return self.page.locator(".labkit-panel")

    def outputs(self) -> list[list[dict[str, Any]]]:
        """The outputs of every cell."""
        return [cell or [] for cell in json.loads(self.page.evaluate(OUTPUTS))]

    def complaints(self) -> list[str]:
        """Errors of cells, and what they wrote to stderr."""
        told = [output for cell in self.outputs() for output in cell]
        errors = [f"{each['ename']}: {each['evalue']}" for each in told if each["output_type"] == "error"]
        return errors + ["".join(each["text"]) for each in told if each.get("name") == "stderr"]

    def controls(self) -> list[tuple[str, str]]:
        """Role and name of each control of the panel, as a screen reader is told."""
        chrome = self.page.context.new_cdp_session(self.page)
        found = chrome.send("Runtime.evaluate", {"expression": "document.querySelector('.labkit-panel')"})
        nodes = chrome.send("Accessibility.queryAXTree", {"objectId": found["result"]["objectId"]})["nodes"]
        chrome.detach()
        told = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
        return [(role, name.strip()) for role, name in told if role in CONTROLS]

    def theme(self, name: str) -> None:
        """Change JupyterLab's theme."""
        self.page.evaluate(THEME, name)
        light = str(name == "JupyterLab Light").lower()
        self.page.wait_for_selector(f"body[data-jp-theme-light={light}]", state="attached")  # a body has no height


def mocked(lab: Path) -> nbformat.NotebookNode:
    """A lab with the short settings that nbmake runs it with, too: a cell that sets a mocked name sets it again."""
    book = nbformat.read(lab, as_version=4)
    for cell in book.cells:
        mock = cell.metadata.get("nbmake", {}).get("mock", {})
        cell.source = "\n".join([cell.source, *(f"{name} = {value!r}" for name, value in mock.items())])
    return book


def strangers(addresses: list[str]) -> list[str]:
    """Those of the addresses that are not on this machine."""
    here = ("127.0.0.1", None)  # None: data and blobs, which are in the page
    return [each for each in addresses if urlsplit(each).hostname not in here]
