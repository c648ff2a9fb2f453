"""What the README shows is what was recorded."""

import json
from typing import Any

from safetensors.torch import load_file
from show_recorded import PROMPTS, RECORDED, ROOT, picture, readme

from labkit.parameters import shape_of

PAGE = ROOT / "README.md"


def prose(lab: str) -> str:
    """The text of a lab in one line."""
    cells = json.loads((ROOT / "labs" / f"{lab}.ipynb").read_text(encoding="utf-8"))["cells"]
    return " ".join(" ".join("".join(cell["source"]) for cell in cells).split())


def test_the_readme_shows_the_recorded_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    recorded, prompts = (json.loads(file.read_text(encoding="utf-8")) for file in (RECORDED, PROMPTS))
    assert readme(page, recorded, prompts) == page


def test_the_picture_shows_the_recorded_figures() -> None:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    assert (ROOT / "docs" / "compare.svg").read_text(encoding="utf-8") == picture(recorded)


def test_every_method_is_worth_what_it_costs() -> None:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    rows = {row["label"]: row for row in recorded["rows"]}
    base, full, prompt = rows["base"], rows["full"], rows["prompt-tuning"]
    lora, widest = rows["lora"], rows["lora rank=4 targets=all"]
    assert {row["seeds"] for row in (full, lora, widest, prompt)} == {3}
    assert 0.15 <= base["rouge1"] <= 0.35
    assert full["rouge1"] >= base["rouge1"] + 0.19
    assert max(lora["percent"], widest["percent"]) <= 3
    assert min(lora["rouge1"], widest["rouge1"]) >= base["rouge1"] + 0.17
    assert widest["rouge1"] >= full["rouge1"] - 0.03
    assert 20 <= prompt["trainable"] / shape_of("nano").d_model <= 100
    assert base["rouge1"] + 0.05 <= prompt["rouge1"] < lora["rouge1"]
    assert full["rouge1_interval"][0] > recorded["template_guesser"]["rouge1_interval"][1]
    assert full["rouge1_interval"][0] > rows["lead-2"]["rouge1_interval"][1]


def test_lab_0_tells_the_recorded_gains() -> None:
    lab = prose("00_start_here")
    rows = json.loads((RECORDED.parent / "lab_0.json").read_text(encoding="utf-8"))["rows"]
    gains = [f"{row['rouge1_gain']:+.3f}".replace("0.", ".") for row in rows if row["method"] == "lora"]
    assert "gained {} with rank 8, {} with rank 2 and {} with rank 1".format(*gains) in lab


def test_lab_5_tells_the_recorded_figures() -> None:
    lab = prose("05_the_peft_family")
    told = json.loads((RECORDED.parent / "lab_5.json").read_text(encoding="utf-8"))
    means = {row["label"]: f"{row['rouge1']:.3f}".lstrip("0") for row in told["rows"]}
    assert f"LoRA {means['lora']}, DoRA {means['lora dora=True']}, rsLoRA {means['lora rslora=True']}." in lab
    changes = {row["label"]: row for row in told["differences"] if row["against"] == "lora"}
    for label in ("lora rslora=True", "lora dora=True"):
        mean, low, high = (
            f"{each:+.3f}".replace("0.", ".", 1) for each in (changes[label]["rouge1"], *changes[label]["interval"])
        )
        assert f"{mean} [{low}, {high}]" in lab
        assert not changes[label]["real"]


def test_lab_7_tells_the_recorded_figures() -> None:
    lab = prose("07_the_real_thing")
    told = json.loads((RECORDED.parent / "lab_7.json").read_text(encoding="utf-8"))
    mean = {row["label"]: f"{row['rouge1']:.3f}".lstrip("0") for row in told["rows"]}
    assert f"LoRA is ahead of full fine-tuning in ROUGE-1, {mean['lora']} against {mean['full']}" in lab
    assert f"nothing is above lead-2, {mean['lead-2']}." in lab
    assert f"over the base's {mean['base']}" in lab
    behind = {each["label"]: each for each in told["differences"] if each["against"] == "lead-2"}
    assert max(each["rouge1"] for each in behind.values()) < 0
    assert {label for label, each in behind.items() if not each["real"]} == {"lora"}
    full, lora = (next(row for row in told["rows"] if row["label"] == label) for label in ("full", "lora"))
    pairs = [b > a for a in full["rouge1_seeds"] for b in lora["rouge1_seeds"]]
    assert (sum(pairs), len(pairs)) == (8, 9)
    losses = [round(row["validation_loss"], 2) for row in (full, lora)]
    assert f"{losses[0]:.2f} for full" in lab
    assert f"{losses[1]:.2f} for LoRA" in lab
    (ahead,) = (each for each in told["differences"] if (each["label"], each["against"]) == ("lora", "full"))
    low, high = ahead["interval"]
    assert f"{ahead['rouge1']:+.3f} [{low:+.3f}, {high:+.3f}]".replace("0.", ".") in lab
    tokens = told["tokens"]
    assert (
        f"{tokens['mean']:.0f} tokens on average, {tokens['share_95']} or fewer for 95 %, and {tokens['most']}" in lab
    )


def test_lab_7_tells_how_the_causal_model_was_made() -> None:
    logs = [(RECORDED.parent / f"pretrain_{name}.jsonl").read_text(encoding="utf-8") for name in ("nano", "causal")]
    nano, causal = ([json.loads(line) for line in log.splitlines()] for log in logs)
    weights = load_file(ROOT / "data" / "models" / "causal" / "model.safetensors")
    assert round(causal[-1]["cpu_seconds"] / 60) == 7
    assert round(shape_of("nano").total / sum(weight.numel() for weight in weights.values())) == 5
    assert (nano[-1]["examples"] - nano[0]["options"]["drills"]) / causal[-1]["examples"] == 15
    lab = prose("07_the_real_thing")
    assert "pre-trained for seven minutes" in lab
    assert "Nano is five times as large, and was pre-trained on fifteen times as many texts." in lab


def test_the_same_settings_have_the_same_figures_wherever_they_are_recorded() -> None:
    def rows(name: str) -> dict[object, dict[str, Any]]:
        told = json.loads((RECORDED.parent / f"{name}.json").read_text(encoding="utf-8"))["rows"]
        return {row.get("value", row["label"]): row for row in told}

    assert rows("sweep_rank")[8]["rouge1_seeds"][0] == rows("lab_0")["lora"]["rouge1_seeds"][0]
    assert rows("sweep_tokens")[20]["rouge1_seeds"] == rows("lab_4")["20 tokens, vocabulary"]["rouge1_seeds"]
