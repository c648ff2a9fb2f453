"""Turns what only JupyterLab can show into what a page can: charts, panels, tables and diagrams."""

import hashlib
import json
import re
from html import escape
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

DOCS = Path(__file__).parent
CHART = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
MERMAID = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LIVE = "An example. This panel is live in JupyterLab: <code>make lab</code>."


def for_a_page(book: NotebookNode) -> NotebookNode:
    """Change a notebook that was run so that a page can show all of it; its widgets' state is dropped."""
    widgets = book.metadata.pop("widgets", {}).get(STATE, {}).get("state", {})
    for cell in book.cells:
        if cell.cell_type == "markdown":
            cell.source = text(cell.source)
        elif cell.cell_type == "code":
            cell.outputs = [shown for each in cell.outputs if (shown := output(each, widgets))]
    return book


def text(source: str) -> str:
    """Markdown with pictures for its diagrams, and without its authors' remarks."""
    return MERMAID.sub(lambda found: _diagram(found[1]), re.sub(r"\s*<!--.*?-->", "", source, flags=re.DOTALL))


def output(told: NotebookNode, widgets: dict[str, Any]) -> NotebookNode | None:
    """An output as a page can show it, or None where it has nothing to show."""
    data = told.get("data", {})
    if CHART in data:
        told.data = NotebookNode({"text/html": _chart(data[CHART])})
    elif WIDGET in data:
        markup = _widget(data["text/plain"].partition("(")[0], widgets.get(data[WIDGET]["model_id"], {}))
        if not markup:
            return None
        told.data = NotebookNode({"text/html": markup})
    return told


def diagram_file(source: str) -> Path:
    """Where the picture of a mermaid diagram is; another diagram has another file."""
    return DOCS / "diagrams" / f"{hashlib.sha256(source.encode()).hexdigest()[:12]}.svg"


def _diagram(source: str) -> str:
    file = diagram_file(source)
    if not file.exists():
        raise SystemExit(f"this diagram has no picture: draw it with make pictures\n{source}")
    labels = "; ".join(re.sub("<br>", " ", label) for label in re.findall(r'\["?(.*?)"?\]', source))
    return f'<img class="diagram" src="_static/diagrams/{file.name}" alt="diagram: {escape(labels)}">'


def _chart(figure: dict[str, Any]) -> str:
    drawn = json.dumps({"data": figure["data"], "layout": figure["layout"]}).replace("<", "\\u003c")
    return f'<div class="chart"><script type="application/json">{drawn}</script></div>'


def _widget(name: str, model: dict[str, Any]) -> str:
    """A table as a table, a panel as its picture, and nothing for a progress bar."""
    if name == "Table":
        return _table(**{key: model["state"][key] for key in ("caption", "titles", "cells")})
    file = DOCS / "panels" / f"{name.removesuffix('Panel').lower()}.png"
    if not file.exists():
        return ""
    picture = f'<img src="_static/panels/{file.name}" alt="the panel {file.stem}">'
    return f'<figure class="panel">{picture}<figcaption>{LIVE}</figcaption></figure>'


def _table(caption: str, titles: list[str], cells: list[list[str]]) -> str:
    def line(tag: str, texts: list[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(each)}</{tag}>" for each in texts) + "</tr>"

    body = "".join(line("td", each) for each in cells)
    return (
        f"<table><caption>{escape(caption)}</caption><thead>{line('th', titles)}</thead><tbody>{body}</tbody></table>"
    )
