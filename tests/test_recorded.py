"""What the README shows is what was recorded."""

import json
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file
from show_recorded import ROOT, picture, readme

from labkit.costs.budget import Step, base_bytes, predict_memory
from labkit.methods import FullFineTuning, LoRA, PromptTuning
from labkit.parameters import shape_of
from labkit.recordings import FOLDER, read

PAGE = ROOT / "README.md"


def prose(lab: str) -> str:
    """The text of a lab in one line."""
    cells = json.loads((ROOT / "labs" / f"{lab}.ipynb").read_text(encoding="utf-8"))["cells"]
    return " ".join(" ".join("".join(cell["source"]) for cell in cells).split())


def test_the_readme_shows_the_recorded_tables() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert readme(page, read("compare_nano"), read("lab_1"), read("family")) == page


def test_the_readme_tells_what_lora_brings() -> None:
    rouge = {row["label"]: row["rouge1"] for row in read("compare_nano")["rows"]}
    few, all_layers = (
        (rouge[label] - rouge["base"]) / (rouge["full"] - rouge["base"])
        for label in ("lora", "lora rank=4 targets=all")
    )
    said = f"LoRA brings {few:.0%} (on q and v) or {all_layers:.0%} (on all layers)".replace("%", " %")
    assert said in " ".join(PAGE.read_text(encoding="utf-8").split())


def test_the_picture_shows_the_recorded_figures() -> None:
    recorded = read("compare_nano")
    assert (ROOT / "docs" / "compare.svg").read_text(encoding="utf-8") == picture(recorded)


def test_every_method_is_worth_what_it_costs() -> None:
    recorded = read("compare_nano")
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
    rows = read("lab_0")["rows"]
    gains = [f"{row['rouge1_gain']:+.3f}".replace("0.", ".") for row in rows if row["method"] == "lora"]
    assert "gained {} with rank 8, {} with rank 2 and {} with rank 1".format(*gains) in lab


def test_lab_4_tells_what_the_size_of_the_model_changes() -> None:
    lab, rows = prose("04_soft_prompts"), {(row["model"], row["label"]): row for row in read("sizes")["rows"]}
    models = ("nano-0.45m", "nano-1.6m", "nano")

    def each(label: str, name: str, sign: int = 1) -> list[str]:
        return [f"{sign * rows[model, label][name]:.3f}".removeprefix("0") for model in models]

    full, prompt = each("full", "rouge1"), each("prompt-tuning", "rouge1")
    assert f"full fine-tuning comes to {full[0]}, {full[1]} and {full[2]}," in lab
    assert f"prompt tuning to {prompt[0]}, {prompt[1]} and {prompt[2]}." in lab
    said = {"prompt-tuning": "behind grows from", "prefix-tuning": "prefix tuning from", "lora": "and with LoRA from"}
    for label, begins in said.items():
        assert "{} {} over {} to {}".format(begins, *each(label, "rouge1_to_full", -1)) in lab
        # grows: the intervals of the smallest and the largest leave a space between them
        assert rows["nano", label]["rouge1_to_full_interval"][1] < rows[models[0], label]["rouge1_to_full_interval"][0]
    logs = {model: (FOLDER / f"pretrain_{model}.jsonl").read_text(encoding="utf-8") for model in models}
    right = {model: json.loads(log.splitlines()[-1])["accuracy"]["question"] for model, log in logs.items()}
    few, more, most = (f"{100 * right[model]:.0f}" for model in models)
    assert f"right in {few} of 100 answers to questions about a dialogue, the next one in {more}, nano in {most}" in lab
    guesser = read("compare_nano")["template_guesser"]["rouge1"]
    assert f"has {guesser:.3f} (the *guesser*".replace("0.", ".") in lab
    family = {row["label"]: row["rouge1"] for row in read("family")["rows"]}
    assert all(row["rouge1"] == family[label] for (model, label), row in rows.items() if model == "nano")


def test_lab_5_tells_the_recorded_figures() -> None:
    lab = prose("05_the_peft_family")
    told = read("lab_5")
    means = {row["label"]: f"{row['rouge1']:.3f}".lstrip("0") for row in told["rows"]}
    assert f"LoRA {means['lora']}, DoRA {means['lora dora=True']}, rsLoRA {means['lora rslora=True']}." in lab
    changes = {row["label"]: row for row in told["differences"] if row["against"] == "lora"}
    for label in ("lora rslora=True", "lora dora=True"):
        mean, low, high = (
            f"{each:+.3f}".replace("0.", ".", 1) for each in (changes[label]["rouge1"], *changes[label]["interval"])
        )
        assert f"{mean} [{low}, {high}]" in lab
        assert not changes[label]["real"]


