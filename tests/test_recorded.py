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


def test_lab_0_tells_the_recorded_gains() -> None:
    lab = (ROOT / "labs" / "00_start_here.ipynb").read_text(encoding="utf-8")
    rows = json.loads((RECORDED.parent / "lab_0.json").read_text(encoding="utf-8"))["rows"]
    gains = [f"{row['rouge1_gain']:+.3f}".replace("0.", ".") for row in rows if row["method"] == "lora"]
    assert "gained {} with rank 8, {} with rank 2 and {} with rank 1".format(*gains) in lab
