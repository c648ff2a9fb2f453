"""What the README shows is what was recorded."""

import json

from show_recorded import RECORDED, ROOT, picture, readme

PAGE = ROOT / "README.md"


def test_the_readme_shows_the_recorded_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert readme(page, json.loads(RECORDED.read_text(encoding="utf-8"))) == page


def test_the_picture_shows_the_recorded_figures() -> None:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    assert (ROOT / "docs" / "compare.svg").read_text(encoding="utf-8") == picture(recorded)