def test_lab_5_tells_what_was_recorded_of_the_family() -> None:
    lab, rows = prose("05_the_peft_family"), {row["label"]: row for row in read("family")["rows"]}

    def shown(label: str, measure: str, sign: str = "") -> str:
        return f"{rows[label][measure]:{sign}.3f}".replace("0.", ".", 1)

    def beside(label: str, other: str) -> str:
        row = rows[label]
        told = (row[f"rouge1_to_{other}"], *row[f"rouge1_to_{other}_interval"])
        return "{} [{}, {}]".format(*(f"{each:+.3f}".replace("0.", ".", 1) for each in told))

    assert max(rows, key=lambda label: rows[label]["rouge1"]) == "full"
    assert f"full fine-tuning, {shown('full', 'rouge1')}. The last layer of the decoder alone" in lab
    assert f"alone, {shown('selective', 'rouge1')}, cannot be told from it: the difference is" in lab
    assert beside("selective", "full") in lab
    low, high = rows["selective"]["rouge1_to_full_interval"]
    assert low < 0 < high
    assert f"LoRA on all layers ({shown('lora rank=4 targets=all', 'rouge1')}) and the cross-attention" in lab
    for label in ("lora rslora=True", "lora dora=True", "lora init=pissa", "lora bits=8", "adalora", "bottleneck"):
        low, high = rows[label]["rouge1_to_lora_interval"]
        assert low < 0 < high
    assert f"a little above it: {beside('bottleneck place=parallel', 'lora')}" in lab
    order = sorted((label for label in rows if rows[label]["trainable"]), key=lambda label: rows[label]["rouge1"])
    assert set(order[:4]) == {"p-tuning", "prompt-tuning", "multitask-prompt-tuning", "llama-adapter"}
    assert f"3,264 of layer norms bring {shown('layer-norm', 'rouge1')}, 3,840 of a prompt" in lab
    assert (rows["layer-norm"]["trainable"], rows["prompt-tuning"]["trainable"]) == (3264, 3840)
    lost = sorted(
        (label for label in rows if "forgetting" in rows[label]), key=lambda label: -rows[label]["forgetting"]
    )
    assert lost[:3] == ["layer-norm", "adalora", "ia3"]
    least = [shown(label, "forgetting") for label in lost[:3]]
    assert "layer norms ({}), AdaLoRA ({}) and IA3 ({})".format(*least) in lab
    assert rows["full"]["step_seconds"] > 2 * rows["selective"]["step_seconds"]
    steps = read("family")["steps"]
    lora, dora = (f"{steps * rows[label]['step_seconds']:.0f} s" for label in ("lora", "lora dora=True"))
    assert f"({steps} steps take {lora} with LoRA and {dora} with DoRA on a quiet machine)" in lab
    ranks = [pair for run in rows["adalora"]["ranks"] for pair in run.items()]
    kept = [
        f"{np.mean([rank for name, rank in ranks if part in f' {name} ']):.1f}"
        for part in (" v ", " q ", " decoder ", " encoder ")
    ]
    assert "v kept {} and q {}, the decoder {} and the encoder {}".format(*kept) in lab


def test_lab_5_tells_how_far_the_family_moves_h() -> None:
    lab, rows = prose("05_the_peft_family"), {row["label"]: row for row in read("family")["rows"] if "hidden" in row}
    ends = {
        where: {label: row["hidden"][where][-1]["change"] for label, row in rows.items()}
        for where in ("dialogues", "tasks")
    }
    for label in ("selective", "llama-adapter"):
        assert max(layer["change"] for layer in rows[label]["hidden"]["tasks"][:-2]) == 0
    assert np.median(list(ends["dialogues"].values())) == pytest.approx(0.93, abs=0.01)
    there, here = (f"{ends[where]['prompt-tuning']:.2f}".lstrip("0") for where in ("tasks", "dialogues"))
    assert f"prompt tuning: {there} there, {here} here" in lab
    kept = sorted(rows, key=lambda label: -rows[label]["forgetting"])[:3]
    assert kept == ["layer-norm", "adalora", "ia3"]
    told = [f"{ends['tasks'][label]:.2f}".lstrip("0") for label in (*kept, "selective")]
    assert "by {}, {} and {}. But so does the last layer of the decoder, by {}, and".format(*told) in lab
    assert all(ends["dialogues"][label] - ends["tasks"][label] > 0.08 for label in (*kept, "selective"))
    assert rows["selective"]["forgetting"] < -0.9 * read("family")["tasks_right"] + 0.01


