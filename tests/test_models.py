"""Loading models: exact weights, no noise, and the line that each mistake gets."""

import json
import logging
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
import transformers
from fewer_bits import eight_bits
from safetensors.torch import load_file, save_file

from labkit import models, paths
from labkit.errors import LabError
from labkit.methods import LoRA, attach
from labkit.models import Model, load_model, revision_of
from labkit.parameters import count_parameters
from labkit.paths import DATA

NOWHERE = "labkit-tests/no-such-model"


@pytest.fixture
def copied(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "copied"))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def message(**asked: Any) -> str:
    with pytest.raises(LabError) as caught:
        load_model(**asked)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def logits(model: Model) -> torch.Tensor:
    with torch.inference_mode():
        return model.net(input_ids=torch.tensor([[5, 9, 12, 1]]), labels=torch.tensor([[7, 8, 1]])).logits  # type: ignore[no-any-return]


def test_base_has_the_exact_weights_of_its_file_and_an_output_head_of_its_own(tiny: Model, tiny_folder: Path) -> None:
    saved, held = load_file(tiny_folder / "model.safetensors"), tiny.net.state_dict()
    assert {"shared.weight", "lm_head.weight"} <= set(saved)
    assert all(torch.equal(saved[name], held[name]) for name in saved)
    assert tiny.net.lm_head.weight is not tiny.net.shared.weight
    assert not torch.equal(tiny.net.lm_head.weight, tiny.net.shared.weight)


def test_base_comes_in_eval_mode_and_in_fp32(tiny: Model) -> None:
    assert not any(module.training for module in tiny.net.modules())
    assert {parameter.dtype for parameter in tiny.net.parameters()} == {torch.float32}


def test_weights_kept_in_bf16_are_widened_to_fp32_without_loss(copied: Path) -> None:
    half = {name: w.to(torch.bfloat16) for name, w in load_file(copied / "model.safetensors").items()}
    save_file(half, copied / "model.safetensors", metadata={"format": "pt"})
    held = load_model(str(copied), device="cpu").net.state_dict()
    assert all(held[name].dtype == torch.float32 and torch.equal(held[name], w.float()) for name, w in half.items())


def test_a_model_that_transformers_saved_again_writes_the_same(tiny: Model, copied: Path) -> None:
    tiny.net.save_pretrained(copied)  # with the config as transformers 5 writes it
    again = load_model(str(copied), device="cpu")
    assert torch.equal(logits(again), logits(tiny))
    assert count_parameters(again) == count_parameters(tiny)


def test_precision_auto_is_fp32_on_a_cpu(tiny_folder: Path) -> None:
    assert load_model(str(tiny_folder), device="cpu", precision="auto").precision == "fp32"


def test_precision_bf16_keeps_fp32_weights(tiny_folder: Path) -> None:
    model = load_model(str(tiny_folder), device="cpu", precision="bf16")
    assert model.precision == "bf16"
    assert {parameter.dtype for parameter in model.net.parameters()} == {torch.float32}


def test_loading_prints_and_logs_nothing(tiny_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    seen: list[str] = []

    class Seen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())

    handler, names = Seen(), (None, "transformers", "huggingface_hub")  # the last two do not pass theirs on
    for name in names:
        logging.getLogger(name).addHandler(handler)
    try:
        load_model(str(tiny_folder), device="cpu")
    finally:
        for name in names:
            logging.getLogger(name).removeHandler(handler)
    assert seen == []
    assert capfd.readouterr() == ("", "")


