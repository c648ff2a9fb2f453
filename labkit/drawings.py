"""Drawings of what the methods do, to scale where sizes are given; they read on light and on dark pages."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

GREY, FROZEN, TRAINED = "#797979", "#8fa3b8", "#e69f00"


class Drawing(NamedTuple):
    """An SVG picture that a notebook shows."""

    width: float
    height: float
    parts: Sequence[str]
    told: str

    def _repr_svg_(self) -> str:
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width:.0f}" height="{self.height:.0f}" '
            f'font-family="sans-serif" font-size="13" fill="{GREY}" role="img"><title>{escape(self.told)}</title>'
        )
        return "\n".join([head, *self.parts, "</svg>"])


def draw_lora(inputs: int = 192, outputs: int = 192, rank: int = 8, size: float = 150) -> Drawing:
    """The frozen matrix W beside the trained B and A, to scale.

    Args:
        inputs: Width of what the layer reads.
        outputs: Width of what it gives.
        rank: Width of the bottleneck between A and B.
        size: Pixels of the longer side of W.

    Returns:
        A drawing: W, plus, B times A.
    """
    scale = size / max(inputs, outputs)
    w, h, r = inputs * scale, outputs * scale, max(rank * scale, 2)
    b_at, top = w + 120, 34
    a_at = b_at + max(r, 80) + 40
    parts = [
        _box(40, top, w, h, FROZEN, f"W, frozen: {outputs} x {inputs} = {outputs * inputs:,}"),
        _text(40 + w + 36, top + h / 2, "+"),
        _box(b_at, top, r, h, TRAINED, f"B: {outputs} x {rank}"),
        _text(b_at + max(r, 80) + 12, top + h / 2, "x"),
        _box(a_at, top, w, r, TRAINED, f"A: {rank} x {inputs}"),
        _text(40, top + h + 44, f"trained: {rank} x ({inputs} + {outputs}) = {rank * (inputs + outputs):,}"),
    ]
    return Drawing(a_at + w + 90, top + h + 60, parts, f"W of {outputs} x {inputs}, and B and A of rank {rank}")


def draw_soft_prompt(tokens: int = 20, shown: int = 6) -> Drawing:
    """Virtual tokens in front of the embeddings of an ordinary prompt.

    Args:
        tokens: Virtual tokens.
        shown: How many of them are drawn.

    Returns:
        A drawing: trained vectors, then frozen ones, all of which go into the frozen encoder.
    """
    words = ["Summarize", "the", "following", "conversation", ".", "..."]
    learned = [f"p{i + 1}" for i in range(min(tokens, shown) - 1)] + ["...", f"p{tokens}"][tokens <= shown :]
    parts, x = [], 20.0
    for label, color in [*((p, TRAINED) for p in learned), *((word, FROZEN) for word in words)]:
        width = 18 + 7.5 * len(label)
        parts += [_box(x, 40, width, 60, color), _text(x + 9, 75, label, "#111111")]
        x += width + 4
    split = max(20 + sum(22 + 7.5 * len(label) for label in learned), 200)
    parts += [
        _text(20, 28, f"{tokens} virtual tokens, trained"),
        _text(split, 28, "embeddings of the prompt, frozen"),
        f'<path d="M20 112H{x - 4:.0f}M{x / 2:.0f} 112v22" stroke="{GREY}" fill="none"/>',
        _box(20, 136, x - 24, 34, FROZEN),
        _text(x / 2 - 80, 158, "encoder and decoder, frozen", "#111111"),
    ]
    return Drawing(x + 20, 184, parts, f"{tokens} trained vectors in front of a frozen prompt and model")


def draw_bottleneck(width: int = 1024, inner: int = 24, size: float = 150) -> Drawing:
    """A bottleneck adapter: down, bend, up, and around it the way that changes nothing.

    Args:
        width: Width of the hidden states.
        inner: Width of the bottleneck.
        size: Pixels that stand for the width.

    Returns:
        A drawing, widths to scale.
    """
    small, x = max(inner * size / width, 4), 150.0
    steps = [
        ("h", size, FROZEN),
        (f"down {width:,} to {inner}", small, TRAINED),
        (f"up {inner} to {width:,}", size, TRAINED),
    ]
    parts = []
    for index, (label, wide, color) in enumerate(steps):
        y = 20 + 56 * index
        parts += [_box(x - wide / 2, y, wide, 26, color), _text(x + size / 2 + 16, y + 18, label)]
    parts += [
        f'<path d="M{x} 46v30M{x} 102v30M{x} 158v30" stroke="{GREY}" fill="none"/>',
        f'<path d="M{x - size / 2 - 8} 33h-30v162h{size / 2 + 26}" stroke="{GREY}" fill="none"/>',
        f'<circle cx="{x}" cy="196" r="9" fill="none" stroke="{GREY}"/>',
        _text(x - 4, 201, "+"),
        _text(x + size / 2 + 16, 201, "h + change"),
    ]
    return Drawing(
        x + size / 2 + 190, 216, parts, f"a bottleneck of {width} to {inner} to {width} beside a skip connection"
    )


def _box(x: float, y: float, width: float, height: float, color: str, label: str = "") -> str:
    named = _text(x, y - 8, label) if label else ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2" fill="{color}"/>{named}'


def _text(x: float, y: float, text: str, color: str = GREY) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}">{escape(text)}</text>'
