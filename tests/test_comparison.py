"""The comparison: the base is untouched, nothing is trained twice, and bad dials are told first."""

import copy
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fewer_bits import eight_bits

import labkit.experiment
from labkit import quantization
from labkit.comparison import Comparison, compare
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.evaluation import Evaluation, evaluate
from labkit.generation import summarize
from labkit.methods import FullFineTuning, LoRA, Method, MultitaskPromptTuning, PromptTuning, attach
from labkit.models import Model
from labkit.opening import open_run
from labkit.parameters import shape_of
from labkit.quantization import weight_bytes
from labkit.training import Training

SHORT = Training(steps=4, batch_size=4, validations=2)
EVALUATION = Evaluation(max_new_tokens=12)
METHODS = [FullFineTuning(), LoRA(rank=2), PromptTuning(tokens=3)]
KEYS = {
    *("method", "trainable", "percent", "rouge1", "rouge2", "rougeL", "rougeLsum", "rouge1_interval"),
    *("train_seconds", "peak_memory_mib", "adapter_bytes"),
}


def run(model: str | Model, data: Dialogues, root: Path, methods: Sequence[Method], **more: Any) -> Comparison:
    options: dict[str, Any] = {"training": SHORT, "evaluation": EVALUATION}
    options |= {"device": "cpu"} if isinstance(model, str) else {}
    return compare(methods, model, data, root=root, **(options | more))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("comparison") / "runs"


@pytest.fixture(scope="module")
def table(tiny: Model, tiny_data: Dialogues, root: Path) -> Comparison:
    return run(tiny.name, tiny_data, root, METHODS)


def test_puts_lead_and_base_first_and_then_the_methods(table: Comparison) -> None:
    assert [row["method"] for row in table.rows()] == ["lead-2", "base", "full", "lora", "prompt-tuning"]


def test_has_every_documented_key_in_every_row(table: Comparison) -> None:
    assert all(row.keys() >= KEYS for row in table.rows())


def test_counts_what_each_method_trains(table: Comparison, tiny: Model) -> None:
    size = sum(p.numel() for p in tiny.net.parameters())
    lead, base, full, lora, soft = table.rows()
    assert lead["trainable"] == base["trainable"] == 0
    assert full["trainable"] == size
    assert full["percent"] == 100
    # LoRA of rank 2 on q and v: 2 encoder and 2 decoder layers with 1 and 2 attentions, each 2 x 2 x (32 + 24)
    assert lora["trainable"] == (2 + 2 * 2) * 2 * 2 * (32 + 24)
    assert lora["percent"] == pytest.approx(100 * lora["trainable"] / (size + lora["trainable"]))
    assert soft["trainable"] == 3 * 32


def test_measures_what_each_training_costs(table: Comparison) -> None:
    lead, base, *trained = table.rows()
    for row in trained:
        assert row["train_seconds"] > 0
        assert row["peak_memory_mib"] > 50
        assert 4 * row["trainable"] <= row["adapter_bytes"] < 4 * row["trainable"] + 20_000
        assert math.isfinite(row["validation_loss"])
    assert lead["train_seconds"] is base["train_seconds"] is base["adapter_bytes"] is None


