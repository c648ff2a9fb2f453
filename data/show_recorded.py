"""Put the recorded figures into the README: its picture, docs/compare.svg, and its table.

python data/show_recorded.py
"""

import json
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RECORDED = ROOT / "data" / "recorded" / "compare_nano.json"
PROMPTS = RECORDED.parent / "lab_1.json"
START, END = "<!-- recorded figures: start -->", "<!-- recorded figures: end -->"
NAMES = {
    "lead-2": "first two turns (lead-2)",
    "base": "untouched model (base)",
    "full": "full fine-tuning",
    "lora": "LoRA on q and v",
    "lora rank=4 targets=all": "LoRA on all layers",
    "prompt-tuning": "prompt tuning",
}


def picture(recorded: dict[str, Any]) -> str:
    """Bars of ROUGE-1 with their intervals, and the share of the weights that was trained, as SVG."""
    rows, scale, left, height = recorded["rows"], 1100, 220, 44
    full_height = height * len(rows) + 70
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 {full_height}" '
        'font-family="sans-serif" font-size="15">',
        f'<rect width="900" height="{full_height}" rx="8" fill="#ffffff"/>',
        '<text x="20" y="30" font-size="17" fill="#222">Summaries of unseen dialogues: overlap with three references '
        "(ROUGE-1, 95 % interval)</text>",
    ]
    for index, row in enumerate(rows):
        y = 52 + height * index
        low, high = (left + scale * value for value in row["rouge1_interval"])
        color = "#4c78a8" if row["trainable"] else "#a9b4c2"
        share = f", {row['percent']:.3g} % trained" if row["trainable"] else ""
        parts += [
            f'<text x="{left - 12}" y="{y + 19}" text-anchor="end" fill="#222">{escape(NAMES[row["label"]])}</text>',
            f'<rect x="{left}" y="{y}" width="{scale * row["rouge1"]:.1f}" height="28" rx="3" fill="{color}"/>',
            f'<path d="M{low:.1f} {y + 14}H{high:.1f}M{low:.1f} {y + 8}v12M{high:.1f} {y + 8}v12" stroke="#222"/>',
            f'<text x="{high + 10:.1f}" y="{y + 19}" fill="#222">{row["rouge1"]:.3f}{share}</text>',
        ]
    return "\n".join([*parts, "</svg>\n"])


def table(recorded: dict[str, Any], prompts: dict[str, Any]) -> str:
    """The recorded rows, and the base with its best recorded prompt, as a Markdown table."""
    best = max(prompts["rows"], key=lambda row: float(row["rouge1"]))
    carried = {row["label"]: row for row in recorded["handwritten"]}
    lines = ["| | trained | ROUGE-1 | over the base | hand-written | training | on disk |", f"|{'---|' * 7}"]
    for row in recorded["rows"]:
        own, elsewhere = row["trainable"] > 0, carried[row["label"]]
        columns = [
            NAMES[row["label"]],
            f"{row['percent']:.3g} %" if own else "",
            score(row, "rouge1"),
            score(row, "rouge1_gain", "+") if "rouge1_gain" in row else "",
            score(elsewhere, "rouge1"),
            f"{row['train_seconds']:.0f} s" if own else "",
            f"{row['adapter_bytes'] / 1000:,.0f} kB" if own else "",
        ]
        lines.append(f"| {' | '.join(columns)} |")
        if row["label"] == "base":
            lines.append(
                f"| the same, asked in other words | | {score(best, 'rouge1')} "
                f"| {score(best, 'rouge1_gain', '+')} | | | |"
            )
    seeds = max(row["seeds"] for row in recorded["rows"])
    over = f"{seeds} {'seed' if seeds == 1 else 'seeds'}, greedy, all {recorded['dialogues']} test dialogues"
    guess = recorded["template_guesser"]
    lines += [
        f"| guesser | | {score(guess, 'rouge1')} | | | | |",
        "",
        f"Mean over three references and {over}, 95 % intervals over the dialogues; *hand-written*: ROUGE-1 on "
        f"{recorded['handwritten'][0]['dialogues']} freely composed dialogues; *guesser*: is told situation and "
        "outcome, and gives the summary of another such dialogue. "
        "All figures, ROUGE-2 and ROUGE-L too, are in `data/recorded/compare_nano.json`, those of other words in "
        "`lab_1.json`, written by `data/record.py` and `data/record_labs.py`.",
    ]
    return "\n".join(lines)


def score(row: dict[str, Any], name: str, sign: str = "") -> str:
    """A figure with its interval in square brackets."""
    low, high = row[f"{name}_interval"]
    return f"{row[name]:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def readme(text: str, recorded: dict[str, Any], prompts: dict[str, Any]) -> str:
    """The README with the table between its two marks."""
    before, rest = text.split(START)
    return f"{before}{START}\n{table(recorded, prompts)}\n{END}{rest.split(END)[1]}"


def main() -> None:
    """Write both."""
    recorded, prompts = (json.loads(file.read_text(encoding="utf-8")) for file in (RECORDED, PROMPTS))
    (ROOT / "docs").mkdir(exist_ok=True)
    (ROOT / "docs" / "compare.svg").write_text(picture(recorded), encoding="utf-8")
    page = ROOT / "README.md"
    page.write_text(readme(page.read_text(encoding="utf-8"), recorded, prompts), encoding="utf-8")


if __name__ == "__main__":
    main()
