"""The embedded causal model: it is what its log and its card say, and its tokenizer leaves a prompt open."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pretrain_causal
import pretraining
import pytest
import torch
from causal_card import FOLDER, LOG, card
from pretrain_causal import Causal, main, texts, unigram_loss, validation_loss
from pretraining import Batches
from transformers import AutoModelForCausalLM, AutoTokenizer

from labkit.models import quiet
from labkit.paths import model_folder


@pytest.fixture(scope="module")
def causal() -> Any:
    with quiet():
        return AutoModelForCausalLM.from_pretrained(model_folder("causal"), dtype="float32").eval()


@pytest.fixture(scope="module")
def nano_tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(model_folder("nano"))


def test_is_under_1800_kilobytes_of_safetensors() -> None:
    files = [file for file in FOLDER.rglob("*") if file.is_file()]
    assert {file.suffix for file in files} == {".json", ".md", ".safetensors"}
    assert sum(file.stat().st_size for file in files) < 1_800_000


def test_has_the_validation_loss_that_was_recorded(causal: Any, nano_tokenizer: Any) -> None:
    rows = list(itertools.islice(texts(nano_tokenizer, 0, "validation"), 500))
    recorded = json.loads(LOG.read_text(encoding="utf-8").splitlines()[-1])["validation_loss"]
    assert validation_loss(causal, rows) == pytest.approx(recorded, abs=0.01)  # it was measured before rounding to bf16


def test_has_learned_more_than_how_frequent_each_token_is() -> None:
    _, start, *log = (json.loads(line) for line in LOG.read_text(encoding="utf-8").splitlines())
    assert log[-1]["validation_loss"] < 0.6 * start["unigram_loss"] < start["validation_loss"]


def test_the_card_says_what_the_log_says() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == card()


def test_its_tokenizer_is_nanos_without_the_end_that_would_close_a_prompt(nano_tokenizer: Any) -> None:
    open_ended, text = AutoTokenizer.from_pretrained(model_folder("causal")), "Summary: #Person1# is off on Friday."
    assert [*open_ended(text)["input_ids"], nano_tokenizer.eos_token_id] == nano_tokenizer(text)["input_ids"]


def test_the_unigram_loss_is_that_of_frequencies() -> None:
    read = [[0, 0, 1]]  # of two tokens, with one more each: 3 of 5, 2 of 5
    assert unigram_loss(read, [[7, 0, 0, 1]], vocabulary=2) == pytest.approx(-math.log(0.6 * 0.6 * 0.4) / 3)


def test_a_pretraining_that_was_broken_off_goes_on_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pretrain_causal, "VALIDATION", 2)
    monkeypatch.setattr(torch, "compile", lambda net, **_: net)
    monkeypatch.setattr(Causal, "ready", lambda self, stream, seed: iter(Batches(stream, self.batch, seed)))
    monkeypatch.setattr(Causal, "log_every", 8)
    for module in (pretraining, pretrain_causal):
        monkeypatch.setattr(module, "POOL", 16)
    monkeypatch.setattr(pretraining, "HERE", tmp_path)
    small = ["", "--width", "32", "--layers", "1", "--check-minutes", "0"]
    for examples in ("8", "24"):
        monkeypatch.setattr("sys.argv", [*small, "--examples", examples])
        main()
    assert "from {'seen': 8, " in capsys.readouterr().out
    log = [json.loads(line) for line in (tmp_path / "recorded" / "pretrain_causal.jsonl").read_text().splitlines()]
    assert [line.get("examples") for line in log] == [None, 0, 8, 16, 24]
    assert (tmp_path / "models" / "causal" / "model.safetensors").is_file()