@eight_bits
def test_a_run_over_fewer_bits_is_opened_as_it_was_trained_and_the_base_stays(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    before = {name: tensor.clone() for name, tensor in tiny.net.state_dict().items()}
    entry = run(tiny, tiny_data, tmp_path, [LoRA(rank=2, bits=8)])["lora rank=2 bits=8"]
    assert all(torch.equal(tensor, before[name]) for name, tensor in tiny.net.state_dict().items())
    opened = open_run(entry.runs[0], tiny)
    assert weight_bytes(opened.net) < weight_bytes(tiny.net)
    assert entry.row(None)["trainable"] == LoRA(rank=2).trainable(shape_of(tiny.name))
    written = [row["summary"] for row in entry.runs[0].predictions]
    assert summarize(opened, list(tiny_data.test["dialogue"]), max_new_tokens=12) == written


@pytest.mark.parametrize("given", ["name", "model"])
def test_a_library_that_is_missing_for_fewer_bits_is_told_before_anything_is_written(
    given: str, tiny: Model, tiny_data: Dialogues, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(quantization.LIBRARIES, 8, "no_such_library")
    with pytest.raises(LabError, match="8 bits need no_such_library, which is not here: pip install no_such_library"):
        run(tiny if given == "model" else tiny.name, tiny_data, tmp_path / "runs", [LoRA(bits=8)])
    assert not (tmp_path / "runs").exists()


def test_scores_the_base_with_untouched_weights(table: Comparison, tiny: Model, tiny_data: Dialogues) -> None:
    assert table["base"].scores.to_json() == evaluate(tiny, tiny_data, EVALUATION).to_json()


def test_scores_the_base_the_same_whatever_is_compared(
    table: Comparison, tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    before = {name: tensor.clone() for name, tensor in tiny.net.state_dict().items()}
    other = run(replace(tiny, name="another name"), tiny_data, tmp_path / "runs", [PromptTuning(tokens=2)])
    alone = run(tiny.name, tiny_data, tmp_path / "alone", [])
    assert [e.label for e in alone.entries] == ["lead-2", "base"]
    for found in (other, alone):
        assert found["base"].scores.to_json() == table["base"].scores.to_json()
    assert all(torch.equal(before[name], tensor) for name, tensor in tiny.net.state_dict().items())


def test_trains_nothing_a_second_time(
    table: Comparison, tiny: Model, tiny_data: Dialogues, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("nothing is left to be done")

    for name in ("train", "evaluate", "load_model"):
        monkeypatch.setattr(labkit.experiment, name, forbidden)
    again = run(tiny.name, tiny_data, root, METHODS)
    assert again.rows() == table.rows()
    assert again.differences() == table.differences()


def test_does_not_train_again_what_was_only_not_scored(
    table: Comparison, tiny: Model, tiny_data: Dialogues, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop_at_the_method(label: str, news: dict[str, Any]) -> None:
        if label.startswith("prompt-tuning") and "summaries" in news:
            raise KeyboardInterrupt

    methods = [METHODS[2]]
    with pytest.raises(KeyboardInterrupt):
        run(tiny.name, tiny_data, tmp_path, methods, report=stop_at_the_method)
    monkeypatch.setattr(labkit.experiment, "train", None)
    row, straight = run(tiny.name, tiny_data, tmp_path, methods).rows()[-1], table.rows()[-1]
    for key in ("trainable", "percent", "rouge1", "rouge2", "adapter_bytes", "validation_loss"):
        assert row[key] == straight[key]


def test_does_not_train_again_what_is_only_scored_in_another_way(
    table: Comparison, tiny: Model, tiny_data: Dialogues, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labkit.experiment, "train", None)
    row = run(tiny.name, tiny_data, root, METHODS, evaluation=Evaluation(rows=3, max_new_tokens=12)).rows()[-1]
    whole = table.rows()[-1]
    for key in ("train_seconds", "validation_loss", "adapter_bytes", "trainable"):
        assert row[key] == whole[key]
    assert row["runs"] != whole["runs"]
    assert row["rouge1"] != whole["rouge1"]  # of 3 dialogues, not of all


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_refuses_a_seed_that_no_library_takes(tiny: Model, tiny_data: Dialogues, tmp_path: Path, seed: int) -> None:
    with pytest.raises(LabError, match=f"seed {seed} is out of range"):
        run(tiny.name, tiny_data, tmp_path / "runs", METHODS, seeds=(0, seed))
    assert not (tmp_path / "runs").exists()


def test_refuses_to_load_a_model_that_is_loaded(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="is loaded already: give device to load_model"):
        compare(METHODS, tiny, tiny_data, root=tmp_path / "runs", device="cpu")


def test_averages_over_seeds(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    # a rate at which two seeds come to different summaries
    training = replace(SHORT, learning_rate=0.05, steps=20)
    both = run(tiny.name, tiny_data, tmp_path, [LoRA()], seeds=(0, 1), training=training).rows()[-1]
    each = [
        run(tiny.name, tiny_data, tmp_path, [LoRA()], seeds=(seed,), training=training).rows()[-1] for seed in (0, 1)
    ]
    assert both["seeds"] == 2
    assert each[0]["runs"] + each[1]["runs"] == both["runs"]
    assert each[0]["rouge1"] != each[1]["rouge1"]
    assert both["rouge1_seeds"] == [row["rouge1"] for row in each]
    for key in ("rouge1", "rouge2", "rougeL", "rougeLsum", "rouge1_max", "rouge1_gain", "words", "train_seconds"):
        assert both[key] == pytest.approx((each[0][key] + each[1][key]) / 2)


def test_gives_the_gain_over_the_base_paired_by_dialogue(table: Comparison) -> None:
    _, base, *trained = table.rows()
    assert "rouge1_gain" not in base
    for row in trained:
        assert row["rouge1_gain"] == pytest.approx(row["rouge1"] - base["rouge1"])
        low, high = row["rouge1_gain_interval"]
        assert low <= row["rouge1_gain"] <= high


def test_takes_the_difference_of_every_pair(table: Comparison) -> None:
    pairs = [(later, earlier) for later, earlier, _ in table.differences()]
    assert len(pairs) == 10
    assert pairs[0] == ("base", "lead-2")
    assert ("lora rank=2", "full") in pairs


def test_says_which_lines_there_are(table: Comparison) -> None:
    with pytest.raises(LabError, match="'none' is not compared here: there are lead-2, base, full"):
        _ = table["none"]


def test_keeps_seed_and_data_in_each_config(table: Comparison, tiny: Model, tiny_data: Dialogues) -> None:
    config = table["full"].runs[0].config
    assert config["seed"] == 0
    assert config["data"] == {"name": "tiny", "fingerprint": tiny_data.fingerprint}
    assert config["model"]["revision"] == tiny.revision
    assert config["training"]["steps"] == 4
    assert config["training"]["learning_rate"] == FullFineTuning.learning_rate
    assert config["environment"]["versions"]["peft"]


def test_does_not_take_one_model_for_another_of_the_same_name(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    net = copy.deepcopy(tiny.net)
    with torch.no_grad():
        net.lm_head.weight.copy_(net.lm_head.weight.flip(0))
    models = [tiny, replace(tiny, net=net, revision="other"), replace(tiny, precision="bf16")]
    tables = [run(model, tiny_data, tmp_path, []) for model in models]
    assert len({table["base"].runs[0].folder for table in tables}) == 3
    assert tables[0]["base"].runs[0].predictions != tables[1]["base"].runs[0].predictions


def test_reports_what_it_does(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    news: list[tuple[str, dict[str, Any]]] = []
    run(tiny, tiny_data, tmp_path, [LoRA()], report=lambda label, line: news.append((label, line)))
    assert ("base", {"summaries": 6}) in news
    assert [line["step"] for label, line in news if label == "lora seed=0" and "loss" in line] == [1, 2, 3, 4]


def test_shows_the_same_numbers_as_a_figure_and_as_a_table(table: Comparison) -> None:
    (bars,) = table.plot().data
    rows = table.rows()
    assert list(bars.x) == [row["label"] for row in rows]
    assert list(bars.y) == [row["rouge1"] for row in rows]
    html = table._repr_html_()
    assert html.count("<tr>") == 1 + 5
    assert f"{rows[2]['rouge1']:.3f}".removeprefix("0") in html


def test_escapes_what_it_shows_in_a_notebook(table: Comparison) -> None:
    entry = replace(table.entries[0], label="<img onerror=alert(1)>")
    assert "<img" not in Comparison("m", "d", (entry,))._repr_html_()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"methods": [FullFineTuning(), LoRA(rank=25)]}, "rank 25 is above 24"),
        ({"model": "no-such-model"}, "unknown model 'no-such-model'"),
        ({"seeds": ()}, "no seed is given"),
        ({"evaluation": Evaluation(rows=1)}, "too few test rows for an interval, 1 of tiny"),
        ({"device": "tpu"}, "device 'tpu' is not on this machine"),
        ({"precision": "fp16"}, "unknown precision 'fp16'"),
        (
            {"methods": [MultitaskPromptTuning(tokens=5, tasks=2)]},
            "learns 2 tasks, and the rows are of 1",
        ),
        ({"head": {"train": 0}}, "tiny has no train or no validation rows"),
        ({"head": {"test": 0}}, "too few test rows for an interval, 0 of tiny"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_refuses_before_anything_is_trained_or_written(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    data = tiny_data.head(**wrong.get("head", {}))
    options: dict[str, Any] = {"methods": METHODS, "model": tiny.name, "data": data, "root": tmp_path / "runs"} | wrong
    options.pop("head", None)
    with pytest.raises(LabError, match=message):
        run(**options)
    assert not (tmp_path / "runs").exists()


def test_refuses_a_dial_that_does_not_fit_a_model_it_was_given(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    # the name is that of a larger model, but what counts is what is there
    with pytest.raises(LabError, match="rank 25 is above 24"):
        run(replace(tiny, name="google/flan-t5-base"), tiny_data, tmp_path / "runs", [LoRA(rank=25)])
    assert not (tmp_path / "runs").exists()


def test_refuses_a_model_that_has_a_method_already(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="already has lora: compare from the base model instead"):
        run(attach(tiny, LoRA()), tiny_data, tmp_path / "runs", [])
    assert not (tmp_path / "runs").exists()


def test_leaves_a_training_that_blew_up_unfinished(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    net = copy.deepcopy(tiny.net)
    with torch.no_grad():
        net.lm_head.weight.fill_(float("nan"))
    with pytest.raises(LabError, match="use a lower learning rate"):
        run(replace(tiny, net=net, revision="nan"), tiny_data, tmp_path, [LoRA()])
    (folder,) = tmp_path.glob("lora-*")
    assert (folder / "config.json").is_file()
    assert not (folder / "scores.json").exists()
    assert not (folder / "adapter").exists()


@pytest.mark.parametrize(
    ("methods", "data", "line"),
    [
        (["lora"], None, "methods is ['lora']: give a list of methods, such as [LoRA(rank=8)]"),
        (LoRA(), None, "give a list of methods"),
        ([LoRA], None, "give a list of methods"),
        ([LoRA()], "nano", "data is 'nano': give dialogues, such as load_dialogues('nano')"),
    ],
)
def test_what_is_no_method_and_no_dialogues_is_refused(methods: Any, data: Any, line: str) -> None:
    with pytest.raises(LabError, match=re.escape(line)) as caught:
        compare(methods, "nano", data)
    assert "\n" not in str(caught.value)
