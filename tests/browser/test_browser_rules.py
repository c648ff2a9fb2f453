"""What holds for every panel: names for all controls, nothing too wide, nothing from elsewhere, both themes."""

import os
from pathlib import Path

import pytest
from book import Book, strangers
from playwright.sync_api import expect

PANELS = {
    "budget": "widgets.Budget()",
    "trainer": "widgets.Trainer(base, data, lk.LoRA(rank=2), lk.Training(steps=2, batch_size=1), quick, root='few')",
    "summaries": "widgets.Summaries(table, data, base)",
    "comparison": "widgets.ComparisonPanel(table)",
    "sweep": "widgets.Sweep(ranks)",
    "anatomy": "widgets.Anatomy(lora)",
    "neighbours": "widgets.Neighbours(soft, seed=0)",
    "judge": "widgets.Judge(table, data, 'lead-2', 'base')",
}
# what reaches beyond the panel, unless something scrolls it
TOO_WIDE = """(panel) => {
  const edge = panel.getBoundingClientRect().right + 1;
  const cut = (each) => each !== panel && (getComputedStyle(each).overflowX !== "visible" || cut(each.parentElement));
  return [...panel.querySelectorAll("*")]
    .filter((each) => each.getBoundingClientRect().right > edge && !cut(each.parentElement))
    .map((each) => each.outerHTML.slice(0, 200));
}"""
# texts whose colour is hard to tell from what is behind them: WCAG 2.2, contrast (minimum), 4.5 to 1
PALE = """(panel) => {
  const rgba = (text) => (text.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const light = (color) => {
    const [r, g, b] = color.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (each) => {
    const color = rgba(getComputedStyle(each).backgroundColor);
    return color.length === 3 || color[3] > 0.5 || !each.parentElement ? color : behind(each.parentElement);
  };
  const told = [];
  const texts = document.createTreeWalker(panel, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const each = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || each.closest("svg, :disabled, option") || !each.checkVisibility()) continue;
    const [a, b] = [rgba(getComputedStyle(each).color), behind(each)].map((color) => light(color.slice(0, 3)));
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) told.push(`${contrast.toFixed(1)}: ${texts.currentNode.data.trim()}`);
  }
  return told;
}"""


@pytest.mark.parametrize("name", PANELS)
def test_every_control_has_a_name(book: Book, name: str) -> None:
    book.show(PANELS[name])
    book.page.wait_for_timeout(1000)  # charts and tables bring controls of their own
    controls = book.controls()
    assert len(controls) > 2
    assert not [role for role, named in controls if not named]


@pytest.mark.parametrize("theme", ["Light", "Dark"])
@pytest.mark.parametrize("name", PANELS)
def test_all_of_a_panel_can_be_read(book: Book, name: str, theme: str) -> None:
    book.theme(f"JupyterLab {theme}")
    panel = book.show(PANELS[name])
    expect(panel.locator("h3")).to_be_visible()
    book.page.wait_for_timeout(1500)  # charts are drawn
    if folder := os.environ.get("LABKIT_SCREENSHOTS"):
        panel.screenshot(path=Path(folder) / f"{name}_{theme.lower()}.png")
    assert panel.evaluate(TOO_WIDE) == []
    assert panel.evaluate(PALE) == []


def test_no_request_leaves_the_machine(book: Book, visited: list[str]) -> None:
    book.show(PANELS["comparison"])
    assert len(visited) > 10
    assert any(each.startswith("ws://127.0.0.1:") for each in visited)
    assert strangers(visited) == []
    assert strangers(["https://cdn.plot.ly/plotly.js", "blob:http://127.0.0.1/1", "data:,"])