def test_lab_5_tells_how_long_a_summary_takes() -> None:
    lab, told = prose("05_the_peft_family"), read("family")
    wait = {row["label"]: f"{1000 * row['latency']:.0f}" for row in told["rows"] if row["latency"]}
    labels = ("base", "lora", "lora rank=4 targets=all", "lora dora=True", "lora bits=8", "prompt-tuning")
    said = "takes {} ms with the base, {} with LoRA, {} on all layers, {} with DoRA, {} over 8 bits, and {} with prompt"
    assert said.format(*(wait[label] for label in labels)) in lab
    assert f"by merging ({1000 * told['latency_merged']:.0f})" in lab


def test_lab_5_tells_what_8_bits_save_and_cost() -> None:
    lab, told = prose("05_the_peft_family"), read("quantized")
    means = [f"{row['rouge1']:.3f}".lstrip("0") for row in told["rows"][2:]]
    (gap,) = (each for each in told["differences"] if (each["label"], each["against"]) == ("lora bits=8", "lora"))
    ends = [f"{each:+.3f}".replace("0.", ".", 1) for each in (gap["rouge1"], *gap["interval"])]
    assert not gap["real"]
    assert "LoRA has {} and over 8 bits {}; the difference, {} [{}, {}], holds zero".format(*means, *ends) in lab
    full, few = (f"{each['peak_mib']:,}" for each in told["random_weights_memory_only"]["shapes"][2:])
    assert f"takes {full} MiB in its process while LoRA is trained, and {few} over 8 bits" in lab
    logits = [each["logits"] for each in told["merging"]]
    again, before = (
        max(each[f"{way} from what was trained"] for each in logits) for way in ("rounded twice", "merged")
    )
    said = "8 bits again, the logits of our three runs were off by up to {:.3f} of the largest; merged into the base"
    assert said.format(again).replace("0.", ".") in lab
    moved = min(each["learned"] for each in logits)
    said = f"by up to {before:.3f}. That is little next to the {moved:.2f} or more by which the training"
    assert said.replace("0.", ".") in lab