@eight_bits
def test_what_torchao_says_at_its_import_is_not_heard(tiny_folder: Path) -> None:
    code = f"""
import sys, labkit as lk
base = lk.load_model({str(tiny_folder)!r}, device="cpu")
lk.attach(base, lk.LoRA(bits=8))
assert "torchao" in sys.modules
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_quiet_gives_logs_and_progress_bars_back() -> None:
    from transformers.utils import logging as theirs

    before = theirs.get_verbosity(), theirs.is_progress_bar_enabled()
    with models.quiet():
        pass
    assert (theirs.get_verbosity(), theirs.is_progress_bar_enabled()) == before


def test_revision_of_a_folder_changes_with_its_weights_and_only_with_them(copied: Path, tiny: Model) -> None:
    assert revision_of(str(copied)) == tiny.revision
    (copied / "notes.txt").write_text("mine")
    assert revision_of(str(copied)) == tiny.revision
    weights = load_file(copied / "model.safetensors")
    weights["shared.weight"][3, 3] += 1e-3
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    assert revision_of(str(copied)) != tiny.revision


def test_an_embedded_model_is_found_by_its_name_and_has_its_weights_as_revision(
    tiny: Model, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_folder, tmp_path / "models" / "nano-x")
    monkeypatch.setattr(paths, "DATA", tmp_path)
    assert paths.embedded_models() == ["nano-x"]
    model = load_model("nano-x", device="cpu")
    assert (model.name, model.revision) == ("nano-x", tiny.revision)


def test_a_model_of_the_hub_has_no_revision_before_it_is_fetched() -> None:
    assert revision_of(NOWHERE) is None


@pytest.mark.parametrize("name", ["nanoo", "a/b/c", "/no/folder", ""])
def test_an_unknown_name_is_refused_with_what_there_is(name: str) -> None:
    said = message(name=name)
    assert "causal" not in said
    assert f"unknown model {name!r}: use an embedded model" in said
    assert "google/flan-t5-base" in said


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda f: (f / "config.json").unlink(), "no config.json: name a folder written by save_pretrained"),
        (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer.json: save the tokenizer beside the model"),
        (
            lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
            "no .safetensors weights, and pickled ones are never loaded: save the model as safetensors",
        ),
        (lambda f: (f / "model.safetensors").write_bytes(b"torn"), "could not be loaded"),
        (lambda f: (f / "config.json").write_text("{"), "could not be loaded"),
        (lambda f: (f / "config.json").write_text('{"model_type": "gpt2"}'), "is no encoder-decoder: use nano"),
        (lambda f: (f / "config.json").write_text('{"model_type": "bert"}'), "is no encoder-decoder: use nano"),
        (lambda f: (f / "config.json").write_text('{"model_type": "new"}'), "could not be loaded"),
    ],
    ids=["config", "tokenizer", "pickled", "torn weights", "torn config", "decoder only", "encoder only", "new type"],
)
def test_a_folder_that_cannot_be_loaded_is_refused(copied: Path, spoil: Callable[[Path], Any], expected: str) -> None:
    spoil(copied)
    said = message(name=str(copied), device="cpu")
    assert str(copied) in said
    assert expected in said
    assert "Hub" not in said


def test_the_embedded_causal_model_is_refused_with_what_opens_it() -> None:
    said = message(name="causal", device="cpu")
    assert said.startswith("causal is no encoder-decoder: use nano")
    assert "open it with transformers' AutoModelForCausalLM" in said


def test_weights_of_other_sizes_than_the_config_are_refused(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text()) | {"d_ff": 40}
    (copied / "config.json").write_text(json.dumps(config))
    assert "could not be loaded" in message(name=str(copied), device="cpu")


@pytest.mark.parametrize("device", ["tpu", "cuda:99", "cpu:x"])
def test_an_unknown_device_is_refused_with_what_there_is(tiny_folder: Path, device: str) -> None:
    said = message(name=str(tiny_folder), device=device)
    assert f"device {device!r} is not on this machine: use cpu" in said


def test_an_unknown_precision_is_refused(tiny_folder: Path) -> None:
    said = message(name=str(tiny_folder), precision="fp16")
    assert said == "unknown precision 'fp16': use one of auto, fp32, bf16"


ADVICE = "check the name and the network, or use the embedded model nano"


def test_without_a_network_it_says_so_at_once(no_network: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(seconds: float) -> None:
        raise AssertionError(f"it tried again after {seconds} s")

    monkeypatch.setattr(time, "sleep", wait)
    said = message(name=NOWHERE, device="cpu")
    assert said.startswith(f"{NOWHERE} could not be fetched from the Hub")
    assert ADVICE in said


def test_in_the_hubs_offline_mode_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert ADVICE in message(name=NOWHERE, device="cpu")


def test_a_network_that_breaks_while_files_are_fetched_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OSError(
            "We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find them in the cache.\n"
            "Check your internet connection or see how to run the library in offline mode."
        )

    monkeypatch.setattr(models, "_ask_hub", lambda *_: None)
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", broken)
    monkeypatch.setattr(transformers.AutoModelForSeq2SeqLM, "from_pretrained", broken)
    assert ADVICE in message(name=NOWHERE, device="cpu")


def test_a_model_of_the_hub_without_safetensors_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise OSError(f"{NOWHERE} does not appear to have a file named model.safetensors")

    monkeypatch.setattr(models, "_ask_hub", lambda *_: None)
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *_, **__: None)
    monkeypatch.setattr(transformers.AutoModelForSeq2SeqLM, "from_pretrained", missing)
    assert "pickled ones are never loaded: use another model, such as nano" in message(name=NOWHERE, device="cpu")


def test_nano_is_under_12_mb_and_holds_safetensors_only() -> None:
    files = [file for file in (DATA / "models" / "nano").rglob("*") if file.is_file()]
    assert {".safetensors"} < {file.suffix for file in files} <= {".json", ".md", ".safetensors", ".txt"}
    assert 0 < sum(file.stat().st_size for file in files) < 12_000_000


def test_all_embedded_models_are_under_25_mb() -> None:
    assert paths.embedded_models() == ["nano", "nano-0.45m", "nano-1.6m"]
    assert sum(file.stat().st_size for file in (DATA / "models").rglob("*") if file.is_file()) < 25_000_000


def test_nano_loads_without_a_network_with_t5s_special_tokens_and_a_head_of_its_own(no_network: None) -> None:
    model = load_model("nano", device="cpu")
    ids = (model.tokenizer.pad_token_id, model.tokenizer.eos_token_id, model.tokenizer.unk_token_id)
    assert ids == (0, 1, 2)
    assert (model.net.config.pad_token_id, model.net.config.eos_token_id) == (0, 1)
    assert not torch.equal(model.net.lm_head.weight, model.net.shared.weight)


def test_a_model_is_shown_by_its_name_and_what_is_attached(tiny: Model) -> None:
    assert repr(tiny) == f'Model("{tiny.name}", fp32, cpu)'
    assert repr(attach(tiny, LoRA(rank=2))) == f'Model("{tiny.name}", lora rank=2, fp32, cpu)'
