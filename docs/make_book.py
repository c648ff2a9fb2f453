"""Makes the book: runs the labs, and writes them as a static site that asks nothing of other machines.

python docs/make_book.py          all of it, about half an hour
python docs/make_book.py --fast   with the few steps and rows that the tests take, some minutes

A lab is run again when its code, labkit or the data have changed.
"""

import argparse
import copy
import hashlib
import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell
from pages import for_a_page

DOCS = Path(__file__).parent
ROOT = DOCS.parent
LABS = sorted((ROOT / "labs").glob("*.ipynb"))
# what a lab's outputs come from, besides its own code
PARTS = ("labkit", "data/dialogues", "data/models", "data/published", "data/recorded", "data/tasks")
CACHE, SOURCE, BOOK = (ROOT / "build" / name for name in ("book-cache", "book-source", "book"))
HURRY = """```{note}
This page was made in a hurry, with a few steps and a few dialogues. Its figures say nothing.
```"""
ELSEWHERE = re.compile(r"\s*(https?:)?//")
STYLE = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^\s"')]+)""")


def main() -> None:
    """Run what has changed, and build the site."""
    parser = argparse.ArgumentParser(description="Make the book of the labs in build/book.")
    parser.add_argument("--fast", action="store_true", help="with a few steps and rows only")
    fast = parser.parse_args().fast
    place = CACHE / fingerprint()
    for old in set(CACHE.glob("*")) - {place}:
        shutil.rmtree(old)
    build({lab.stem: run(hurried(read(lab)) if fast else read(lab), lab.name, place) for lab in LABS}, SOURCE, BOOK)
    print(f"the book is in {BOOK.relative_to(ROOT)}/index.html")


def read(lab: Path) -> NotebookNode:
    """A lab as it is committed."""
    return nbformat.read(lab, as_version=4)


def hurried(lab: NotebookNode) -> NotebookNode:
    """A lab with the short settings that nbmake runs it with, too, in cells that the book does not show."""
    cells = []
    for cell in lab.cells:
        cells.append(cell)
        if mock := cell.metadata.get("nbmake", {}).get("mock"):
            told = "\n".join(f"{name} = {value!r}" for name, value in mock.items())
            cells.append(new_code_cell(told, metadata={"tags": ["remove-cell"]}))
    cells.insert(1, new_markdown_cell(HURRY))
    return NotebookNode(lab | {"cells": cells})


def fingerprint() -> str:
    """Another one for other code or data."""
    digest = hashlib.sha256()
    for part in PARTS:
        for file in sorted((ROOT / part).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def run(lab: NotebookNode, name: str, place: Path) -> NotebookNode:
    """A lab with its outputs, those of last time where its code is the same.

    Args:
        lab: The lab.
        name: Its file's name.
        place: Folder in which it is run, and for what is kept.

    Returns:
        A new notebook.

    Raises:
        CellExecutionError: A cell failed.
    """
    from nbclient import NotebookClient

    os.environ["PLOTLY_RENDERER"] = "plotly_mimetype"  # the figure alone, without 5 MB of script
    os.environ.pop("LABKIT_RUNS", None)  # so that runs are kept in `place`, too
    code = json.dumps([cell.source for cell in lab.cells if cell.cell_type == "code"])
    kept = place / f"{hashlib.sha256(code.encode()).hexdigest()[:12]}.ipynb"
    if not kept.exists():
        print(f"running {name} ...", flush=True)
        place.mkdir(parents=True, exist_ok=True)
        done = NotebookClient(copy.deepcopy(lab), timeout=3600, resources={"metadata": {"path": place}}).execute()
        nbformat.write(done, kept.with_suffix(".new"))
        kept.with_suffix(".new").replace(kept)
    ran, shown = read(kept), copy.deepcopy(lab)  # its words may be newer than its outputs
    shown.metadata = ran.metadata
    pairs = ([cell for cell in book.cells if cell.cell_type == "code"] for book in (shown, ran))
    for cell, old in zip(*pairs, strict=True):
        cell.outputs = old.outputs
    return shown


def build(labs: dict[str, NotebookNode], source: Path, book: Path) -> None:
    """Build the site of some labs that were run.

    Args:
        labs: A lab for each file name, without its ending.
        source: Folder for what Sphinx reads; made anew.
        book: Folder for the site; made anew.

    Raises:
        SystemExit: Sphinx has warned, or a page would load something from another machine.
    """
    import plotly
    from sphinx.cmd.build import main as sphinx

    for folder in (source, book):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS / "static", source / "static")
    for pictures in ("panels", "diagrams"):
        shutil.copytree(DOCS / pictures, source / "static" / pictures)
    shutil.copy(Path(plotly.__file__).parent / "package_data" / "plotly.min.js", source / "static")
    for file in ("conf.py", "index.md"):
        shutil.copy(DOCS / file, source)
    for name, lab in labs.items():
        nbformat.write(for_a_page(lab), source / f"{name}.ipynb")
    if sphinx(["-q", "-W", "--keep-going", str(source), str(book)]):
        raise SystemExit("the book has faults, see above")
    if found := strangers(book):
        raise SystemExit("the book would load from other machines:\n" + "\n".join(found))


def strangers(book: Path) -> list[str]:
    """What pages and style sheets would load from other machines; a link that a reader may follow is none of it."""
    found = []
    for file in sorted([*book.rglob("*.html"), *book.rglob("*.css")]):
        content = file.read_text(encoding="utf-8")
        loads = _Loads()
        if file.suffix == ".html":
            loads.feed(content)
        found += [f"{file.relative_to(book)}: {each}" for each in [*loads.found, *STYLE.findall(content)]]
    return found


class _Loads(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "a":
            named = [value or "" for name, value in attrs if name in ("src", "srcset", "href", "data", "poster")]
            self.found += [value for value in named if ELSEWHERE.match(value)]


if __name__ == "__main__":
    main()
