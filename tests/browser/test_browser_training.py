"""A training in the browser: it is watched, stopped, gone on with, and found again."""

import re
from collections.abc import Callable

from book import Book
from playwright.sync_api import Locator, expect

TRAINER = "widgets.Trainer(base, data, lk.LoRA(rank={}), lk.Training(steps={}, batch_size=1), quick, root='{}')"
TRAFFIC = 5_000_000  # bytes that a training of 3,000 steps may send


def step(panel: Locator) -> int:
    """The step that the panel tells."""
    told = re.search(r"step ([\d,]+) of", panel.inner_text())
    return int(told[1].replace(",", "")) if told else 0


def points(panel: Locator) -> int:
    """How many points the curve of the loss has."""
    curve = panel.locator(".js-plotly-plot").evaluate("(plot) => (plot.data[0].x ?? []).length")
    return int(curve)


def until(panel: Locator, past: int) -> None:
    """Wait until the training is past a step."""
    wait(panel, lambda: step(panel) > past)


def until_drawn(panel: Locator, past: int) -> None:
    """Wait until the curve has more points than this."""
    wait(panel, lambda: points(panel) > past)


def wait(panel: Locator, come: Callable[[], bool]) -> None:
    for _ in range(600):
        if come():
            return
        panel.page.wait_for_timeout(200)
    raise AssertionError(f"after two minutes it is at {panel.inner_text()!r}")


def stop(panel: Locator) -> None:
    panel.get_by_role("button", name="Stop and save").click()
    expect(panel).to_contain_text("stopped: step", timeout=60_000)


def test_a_training_is_watched_stopped_and_gone_on_with(book: Book, received: list[int]) -> None:
    panel, before = book.show(TRAINER.format(2, 3000, "watched")), sum(received)
    expect(panel).to_contain_text("Not trained yet.")
    panel.get_by_role("button", name="Start").click()
    expect(panel.get_by_role("spinbutton", name="rank")).to_be_disabled()
    until_drawn(panel, 0)
    until_drawn(panel, points(panel))
    panel.get_by_role("button", name="Stop and save").click()
    expect(panel).to_contain_text(re.compile("stopping|stopped"), timeout=1000)  # although it trains
    expect(panel).to_contain_text("stopped: step", timeout=60_000)
    stopped, seen = step(panel), points(panel)
    panel.get_by_role("button", name="Resume").click()
    until(panel, stopped)
    until_drawn(panel, seen)  # the curve goes on, and has not begun again
    stop(panel)
    # twice: a drawing late in a training has more points than an early one, but is not twice as large
    assert 2 * (sum(received) - before) * 3000 / step(panel) <= TRAFFIC


def test_a_page_that_is_reloaded_finds_its_training_again(book: Book) -> None:
    panel = book.show(TRAINER.format(3, 3000, "reloaded"))
    panel.get_by_role("button", name="Start").click()
    until(panel, 0)
    before, panel = step(panel), book.reload()
    until(panel, before)  # what was saved with the notebook is alive again
    panel = book.show(TRAINER.format(5, 3000, "reloaded"))
    expect(panel.get_by_role("spinbutton", name="rank")).to_have_value("3")  # what is training, whatever the cell says
    until(panel, step(panel))
    assert panel.locator(".js-plotly-plot").evaluate("(plot) => plot.data[0].x[0]") <= before
    stop(panel)


def test_a_training_needs_no_mouse(book: Book) -> None:
    panel, keys = book.show(TRAINER.format(2, 10, "unpointed")), book.page.keyboard
    slider = panel.get_by_role("slider", name="rank, slider")
    slider.focus()
    keys.press("ArrowRight")
    expect(panel.get_by_role("spinbutton", name="rank")).to_have_value("3")
    keys.press("Shift+Tab")
    expect(panel.get_by_label("method", exact=True)).to_be_focused()
    keys.press("ArrowDown")
    expect(panel.get_by_label("method", exact=True)).not_to_have_value("lora")
    start = panel.get_by_role("button", name="Start")
    for _ in range(20):
        keys.press("Tab")
        if start.evaluate("(button) => button === document.activeElement"):
            break
    keys.press("Enter")
    expect(panel).to_contain_text("finished: step 10 of 10", timeout=120_000)
    expect(panel).to_contain_text("ROUGE-1")


def test_keys_in_a_panel_leave_the_notebook_alone(book: Book) -> None:
    panel, keys, cells = book.show("widgets.Budget('nano')"), book.page.keyboard, len(book.outputs())
    panel.get_by_label("precision").focus()
    for key in "bdd":  # what JupyterLab takes for "insert a cell" and "delete it"
        keys.press(key)
    assert len(book.outputs()) == cells
    expect(panel.get_by_label("precision")).to_have_value("bf16")  # a list goes to what begins with the letter
