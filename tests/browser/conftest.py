"""Chromium on a JupyterLab; without a browser these tests are skipped, or fail where LABKIT_BROWSER_TESTS=required."""

import os
import shutil
from collections.abc import Iterator

import pytest
from book import Book, strangers
from lab_server import Server, lab_server
from playwright.sync_api import Browser, BrowserContext, Page, WebSocket, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # small in containers
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
]
# One kernel for all panels: importing torch takes longer than most journeys.
SETUP = """\
import labkit as lk
from labkit import widgets

base, data = lk.load_model("nano"), lk.load_dialogues("nano")
quick = lk.Evaluation(rows=12, max_new_tokens=16)
how = {"training": lk.Training(steps=2, batch_size=4, validations=1, validation_rows=8), "evaluation": quick}
table = lk.compare([lk.LoRA(rank=2), lk.PromptTuning(tokens=4)], base, data, **how)
lora, soft = (lk.open_run(entry.runs[0], base) for entry in table.entries[2:])
ranks = lk.sweep(lk.LoRA(), "rank", [2, 4], model=base, data=data, **how)
"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = os.environ.get("LABKIT_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
    if not path:
        without = pytest.fail if os.environ.get("LABKIT_BROWSER_TESTS") == "required" else pytest.skip
        without("no Chromium for the browser tests: install it, or name its program in LABKIT_BROWSER")
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with lab_server(tmp_path_factory.mktemp("jupyter")) as running:
        yield running


@pytest.fixture(scope="session")
def visited() -> list[str]:
    """Every address that a page asked for."""
    return []


@pytest.fixture(scope="session")
def received() -> list[int]:
    """The bytes of every message that a kernel sent to a page."""
    return []


@pytest.fixture(scope="session")
def context(browser: Browser, visited: list[str], received: list[int]) -> Iterator[BrowserContext]:
    def watch_socket(socket: WebSocket) -> None:
        visited.append(socket.url)
        socket.on("framereceived", lambda message: received.append(len(message)))

    def watch_page(page: Page) -> None:
        page.on("websocket", watch_socket)
        page.on("dialog", lambda dialog: dialog.accept())  # "leave the page?"

    context = browser.new_context(viewport={"width": 1340, "height": 1100}, accept_downloads=True)
    context.on("request", lambda request: visited.append(request.url))
    context.on("page", watch_page)
    yield context
    context.close()


@pytest.fixture(scope="session")
def trained(context: BrowserContext, server: Server) -> Book:
    """A notebook whose first cell has trained some models, briefly; the second is for panels."""
    made = Book.of(context.new_page(), server, "panels.ipynb", SETUP, "")
    made.run("notebook:run-cell", 0, timeout=300_000)
    return made


@pytest.fixture
def book(trained: Book) -> Iterator[Book]:
    """That notebook, in which each test's panels are closed at its end: a page that is reloaded asks for all."""
    yield trained
    trained.run("notebook:run-cell", 1, "import ipywidgets\n\nipywidgets.Widget.close_all()")


@pytest.fixture(autouse=True)
def _nothing_leaves_the_machine(visited: list[str]) -> Iterator[None]:
    yield
    assert not strangers(visited)
