"""Put the recorded figures into the README: its picture, docs/compare.svg, and its two tables.

python data/show_recorded.py
"""

import json
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RECORDED = ROOT / "data" / "recorded"
START, END = "<!-- {}: start -->", "<!-- {}: end -->"
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


def family(recorded: dict[str, Any]) -> str:
    """Every method, as it comes and with some dials turned, as a Markdown table."""
    heads = ("", "trained", "", "ROUGE-1", "ROUGE-2", "ROUGE-L", "earlier tasks", "training", "memory", "on disk")
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for row in recorded["rows"]:
        columns = [f"`{row['label']}`"]
        own = row["trainable"] > 0
        columns += [f"{row['trainable']:,}", f"{row['percent']:.3g} %"] if own else ["", ""]
        columns += [with_half(row, measure) for measure in ("rouge1", "rouge2", "rougeL")]
        columns += (
            [
                with_half(row, "forgetting", "+"),
                f"{recorded['steps'] * row['step_seconds']:.0f} s",
                f"{row['peak_memory_mib']:,.0f} MiB",
                f"{row['adapter_bytes'] / 1000:,.0f} kB",
            ]
            if own
            else [""] * 4
        )
        lines.append(f"| {' | '.join(columns)} |")
    seeds, steps = max(row["seeds"] for row in recorded["rows"]), recorded["steps"]
    lines += [
        "",
        f"{steps} steps of 16 dialogues, mean over {seeds} seeds, {recorded['dialogues']} test dialogues; ± is half of "
        "the 95 % interval over dialogues or tasks. *Earlier tasks*: change of the share of the pre-training's tasks "
        "that are answered right to the letter while the method is on; before, it was "
        f"{recorded['tasks_right']:.3f}. *Training*: the median step, the methods taking turns on 2 cores, times the "
        "steps. *Memory*: the peak of a process of its own, libraries included. From `data/recorded/family.json`, "
        "written by `data/record_family.py`.",
    ]
    return "\n".join(lines)


def with_half(row: dict[str, Any], name: str, sign: str = "") -> str:
    """A figure with half of the width of its interval."""
    low, high = row[f"{name}_interval"]
    return f"{row[name]:{sign}.3f} ±{(high - low) / 2:.3f}".replace("0.", ".")


def score(row: dict[str, Any], name: str, sign: str = "") -> str:
    """A figure with its interval in square brackets."""
    low, high = row[f"{name}_interval"]
    return f"{row[name]:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def between(text: str, name: str, table: str) -> str:
    """The README with a table between the two marks of its name."""
    start, end = START.format(name), END.format(name)
    before, rest = text.split(start)
    return f"{before}{start}\n{table}\n{end}{rest.split(end)[1]}"


def readme(text: str, recorded: dict[str, Any], prompts: dict[str, Any], methods: dict[str, Any]) -> str:
    """The README with both tables."""
    return between(between(text, "recorded figures", table(recorded, prompts)), "recorded family", family(methods))


def main() -> None:
    """Write both."""
    names = ("compare_nano", "lab_1", "family")
    told = [json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8")) for name in names]
    (ROOT / "docs").mkdir(exist_ok=True)
    (ROOT / "docs" / "compare.svg").write_text(picture(told[0]), encoding="utf-8")
    page = ROOT / "README.md"
    page.write_text(readme(page.read_text(encoding="utf-8"), *told), encoding="utf-8")


if __name__ == "__main__":
    main()
