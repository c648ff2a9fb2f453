"""Draw what growth.py measured: a panel for time and one for memory of each thing that grows, points and fitted law."""

from html import escape
from typing import Any

WIDTH, HEIGHT = 240, 176  # of a panel
LEFT, TOP, ACROSS, UP = 66, 34, 150, 90  # where a panel's axes are, and how long
MEASURES = {"seconds": "time", "mib": "memory"}


def picture(found: dict[str, Any]) -> str:
    """All panels, those of time above those of memory, as SVG."""
    width, height = WIDTH * len(found) + 40, HEIGHT * len(MEASURES) + 50
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="12" fill="#222">',
        f'<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>',
        '<text x="20" y="28" font-size="17">What grows with what: measured points, the law that is expected, and how '
        "far the worst point is from it</text>",
    ]
    for column, (what, told) in enumerate(found.items()):
        for row, name in enumerate(MEASURES):
            parts += [f'<g transform="translate({10 + WIDTH * column} {40 + HEIGHT * row})">']
            parts += [*_panel(what, name, told["points"], told[name]), "</g>"]
    return "\n".join([*parts, "</svg>\n"])


def _panel(what: str, name: str, points: list[dict[str, float]], law: dict[str, Any]) -> list[str]:
    most, highest = max(each["x"] for each in points), 1.15 * max(each[name] for each in points)

    def at(x: float, y: float) -> str:
        return f"{LEFT + ACROSS * x / most:.1f} {TOP + UP * (1 - y / highest):.1f}"

    steps = (most * number / 40 for number in range(41))
    curve = "L".join(at(x, sum(c * x**power for power, c in enumerate(law["coefficients"]))) for x in steps)
    dots = (at(each["x"], each[name]).split() for each in points)
    top = points[-1][name]
    at_top = float(at(most, top).split()[1]) + 4
    return [
        f'<text x="{LEFT}" y="22" font-size="13">{MEASURES[name]} against {escape(what)}</text>',
        f'<path d="M{LEFT} {TOP}V{TOP + UP}H{LEFT + ACROSS}" stroke="#a9b4c2" fill="none"/>',
        f'<path d="M{curve}" stroke="#e69f00" stroke-width="2" fill="none"/>',
        *(f'<circle cx="{x}" cy="{y}" r="4" fill="#4c78a8"/>' for x, y in dots),
        f'<text x="{LEFT - 6}" y="{at_top:.1f}" text-anchor="end">{_told(name, top)}</text>',
        f'<text x="{LEFT - 6}" y="{TOP + UP + 4}" text-anchor="end">0</text>',
        f'<text x="{LEFT + ACROSS}" y="{TOP + UP + 16}" text-anchor="end">{most:,}</text>',
        f'<text x="{LEFT}" y="{TOP + UP + 32}" fill="#797979">{law["law"]}, {100 * law["departure"]:.1f} % off</text>',
    ]


def _told(name: str, value: float) -> str:
    if name == "mib":
        return f"{value:,.0f} MiB"
    return f"{value:.0f} s" if value >= 1 else f"{1000 * value:.0f} ms"
