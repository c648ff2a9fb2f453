"""Training: it learns, it repeats itself, it goes on after a stop, and it says when it goes wrong."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from fewer_bits import needs
from transformers import TrainerState

from labkit.batches import collator, encode_rows, in_order
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.methods import (
    AdaLoRA,
    FullFineTuning,
    LoRA,
    Method,
    PrefixTuning,
    PromptTuning,
    PTuning,
    attach,
    restore,
)
from labkit.models import Model
from labkit.prompts import LONGEST_SUMMARY
from labkit.runs import Run
from labkit.training import Training, set_dropout, train

# the last two train through a network that is not kept
METHODS = [
    FullFineTuning(),
    LoRA(rank=2, dropout=0.1),
    PromptTuning(tokens=3),
    AdaLoRA(rank=2, start=3),
    PrefixTuning(tokens=3, mlp=4),
    PTuning(3, 8),
]
EIGHT_BITS = pytest.param(LoRA(rank=2, bits=8), marks=needs(8), id="lora 8 bits")
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


class StopAt:
    """Stops a training as Ctrl-C does, and keeps the steps that were told of."""

    def __init__(self, step: float = float("inf")) -> None:
        self.step, self.steps = step, list[float]()

    def __call__(self, line: dict[str, float]) -> None:
        self.steps.append(line["step"])
        if line["step"] >= self.step:
            raise KeyboardInterrupt


def start(folder: Path, method: Method) -> Run:
    run = Run(folder)
    run.start({"method": method.dials()})
    return run


def fit(
    tiny: Model, data: Dialogues, folder: Path, method: Method, *, seed: int = 0, report: Any = None, **dials: Any
) -> tuple[Model, Run, dict[str, Any]]:
    model, run = attach(tiny, method, seed=seed), start(folder, method)
    return model, run, train(model, data, run, Training(**dials), seed=seed, report=report)


def weights(model: Model) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.net.named_parameters() if p.requires_grad}


def same(a: Model, b: Model) -> bool:
    ours, theirs = weights(a), weights(b)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def untimed(run: Run) -> list[dict[str, float]]:
    measured = {"seconds", "peak_memory_mib"}  # of the machine, and so never twice the same
    return [{name: value for name, value in line.items() if name not in measured} for line in run.history]


def validation_loss(model: Model, data: Dialogues) -> float:
    rows, _ = encode_rows(model, data.validation)
    with torch.no_grad():
        return float(model.net.eval()(**collator(model)(rows)).loss)


def test_learns_a_set_by_heart(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    data = tiny_data.head(train=4)
    _, run, result = fit(tiny, data, tmp_path / "run", FullFineTuning(), steps=60, batch_size=4, learning_rate=1e-2)
    losses = [line["loss"] for line in run.history if "loss" in line]
    assert losses[0] > 2
    assert losses[-1] < 0.2
    assert result["steps"] == 60


def test_marks_padded_labels_as_not_to_be_learned(tiny: Model, tiny_data: Dialogues) -> None:
    rows, cut = encode_rows(tiny, tiny_data.test)
    assert cut == 0
    rows[0]["labels"] = rows[0]["labels"][:5]  # the others are longer
    lengths = [len(row["labels"]) for row in rows]
    batch = collator(tiny)([dict(row) for row in rows])
    for row, labels, mask, length in zip(rows, batch["labels"], batch["attention_mask"], lengths, strict=True):
        assert labels.tolist() == row["labels"] + [-100] * (len(labels) - length)
        assert int(mask.sum()) == len(row["input_ids"])


def test_a_label_ends_with_one_end_token(tiny: Model, tiny_data: Dialogues) -> None:
    rows, cut = encode_rows(tiny, tiny_data.train)
    assert cut == 0
    assert {row["labels"].count(tiny.tokenizer.eos_token_id) for row in rows} == {1}


def test_takes_the_first_reference_as_the_label(tiny: Model, tiny_data: Dialogues) -> None:
    rows, _ = encode_rows(tiny, tiny_data.test)
    texts = [tiny.tokenizer.decode(row["labels"], skip_special_tokens=True) for row in rows]
    assert texts == [references[0] for references in tiny_data.test["summaries"]]


def test_has_a_loss_that_padding_does_not_change(tiny: Model, tiny_data: Dialogues) -> None:
    rows, _ = encode_rows(tiny, tiny_data.test)
    # the loss by its definition, row by row and without any padding: the mean of -log p over all label tokens
    log_p = []
    for row in rows:
        one = {name: torch.tensor([ids]) for name, ids in row.items()}
        with torch.no_grad():
            logits = tiny.net(**one).logits[0]
        log_p += logits.log_softmax(-1)[range(len(row["labels"])), row["labels"]].tolist()
    expected = -sum(log_p) / len(log_p)
    for multiple in (8, 64):
        batch = collator(tiny, multiple)([dict(row) for row in rows])
        assert batch["input_ids"].shape[1] % multiple == 0
        with torch.no_grad():
            assert float(tiny.net(**batch).loss) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_gives_the_same_weights_for_the_same_seed(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path, method: Method
) -> None:
    dials: dict[str, Any] = {"steps": 4, "batch_size": 4, "dropout": 0.1, "validations": 2}
    first, _, _ = fit(tiny, tiny_data, tmp_path / "1", method, **dials)
    torch.rand(7)  # whatever was drawn in between
    again, _, _ = fit(tiny, tiny_data, tmp_path / "2", method, **dials)
    other, _, _ = fit(tiny, tiny_data, tmp_path / "3", method, seed=1, **dials)
    assert same(first, again)
    assert not same(first, other)


@pytest.mark.parametrize("stop", [5, 10], ids=["in the first epoch", "in the second epoch"])
@pytest.mark.parametrize("method", [*(pytest.param(each, id=each.name) for each in METHODS), EIGHT_BITS])
def test_goes_on_after_a_stop_as_if_there_had_been_none(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path, method: Method, stop: int
) -> None:
    # 24 rows in batches of 4 are 6 steps an epoch; checkpoints come at steps 4, 8 and 12
    dials: dict[str, Any] = {"steps": 12, "batch_size": 4, "dropout": 0.1, "validations": 3}
    straight, plain, _ = fit(tiny, tiny_data, tmp_path / "straight", method, **dials)
    with pytest.raises(KeyboardInterrupt):
        fit(tiny, tiny_data, tmp_path / "stopped", method, report=StopAt(stop), **dials)
    seen = StopAt()
    resumed, run, result = fit(tiny, tiny_data, tmp_path / "stopped", method, report=seen, **dials)
    assert seen.steps[0] == {5: 5, 10: 9}[stop]
    assert same(straight, resumed)
    assert untimed(run) == untimed(plain)
    assert result["steps"] == 12


def test_counts_the_seconds_before_a_stop_too(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    dials: dict[str, Any] = {"steps": 4, "batch_size": 4, "validations": 2}
    with pytest.raises(KeyboardInterrupt):
        fit(tiny, tiny_data, tmp_path / "run", LoRA(), report=StopAt(3), **dials)
    history = tmp_path / "run" / "history.jsonl"
    lines = [json.loads(line) for line in history.read_text().splitlines()]
    history.write_text("".join(json.dumps(line | {"seconds": 1000.0}) + "\n" for line in lines))
    _, run, result = fit(tiny, tiny_data, tmp_path / "run", LoRA(), **dials)
    assert 1000 <= result["train_seconds"] < 1060
    assert run.history[-1]["seconds"] > 1000


def test_waits_after_a_stop_no_longer_than_without_one(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    # the more it says of tea, the less it says of Anna: every validation is worse than the one before
    tea, anna = (
        Dataset.from_dict(split.to_dict() | {"summaries": [[text]] * len(split)})
        for split, text in ((tiny_data.train, "tea tea tea tea"), (tiny_data.validation, "Anna Dan Anna Dan"))
    )
    data = Dialogues("tea", tea, anna, tiny_data.test)
    dials: dict[str, Any] = {"steps": 100, "validations": 50, "patience": 4, "batch_size": 4, "learning_rate": 0.05}
    _, plain, straight = fit(tiny, data, tmp_path / "straight", LoRA(), **dials)
    with pytest.raises(KeyboardInterrupt):
        fit(tiny, data, tmp_path / "stopped", LoRA(), report=StopAt(straight["steps"] - 1), **dials)
    _, run, result = fit(tiny, data, tmp_path / "stopped", LoRA(), **dials)
    assert result["steps"] == straight["steps"] < 100
    assert untimed(run) == untimed(plain)


def test_leaves_the_arithmetic_of_the_model_as_it_was(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    half = replace(tiny, precision="bf16")
    model, run, _ = fit(half, tiny_data, tmp_path / "run", FullFineTuning(), steps=2, batch_size=4)
    batch = collator(tiny)(encode_rows(tiny, tiny_data.validation)[0])
    with torch.no_grad():
        trained, kept = model.net(**batch).logits, restore(half, FullFineTuning(), run.weights).net(**batch).logits
    assert trained.dtype == torch.float32
    assert torch.equal(trained, kept)


def test_shuffles_batches_of_like_length() -> None:
    lengths = list(range(400))  # so that the number of a row is its length
    ordered = in_order(lengths, 50, 8, seed=0)
    batches = [ordered[at : at + 8] for at in range(0, 400, 8)]
    assert sorted(ordered) == lengths
    spreads = sorted(max(batch) - min(batch) for batch in batches)
    assert spreads[len(spreads) // 2] < 60  # of rows drawn at random, 311 on average
    longest = [max(batch) for batch in batches]
    falls = sum(later < earlier for earlier, later in itertools.pairwise(longest))
    assert 15 < falls < 35  # of 49; the longest first would fall every time
    assert in_order(lengths, 50, 8, seed=0) == ordered


def test_counts_rows_whose_summary_is_too_long(tiny: Model, tiny_data: Dialogues) -> None:
    long = Dataset.from_dict(tiny_data.train.to_dict() | {"summaries": [["tea " * 200]] * len(tiny_data.train)})
    rows, cut = encode_rows(tiny, long)
    assert cut == len(long)
    assert {len(row["labels"]) for row in rows} == {LONGEST_SUMMARY}
    assert {row["labels"][-1] for row in rows} == {tiny.tokenizer.eos_token_id}


FILES = ["trained.safetensors", "importance.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"]


@pytest.mark.parametrize("file", [*FILES, "trainer_state.json"])
def test_passes_over_a_newest_checkpoint_that_was_cut_short(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path, file: str
) -> None:
    dials: dict[str, Any] = {"steps": 12, "batch_size": 4, "dropout": 0.1, "validations": 3}
    method = AdaLoRA(rank=2, start=3)  # whose checkpoints hold more than others'
    straight, _, _ = fit(tiny, tiny_data, tmp_path / "straight", method, **dials)
    with pytest.raises(KeyboardInterrupt):
        fit(tiny, tiny_data, tmp_path / "cut", method, report=StopAt(10), **dials)
    newest = tmp_path / "cut" / "checkpoints" / "checkpoint-8" / file
    newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    seen = StopAt()
    resumed, _, _ = fit(tiny, tiny_data, tmp_path / "cut", method, report=seen, **dials)
    assert seen.steps[0] == 5
    assert same(straight, resumed)


def test_a_checkpoint_is_whole_as_soon_as_it_counts(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dials: dict[str, Any] = {"steps": 12, "batch_size": 4, "validations": 3}
    method = AdaLoRA(rank=2, start=3)
    straight, _, _ = fit(tiny, tiny_data, tmp_path / "straight", method, **dials)
    write = TrainerState.save_to_json

    def write_and_die(state: Any, path: str) -> None:
        write(state, path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainerState, "save_to_json", write_and_die)
        with pytest.raises(KeyboardInterrupt):
            fit(tiny, tiny_data, tmp_path / "killed", method, **dials)
    seen = StopAt()
    resumed, _, _ = fit(tiny, tiny_data, tmp_path / "killed", method, report=seen, **dials)
    assert seen.steps[0] == 5
    assert same(straight, resumed)


def test_starts_anew_where_no_checkpoint_is_whole(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    (tmp_path / "run" / "checkpoints" / "checkpoint-4").mkdir(parents=True)
    seen = StopAt()
    _, run, _ = fit(tiny, tiny_data, tmp_path / "run", LoRA(), report=seen, steps=2, batch_size=4)
    assert seen.steps[0] == 1
    assert not (run.folder / "checkpoints").exists()


def test_stops_at_a_loss_that_is_no_number(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    model, run = attach(tiny, LoRA()), start(tmp_path / "run", LoRA())
    with torch.no_grad():
        next(p for p in model.net.parameters() if p.requires_grad).fill_(float("nan"))
    with pytest.raises(LabError, match="at step 1: use a lower learning rate") as error:
        train(model, tiny_data, run, Training(steps=4, batch_size=4))
    assert "\n" not in str(error.value)
    assert not run.finished
    assert not run.trained


def test_stops_at_a_learning_rate_that_blows_the_weights_up(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="use a lower learning rate") as error:
        fit(tiny, tiny_data, tmp_path / "run", FullFineTuning(), steps=30, batch_size=4, learning_rate=1e30)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run" / "scores.json").exists()
    assert not (tmp_path / "run" / "model").exists()


def test_without_patience_the_last_weights_are_kept_and_so_is_their_loss(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    tea = Dataset.from_dict(tiny_data.train.to_dict() | {"summaries": [["tea tea tea tea"]] * len(tiny_data.train)})
    data = Dialogues("tea", tea, tiny_data.validation, tiny_data.test)
    dials: dict[str, Any] = {"steps": 60, "validations": 30, "batch_size": 4, "learning_rate": 0.05}
    model, run, result = fit(tiny, data, tmp_path / "run", FullFineTuning(), **dials)
    losses = [line["validation_loss"] for line in run.history if "validation_loss" in line]
    assert losses[-1] > min(losses) + 0.1
    assert result["validation_loss"] == losses[-1]
    assert validation_loss(model, data) == pytest.approx(losses[-1], abs=1e-4)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_stops_early_and_gives_the_best_weights_back(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path, method: Method
) -> None:
    # the more it says of tea, the less it says of Anna
    tea, anna = (
        Dataset.from_dict(split.to_dict() | {"summaries": [[text]] * len(split)})
        for split, text in ((tiny_data.train, "tea tea tea tea"), (tiny_data.validation, "Anna Dan Anna Dan"))
    )
    data = Dialogues("tea", tea, anna, tiny_data.test)
    dials: dict[str, Any] = {"steps": 200, "validations": 100, "patience": 3, "batch_size": 4}
    dials["learning_rate"] = max(0.01, method.learning_rate)  # a model so small needs no care
    model, run, result = fit(tiny, data, tmp_path / "run", method, **dials)
    losses = [line["validation_loss"] for line in run.history if "validation_loss" in line]
    assert result["steps"] < 200
    assert len(losses) == losses.index(min(losses)) + 1 + 3
    assert result["validation_loss"] == min(losses)
    assert validation_loss(model, data) == pytest.approx(min(losses), abs=1e-4)
    kept = restore(tiny, method, run.weights)
    assert validation_loss(kept, data) == pytest.approx(min(losses), abs=1e-4)


def test_sets_the_dropout_of_the_model_and_not_that_of_lora(tiny: Model) -> None:
    net = attach(tiny, LoRA(dropout=0.3)).net
    set_dropout(net, 0.25)
    lora, own = set[float](), set[float]()
    for name, module in net.named_modules():
        if isinstance(module, torch.nn.Dropout):
            (lora if "lora_" in name else own).add(module.p)
        if type(module).__name__ == "T5Attention":
            own.add(module.dropout)
    assert lora == {0.3}
    assert own == {0.25}


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_has_just_the_dropout_that_was_asked_for(tiny: Model, tiny_data: Dialogues, share: float) -> None:
    net = attach(tiny, FullFineTuning()).net
    set_dropout(net, share)
    rows, _ = encode_rows(tiny, tiny_data.validation)
    batch = collator(tiny)(rows)
    with torch.no_grad():
        quiet, first, second = net.eval()(**batch).loss, net.train()(**batch).loss, net(**batch).loss
    assert (first == second == quiet).item() == (share == 0)
    assert (first == second).item() == (share == 0)


def test_writes_a_history_of_steps_losses_and_learning_rates(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    lines: list[dict[str, float]] = []
    _, run, _ = fit(
        tiny, tiny_data, tmp_path / "run", LoRA(), report=lines.append, steps=4, batch_size=4, validations=2, warmup=0.5
    )
    assert run.history == lines
    trained = [line for line in lines if "loss" in line]
    assert [line["step"] for line in trained] == [1, 2, 3, 4]
    # 2 of 4 steps rise to 0.005, the rest fall in a straight line to 0 after the last one
    assert [line["learning_rate"] for line in trained] == pytest.approx([0, 0.0025, 0.005, 0.0025])
    assert [line["step"] for line in lines if "validation_loss" in line] == [2, 4]


def test_measures_the_validation_loss_as_defined(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    model, run, _ = fit(tiny, tiny_data, tmp_path / "run", LoRA(), steps=3, batch_size=4, validations=1, dropout=0.5)
    assert run.history[-1]["validation_loss"] == pytest.approx(validation_loss(model, tiny_data), abs=1e-4)


def test_refuses_a_model_without_a_method(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no method attached"):
        train(tiny, tiny_data, start(tmp_path / "run", LoRA()), Training())


@pytest.mark.parametrize("split", ["train", "validation"])
def test_refuses_data_without_rows_to_learn_from(tiny: Model, tiny_data: Dialogues, tmp_path: Path, split: str) -> None:
    with pytest.raises(LabError, match="no train or no validation rows"):
        fit(tiny, tiny_data.head(**{split: 0}), tmp_path / "run", LoRA())


def test_refuses_a_run_that_was_not_started(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="was not started"):
        train(attach(tiny, LoRA()), tiny_data, Run(tmp_path / "run"), Training(steps=1))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("dial", "value"),
    [
        ("steps", 0),
        ("batch_size", 0),
        ("validations", 0),
        ("validation_rows", 0),
        ("patience", 0),
        ("learning_rate", -1.0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("weight_decay", float("inf")),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("warmup", 1.5),
        ("weight_decay", -1.0),
    ],
)
def test_refuses_a_dial_that_makes_no_sense(dial: str, value: Any) -> None:
    with pytest.raises(LabError, match=str(value)) as error:
        Training(**{dial: value})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_leaves_safetensors_and_no_pickle(tiny: Model, tiny_data: Dialogues, tmp_path: Path, method: Method) -> None:
    _, run, _ = fit(tiny, tiny_data, tmp_path / "run", method, steps=2, batch_size=4)
    files = [path for path in run.folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".safetensors" for path in files)
    assert not [path for path in files if path.suffix in PICKLES]
    assert run.weights.name == ("model" if method.name == "full" else "adapter")


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_saves_weights_that_name_no_folder_of_this_machine(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path, method: Method
) -> None:
    _, run, _ = fit(replace(tiny, name="nano"), tiny_data, tmp_path / "run", method, steps=1, batch_size=4)
    texts = {path.name: path.read_text() for path in run.weights.iterdir() if path.suffix != ".safetensors"}
    assert not [name for name, text in texts.items() if tiny.name in text or str(tmp_path) in text]
    if method.name != "full":
        assert json.loads(texts["adapter_config.json"])["base_model_name_or_path"] == "nano"
