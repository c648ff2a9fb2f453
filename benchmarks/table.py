"""Put what `report.py` measured into the README, from benchmarks/report.json and nothing else.

python benchmarks/table.py
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
README, REPORT = HERE.parent / "README.md", HERE / "report.json"
START, END = "<!-- benchmark: start -->", "<!-- benchmark: end -->"


class Row(NamedTuple):
    """A line of the table: what it is, where it is in the report, and what is wanted of it, if anything."""

    title: str
    path: tuple[str, ...]
    wanted: float | None = None


def case(title: str, name: str, ratio: str, wanted: float | None = None) -> Row:
    """A row about a case of training."""
    return Row(title, ("training", "cases", name, ratio), wanted)


SMALL, BASE = "flan-t5-small", "flan-t5-base"
ROWS = (
    case("LoRA, FLAN-T5-small's shape: over the course lab", f"{SMALL} lora", "over_lab_2", 20),
    case("... over a tuned Seq2SeqTrainer in float32", f"{SMALL} lora", "over_trainer_fp32", 3),
    case("... over the same in bfloat16", f"{SMALL} lora", "over_trainer_bf16", 1.3),
    case("... over a plain loop in bfloat16", f"{SMALL} lora", "over_loop"),
    case(
        "full fine-tuning, the same shape: over Seq2SeqTrainer in bfloat16", f"{SMALL} full", "over_trainer_bf16", 1.3
    ),
    case("prompt tuning, the same shape: likewise", f"{SMALL} prompt-tuning", "over_trainer_bf16", 1.3),
    case("LoRA, FLAN-T5-base's shape: likewise", f"{BASE} lora", "over_trainer_bf16"),
    case("LoRA, nano: over Seq2SeqTrainer in float32", "nano lora", "over_trainer_fp32"),
    case("... in bfloat16", "nano lora", "over_trainer_bf16"),
    case("... the same, 1,500 steps, compiled", "nano lora, 1500 steps, compiled", "over_trainer_bf16", 1.5),
    case("... the same with the time of compiling", "nano lora, 1500 steps, compiled", "over_trainer_bf16_in_all"),
    case("full fine-tuning, nano: over Seq2SeqTrainer in float32", "nano full", "over_trainer_fp32"),
    case("... in bfloat16", "nano full", "over_trainer_bf16"),
    case("prompt tuning, nano: over Seq2SeqTrainer in float32", "nano prompt-tuning", "over_trainer_fp32"),
    case("... in bfloat16", "nano prompt-tuning", "over_trainer_bf16"),
    Row("scoring 500 dialogues, nano: over Seq2SeqTrainer.evaluate", ("evaluation", "over_trainer"), 2),
    case("LoRA, FLAN-T5-small's shape: useful FLOP/s over large products", f"{SMALL} lora", "utilisation", 0.35),
    Row("ROUGE: over rouge_score", ("rouge", "over_rouge_score"), 5),
    Row("`labkit compare` from nothing: over an earlier labkit", ("compare", "over_other"), 2),
)


def table(report: dict[str, Any]) -> str:
    """The rows that were measured, as a Markdown table, and on what.

    Args:
        report: What report.json holds.
    """
    lines, machines = list[str](), list[str]()
    for row in ROWS:
        value = found(report, row.path)
        if value is None:
            continue
        wanted = "" if row.wanted is None else f"{row.wanted:g}"
        lines.append(f"| {row.title} | {value:.3g} | {wanted} |")
        machines.append(machine(report[row.path[0]]["environment"]))
    if not lines:
        return "Nothing was measured yet."
    notes = [f"Measured on {' and '.join(dict.fromkeys(machines))}.", *training_note(report)]
    return "\n".join(["| times as fast | measured | target |", "|---|---|---|", *lines, "", *notes])


def found(report: dict[str, Any], path: tuple[str, ...]) -> float | None:
    """The figure at a path, or None if it was not measured."""
    value: Any = report
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def machine(environment: dict[str, Any]) -> str:
    """Processor and versions, in a few words."""
    hardware, versions = environment["hardware"], environment["versions"]
    libraries = ", ".join(f"{name} {versions[name]}" for name in ("torch", "transformers", "peft"))
    return f"{hardware['processor']}, {hardware['threads']} threads ({libraries})"


def training_note(report: dict[str, Any]) -> list[str]:
    """What the training figures are worth: how often, against which ceiling, and how far the losses are apart."""
    told = report.get("training", {})
    if "cases" not in told:
        return []
    apart = [each["agreement"] for each in told["cases"].values() if each["agreement"] is not None]
    ceiling = " and ".join(f"{told['ceiling_gflops'][name]:,.0f} in {name}" for name in ("fp32", "bf16"))
    rounds = max(each["rounds"] for each in told["cases"].values())
    medians = "One round." if rounds == 1 else f"Medians of {rounds} rounds; one round of 1,500 steps."
    return [
        f"{medians} Products of 1024 x 1024 run at {ceiling} (GFLOP/s). "
        "The losses of labkit and of Seq2SeqTrainer in the same precision differ by "
        f"{100 * max(apart):.2g} % at most, on the average over the steps."
    ]


def readme(text: str, report: dict[str, Any]) -> str:
    """The README with the table between its marks."""
    before, rest = text.split(START)
    return f"{before}{START}\n{table(report)}\n{END}{rest.split(END)[1]}"


def main() -> None:
    """Write it."""
    report = json.loads(REPORT.read_text(encoding="utf-8"))
    README.write_text(readme(README.read_text(encoding="utf-8"), report), encoding="utf-8")


if __name__ == "__main__":
    main()