def test_the_recorded_weights_in_8_bits_take_what_was_predicted() -> None:
    told = read("quantized")
    base = {bits: sum(base_bytes(shape_of("nano"), LoRA(bits=bits)).values()) for bits in (None, 8)}
    assert told["weight_bytes"] == {"fp32": base[None], "bf16": base[None] // 2, "8 bits": base[8]}
    for each in told["random_weights_memory_only"]["shapes"]:
        assert each["weight_bytes"] == predict_memory(each["shape"], LoRA(bits=each["bits"])).weights


def test_8_bits_save_in_a_process_what_they_save_of_the_weights() -> None:
    shapes = read("quantized")["random_weights_memory_only"]["shapes"]
    for full, few in zip(shapes[::2], shapes[1::2], strict=True):
        assert (full["bits"], few["bits"], full["shape"]) == (None, 8, few["shape"])
        saved = (full["weight_bytes"] - few["weight_bytes"]) / 2**20
        assert full["before_mib"] - few["before_mib"] == pytest.approx(saved, rel=0.1)
        assert full["peak_mib"] - few["peak_mib"] == pytest.approx(saved, rel=0.1)


def test_lab_6_tells_what_a_method_stores_a_task() -> None:
    lab = prose("06_compare")
    assert "With a hundred, the selective methods take most" in lab
    assert "PiSSA is stored as a LoRA of twice the rank" in lab
    assert "P-tuning's network and prefix tuning's are left out" in lab
    stored = {row["label"]: row["adapter_bytes"] for row in read("family")["rows"] if row["adapter_bytes"]}
    largest = sorted(stored, key=stored.__getitem__, reverse=True)[:3]
    assert [label.split()[0] for label in largest] == ["full", "selective", "selective"]
    assert stored["lora init=pissa"] == pytest.approx(2 * stored["lora"], rel=0.03)  # each file has a header
    assert stored["prefix-tuning mlp=64"] == stored["prefix-tuning"]
    assert stored["p-tuning"] == stored["prompt-tuning"]


def test_lab_6_tells_what_little_data_change() -> None:
    lab, told = prose("06_compare"), read("little_data")
    rows, close = ({(row["label"], row["dialogues"]): row for row in told[name]} for name in ("rows", "closely"))
    assert len(rows) == 12 * 5
    assert {len(row["rouge1_seeds"]) for row in told["rows"] + told["closely"]} == {3}
    assert max(row["rouge1_to_full"] for row in rows.values()) == 0

    def gap(row: dict[str, Any]) -> str:
        ends = (row["rouge1_to_full"], *row["rouge1_to_full_interval"])
        return "{} [{}, {}]".format(*(f"{each:+.3f}".replace("0.", ".", 1) for each in ends))

    def rouge(row: dict[str, Any]) -> str:
        return f"{row['rouge1']:.3f}".removeprefix("0")

    assert f"LoRA is at {gap(rows['lora', 16])} there and at {gap(rows['lora', 2400])} with 2,400." in lab
    held = {label for label, size in rows if size == 16 and rows[label, 16]["rouge1_to_full_interval"][1] > 0}
    assert held == {"lora", "adalora", "prefix-tuning"}
    assert all(rows[label, 2400]["rouge1_to_full_interval"][1] < 0 for label in held)
    assert {step for size in (16, 64) for step in rows["full", size]["lowest_at"]} == {10}
    assert set(close["full", 16]["lowest_at"]) == {6, 8}
    assert f"has {rouge(close['full', 16])} with 16 dialogues, where it had {rouge(rows['full', 16])}, and" in lab
    assert f"and LoRA is at {gap(close['lora', 16])}. With 64 it is at {gap(close['lora', 64])}." in lab
    other = next(row for row in read("lab_2")["rows"] if row["label"] == "64, early stopping")
    assert f"(lab 2's 64 gave full fine-tuning {rouge(other)})" in lab


def test_lab_6_tells_whose_validation_loss_is_lower_with_little_data() -> None:
    lab, told = prose("06_compare"), read("little_data")
    losses, finer = (
        {(row["label"], row["dialogues"]): row["validation_loss"] for row in told[name]} for name in ("rows", "closely")
    )
    sizes = (16, 64, 1024, 2400)
    below = {size: {label for label, n in losses if losses[label, size] < losses["full", size]} for size in sizes}
    six = {"lora", "adalora", "bottleneck", "prompt-tuning", "p-tuning", "multitask-prompt-tuning"}
    assert "bottleneck adapters, and the three kinds of prompt tuning. Layer norms are with 16 only." in lab
    assert below == {16: six | {"layer-norm"}, 64: six, 1024: set(), 2400: set()}
    assert min(step for row in told["rows"] if row["dialogues"] > 1000 for step in row["steps"]) == told["steps"]
    not_below = [(label, n) for label in six for n in (16, 64) if losses[label, n] >= finer["full", n]]
    assert not_below == [("adalora", 16)]

    def both(pairs: dict[tuple[str, int], float], label: str) -> str:
        return f"{pairs[label, 16]:.2f} and {pairs[label, 64]:.2f}"

    assert (
        f"full fine-tuning ({both(losses, 'full')}) with 16 and with 64 dialogues: LoRA ({both(losses, 'lora')})" in lab
    )
    assert f"full fine-tuning comes to {both(finer, 'full')}." in lab
    assert f"LoRA, measured so too, comes to {both(finer, 'lora')}, below with each seed." in lab
    seeds = {(row["label"], row["dialogues"]): row["validation_loss_seeds"] for row in told["closely"]}
    for size in (16, 64):
        assert all(few < all_ for few, all_ in zip(seeds["lora", size], seeds["full", size], strict=True))


def test_lab_6_tells_who_overfits_and_what_helps() -> None:
    lab, told = prose("06_compare"), read("little_data")
    rows = {(row["label"], row["against"]): row for row in told["overfitting"]}
    low, end = (
        {pair: f"{row[f'validation_loss_{when}']:.2f}" for pair, row in rows.items()} for when in ("lowest", "end")
    )
    rouge = {pair: f"{row['rouge1']:.3f}".lstrip("0") for pair, row in rows.items()}
    lora, full, prompt = ((label, "nothing") for label in ("lora", "full", "prompt-tuning"))
    assert f"from {low[lora]} to {end[lora]}, and full fine-tuning from {low[full]} to {end[full]}." in lab
    assert f"Prompt tuning stays at {end[prompt]};" in lab
    assert rows[prompt]["rouge1"] < min(rows[lora]["rouge1"], rows[full]["rouge1"])
    assert [line["loss"] for line in rows[prompt]["history"] if "loss" in line][-1] > 2
    trained = {row["label"]: row["trainable"] for row in read("family")["rows"]}
    numbers = (f"{trained[label]:,}" for label in ("full", "lora", "prompt-tuning"))
    assert "full fine-tuning trains {} numbers, LoRA {}, prompt tuning {}.".format(*numbers) in lab
    assert trained["full"] / trained["lora"] == pytest.approx(70, abs=2)
    for label in ("full", "lora", "prompt-tuning"):
        for when in ("validation_loss_lowest", "validation_loss_end"):
            assert rows[label, "weight decay"][when] == pytest.approx(rows[label, "nothing"][when], abs=0.06)
    assert PromptTuning().learning_rate / FullFineTuning().learning_rate == pytest.approx(300)
    assert f"there ROUGE-1 rises to {rouge['prompt-tuning', 'weight decay']}." in lab

    def rises(after: dict[str, Any], before: dict[str, Any]) -> int:
        return sum(b > a for b, a in zip(after["rouge1_seeds"], before["rouge1_seeds"], strict=True))

    held, not_held = ("lora", "dropout"), ("full", "dropout")
    assert f"its loss ends at {end[held]}, and ROUGE-1 goes from {rouge[lora]} to {rouge[held]}, up with each" in lab
    assert rises(rows[held], rows[lora]) == 3
    assert f"goes down, from {rouge[full]} to {rouge[not_held]}, and the loss ends at {end[not_held]}" in lab
    assert f"though its lowest, {low[not_held]}, is lower than before" in lab
    assert rows[held]["rouge1_to_full_interval"][0] > 0

    stopped = {row["label"]: row for row in told["rows"] if row["dialogues"] == 64}
    means = (f"{stopped[label]['rouge1']:.3f}".lstrip("0") for label in ("lora", "full", "prompt-tuning"))
    said = "LoRA had {}, more with each seed, full fine-tuning {}, more with two of three, and prompt tuning, which had"
    assert f"{said} no need of it, {{}}.".format(*means) in lab
    assert [rises(stopped[label], rows[label, "nothing"]) for label in ("lora", "full")] == [3, 2]


def test_lab_7_tells_the_recorded_figures() -> None:
    lab = prose("07_the_real_thing")
    told = read("lab_7")
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


def test_lab_7_tells_what_each_dialogue_of_a_batch_takes() -> None:
    def total(size: int, checkpointing: bool) -> int:
        step = Step(size, 512, 120, "bf16", checkpointing)
        return predict_memory(shape_of("google/flan-t5-large"), LoRA(rank=32), step).total

    kept, checkpointed = ((total(64, on) - total(1, on)) / 63 for on in (False, True))
    said = f"Each dialogue more takes {kept / 2**30:.1f} GiB, and with checkpointing a sixteenth of that."
    assert said in prose("07_the_real_thing")
    assert round(kept / checkpointed) == 16


def test_lab_7_tells_how_the_causal_model_was_made() -> None:
    logs = [(FOLDER / f"pretrain_{name}.jsonl").read_text(encoding="utf-8") for name in ("nano", "causal")]
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
        return {row.get("value", row["label"]): row for row in read(name)["rows"]}

    assert rows("sweep_rank")[8]["rouge1_seeds"][0] == rows("lab_0")["lora"]["rouge1_seeds"][0]
    for label in ("full", "lora", "lora rank=4 targets=all", "prompt-tuning"):
        assert rows("family")[label]["rouge1_seeds"] == rows("compare_nano")[label]["rouge1_seeds"]
    assert rows("sweep_tokens")[20]["rouge1_seeds"] == rows("lab_4")["20 tokens, vocabulary"]["rouge1_seeds"]
