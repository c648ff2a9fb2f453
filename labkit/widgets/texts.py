"""Dialogues and summaries as markup; every text is escaped here."""

from collections.abc import Sequence
from html import escape

from labkit.dialogues import turns
from labkit.reading.overlap import Word

MARK = "<mark style='background: #ffe08a; color: #1a1a1a; padding: 0 1px; border-radius: 2px'>{}</mark>"
BOX = (
    "<section style='border: 1px solid var(--jp-border-color2, #999); border-radius: 3px; padding: 6px 10px; "
    "line-height: 1.5; overflow-wrap: anywhere'><h4 style='margin: 0 0 4px'>{}</h4>{}</section>"
)
GRID = "<div style='display: grid; grid-template-columns: repeat(auto-fit, minmax(240px, 1fr)); gap: 8px'>{}</div>"


def lines(texts: Sequence[str]) -> str:
    """Texts, each on its line."""
    return "".join(f"<div style='margin: 2px 0'>{escape(text)}</div>" for text in texts)


def dialogue_lines(dialogue: str) -> str:
    """A turn a line; a long dialogue scrolls, with arrow keys, too."""
    scroll = "style='max-height: 300px; overflow-y: auto' tabindex='0' role='region' aria-label='dialogue'"
    return f"<div {scroll}>{lines(turns(dialogue))}</div>"


def marked(text: str, words: Sequence[Word] = ()) -> str:
    """A summary with these of its words marked."""
    if not text.strip():
        return "<em>(empty)</em>"
    parts, end = [], 0
    for word in words:
        parts += [escape(text[end : word.start]), MARK.format(escape(text[word.start : word.end]))]
        end = word.end
    return "".join(parts) + escape(text[end:])


def boxes(contents: Sequence[tuple[str, str]]) -> str:
    """Boxes side by side, under one another where there is no room.

    Args:
        contents: A title, as plain text, and the markup below it, for each box.
    """
    return GRID.format("".join(BOX.format(escape(title), markup) for title, markup in contents))
