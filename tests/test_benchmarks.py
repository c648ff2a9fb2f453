"""What the benchmarks count and put together; their measuring itself is not for a test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from ceiling import useful_flops
from table import END, START, readme, table
from torch.utils.flop_counter import FlopCounterMode
from training import BF16, LABKIT, Case, asked, summary
from work import METHODS, Clock, made_dialogues, write_model

import labkit as lk
from labkit.batches import encode_rows
from labkit.models import Model, load_model
from labkit.parameters import shape_of_net

PROMPT, SUMMARY = 11, 5


@pytest.mark.parametrize("name", METHODS)
def test_useful_flops_are_what_torch_counts(tiny: Model, name: str) -> None:
    model = lk.attach(tiny, METHODS[name])
    ids = torch.arange(PROMPT)[None] % 30 + 3
    with FlopCounterMode(display=False) as counter:
        model.net(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids[:, :SUMMARY]).loss.backward()
    assert useful_flops(shape_of_net(tiny.net), METHODS[name], PROMPT, SUMMARY) == counter.get_total_flops()


def test_made_dialogues_are_as_long_as_dialogsums() -> None:
    rows, _ = encode_rows(load_model("nano", precision="fp32"), made_dialogues(96).train)
    lengths = torch.tensor([len(row["input_ids"]) for row in rows], dtype=torch.float)
    assert lengths.mean().item() == pytest.approx(230, rel=0.02)
    assert lengths.median().item() == pytest.approx(208, rel=0.03)
    assert lengths.quantile(0.95).item() == pytest.approx(417, rel=0.05)
    assert lengths.max() <= 512
    assert sum(len(row["labels"]) for row in rows) / len(rows) == pytest.approx(39, rel=0.03)
    assert made_dialogues(3).train.to_list() == made_dialogues(3).train.to_list()


def test_a_written_model_has_the_shape_and_sane_logits(tmp_path: Path) -> None:
    model = load_model(str(write_model("flan-t5-small", tmp_path)), device="cpu", precision="fp32")
    assert shape_of_net(model.net) == lk.shape_of("google/flan-t5-small")
    assert model.net.lm_head.weight is not model.net.get_input_embeddings().weight
    ids = torch.arange(20)[None] + 3
    with torch.inference_mode():
        loss = model.net(input_ids=ids, labels=ids).loss.item()
    assert loss == pytest.approx(torch.tensor(32128.0).log().item(), rel=0.2)


def test_a_clock_leaves_out_the_first_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    times: Iterator[float] = iter([-5.0, 0.0, 100.0, 101.0, 102.0])  # the first is when it was made
    monkeypatch.setattr("work.time.perf_counter", lambda: next(times))
    clock = Clock()
    for step in range(1, 5):
        clock.tick(step)
    figures = clock.figures(8)
    assert figures["examples_per_second"] == 8
    assert figures["seconds_in_all"] == 107


def one(rate: float, losses: list[float]) -> dict[str, Any]:
    return {"precision": "bf16", "examples_per_second": rate, "useful_flops": 5e9, "losses": losses}


def test_a_summary_takes_medians_of_rounds_and_of_their_ratios() -> None:
    case = Case("nano", "lora", (BF16,))
    sides = {
        LABKIT: [one(rate, [2.0, 1.0]) for rate in (4, 8, 6)],
        BF16: [one(rate, [2.0, 1.01]) for rate in (2, 2, 4)],
    }
    told = summary(case, sides, {"bf16": 100.0})
    assert told["over_trainer_bf16"] == 2.0
    assert told["utilisation"] == 0.3
    assert told["agreement"] == 0.005
    assert told["sides"]["labkit auto"]["examples_per_second"] == 6


def test_a_speed_with_other_losses_is_void() -> None:
    sides = {LABKIT: [one(4, [2.0, 1.0])], BF16: [one(2, [2.0, 1.1])]}
    told = summary(Case("nano", "lora", (BF16,)), sides, {"bf16": 100.0})
    assert told["agreement"] == 0.045
    assert "over_trainer_bf16" not in told


def test_the_course_lab_trains_fewer_steps() -> None:
    assert [asked(Case("nano", "lora", ()), side)["steps"] for side in (("lab_2", "fp32"), LABKIT)] == [4, 12]


def report() -> dict[str, Any]:
    hardware = {"processor": "Some CPU", "threads": 2}
    versions = {"torch": "2", "transformers": "5", "peft": "0"}
    return {"evaluation": {"over_trainer": 2.345, "environment": {"hardware": hardware, "versions": versions}}}


def test_the_table_has_what_was_measured_and_on_what() -> None:
    told = table(report())
    assert "| scoring 500 dialogues, nano: over Seq2SeqTrainer.evaluate | 2.35 | 2 |" in told
    assert "Some CPU, 2 threads" in told
    assert "course lab" not in told


def test_the_table_goes_between_its_marks() -> None:
    page = readme(f"before\n{START}\nold\n{END}\nafter", report())
    assert page.startswith(f"before\n{START}\n| times")
    assert page.endswith(f"{END}\nafter")
    assert "old" not in page
    assert readme(page, report()) == page
