"""Adapters from elsewhere: what labkit exported, and what plain peft made, are opened with their dials or refused."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from fewer_bits import eight_bits
from made_runs import disturb, made_run
from outputs import logits
from test_methods import CASES
from transformers import T5Config, T5ForConditionalGeneration

from labkit.adapters.exporting import export
from labkit.adapters.foreign import open_adapter
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.methods import (
    IA3,
    AdaLoRA,
    FullFineTuning,
    LayerNormTuning,
    LoRA,
    Method,
    MultitaskPromptTuning,
    PromptTuning,
    PTuning,
    Selective,
    in_full_precision,
    restore,
)
from labkit.models import Model, quiet
from labkit.opening import open_run
from labkit.parameters import shape_of

# ranks by place stand in the file layer by layer, and not as the dial has them
NOT_READ = ["lora ranks", "lora pissa ranks"]
ADAPTERS = {
    name: method
    for name, method in CASES.items()
    if method.name != "full" and name not in NOT_READ and not getattr(method, "bits", None)
}


@pytest.mark.parametrize("name", ADAPTERS)
def test_what_was_exported_is_opened_with_dials_that_make_the_same(
    name: str, tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    method, run = ADAPTERS[name], made_run(tmp_path / "run", tiny, ADAPTERS[name], tiny_data)
    model = open_adapter(export(run, tmp_path / "export"), tiny)
    again = restore(tiny, method, run.weights)
    assert type(model.method) is type(method)
    assert model.method.stored(shape_of(tiny.name)) == method.stored(shape_of(tiny.name))
    assert model.net.state_dict().keys() == again.net.state_dict().keys()
    torch.testing.assert_close(logits(model, tiny_data), logits(again, tiny_data), rtol=0, atol=1e-6)
    assert not any(module.training for module in model.net.modules())


@eight_bits
def test_what_was_learned_over_fewer_bits_goes_on_the_base_as_it_is(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    run = made_run(tmp_path / "run", tiny, LoRA(bits=8), tiny_data)
    model = open_adapter(export(run, tmp_path / "export"), tiny)
    whole = in_full_precision(restore(tiny, LoRA(bits=8), run.weights), tiny)
    assert model.method == LoRA(alpha=16)
    torch.testing.assert_close(logits(model, tiny_data), logits(whole, tiny_data), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NOT_READ)
def test_ranks_by_place_are_refused_in_one_line(name: str, tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    folder = export(made_run(tmp_path / "run", tiny, CASES[name], tiny_data), tmp_path / "export")
    refused(folder, tiny, r"rank_pattern is \{.* there and would be \{\} for lora .*: use the adapter with peft alone")


def refused(folder: Path, base: Model, why: str) -> None:
    with pytest.raises(LabError, match=why) as caught:
        open_adapter(folder, base)
    assert "\n" not in str(caught.value)


def made(tiny: Model, folder: Path, kind: str, **options: Any) -> Any:
    """A network with an adapter that peft made, far from its start, saved in a folder."""
    config = getattr(peft, f"{kind}Config")(task_type="SEQ_2_SEQ_LM", **options)
    with quiet():
        net = peft.get_peft_model(copy.deepcopy(tiny.net), config)
        disturb(replace(tiny, net=net)).net.eval().save_pretrained(folder, save_embedding_layers=False)
    return net


PEFT: list[tuple[str, dict[str, Any], Method]] = [
    ("Lora", {}, LoRA(alpha=8)),
    ("Lora", {"r": 3, "lora_alpha": 5, "target_modules": "all-linear"}, LoRA(rank=3, alpha=5, targets=("all",))),
    (
        "Lora",
        {"use_rslora": True, "use_dora": True, "lora_dropout": 0.1},
        LoRA(alpha=8, rslora=True, dora=True, dropout=0.1),
    ),
    ("Lora", {"target_modules": ["wo", "k"], "init_lora_weights": "gaussian"}, LoRA(alpha=8, targets=("k", "wo"))),
    ("AdaLora", {"total_step": 9, "target_modules": ["q", "v"]}, AdaLoRA(alpha=8)),
    ("IA3", {}, IA3()),
    ("LNTuning", {}, LayerNormTuning()),
    ("LNTuning", {"target_modules": ["lm_head"]}, Selective(part="head", layers="all")),
    ("PromptTuning", {"num_virtual_tokens": 4}, PromptTuning(tokens=4)),
    ("PromptTuning", {"num_virtual_tokens": 4, "num_transformer_submodules": 1}, PromptTuning(tokens=4)),
    ("PromptEncoder", {"num_virtual_tokens": 4}, PTuning(tokens=4, hidden=32)),
    ("PromptEncoder", {"num_virtual_tokens": 4, "encoder_hidden_size": 7}, PTuning(tokens=4, hidden=7)),
    (
        "MultitaskPromptTuning",
        {"num_virtual_tokens": 4, "num_tasks": 1, "num_ranks": 3, "num_transformer_submodules": 1},
        MultitaskPromptTuning(tokens=4, num_ranks=3),
    ),
]


@pytest.mark.parametrize(("kind", "options", "method"), PEFT, ids=lambda value: getattr(value, "label", None))
def test_what_plain_peft_made_is_opened_with_its_dials(
    kind: str, options: dict[str, Any], method: Method, tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    net = made(tiny, tmp_path, kind, **options)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    model = open_adapter(tmp_path, tiny)
    assert model.method == method
    expected = logits(tiny, tiny_data, net)
    assert (expected - logits(tiny, tiny_data)).abs().max() > 0.01
    torch.testing.assert_close(logits(model, tiny_data), expected, rtol=0, atol=1e-5)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("kind", "options", "why"),
    [
        ("Vera", {"target_modules": ["q"]}, "no method of labkit is peft's VERA: use the adapter with peft alone"),
        (
            "PrefixTuning",
            {"num_virtual_tokens": 4, "token_dim": 24},
            "labkit is peft's PREFIX_TUNING: use",
        ),
        ("Lora", {"target_modules": "decoder.*q"}, "is peft's LORA with target_modules decoder.*q: use the adapter"),
        ("Lora", {"target_modules": ["q", "lm_head"]}, "target_modules is .*lm_head.* there and would be"),
        ("Lora", {"layers_to_transform": [1]}, r"layers_to_transform is \[1\] there and would be None"),
        (
            "Lora",
            {"modules_to_save": ["lm_head"]},
            r"modules_to_save is \['lm_head'\] there and would be None",
        ),
        ("Lora", {"init_lora_weights": "olora"}, "init_lora_weights is olora there and would be True for lora"),
        ("Lora", {"rank_pattern": {"q": 2}}, r"rank_pattern is \{'q': 2\} there and would be \{\} for lora"),
        (
            "IA3",
            {"target_modules": ["k", "wo"], "feedforward_modules": ["wo"]},
            "target_modules is .* there and would be",
        ),
        ("LNTuning", {"target_modules": ["wi_0"]}, r"LN_TUNING with target_modules \['wi_0'\]: use the adapter with"),
        (
            "MultitaskPromptTuning",
            {"num_virtual_tokens": 4, "num_tasks": 2},
            "num_transformer_submodules is 2 there and would be 1 for multitask-prompt-tuning tokens=4 tasks=2",
        ),
    ],
)
def test_what_is_no_method_of_ours_is_refused_in_one_line(
    kind: str, options: dict[str, Any], why: str, tiny: Model, tmp_path: Path
) -> None:
    made(tiny, tmp_path, kind, **options)
    refused(tmp_path, tiny, why)


@pytest.mark.parametrize(
    ("kind", "options", "why"),
    [
        ("Lora", {}, r"holds 6,272 numbers, and lora alpha=8 on .* has 5,376: load the base that it was trained f"),
        ("PromptTuning", {"num_virtual_tokens": 4}, "num_layers is 3 there and would be 2 for prompt-tuning"),
    ],
)
def test_an_adapter_of_another_base_is_refused(
    kind: str, options: dict[str, Any], why: str, tiny: Model, tmp_path: Path
) -> None:
    deeper = T5ForConditionalGeneration(T5Config(**tiny.net.config.to_dict() | {"num_layers": 3}))
    made(replace(tiny, net=deeper), tmp_path, kind, **options)
    refused(tmp_path, tiny, why)


def test_a_run_is_not_opened_on_a_base_of_another_name(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    run = made_run(tmp_path / "run", tiny, LoRA(), tiny_data)
    with pytest.raises(LabError, match=r"was trained from .*tiny, and not from other: give that base, or none"):
        open_run(run, replace(tiny, name="other", revision="0" * 16))


def test_an_adapter_of_a_base_of_another_name_is_refused(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    folder = export(made_run(tmp_path / "run", tiny, LoRA(), tiny_data), tmp_path / "export")
    refused(folder, replace(tiny, name="google/flan-t5-base"), "is for tiny, and this is google/flan-t5-base: open")


def test_a_folder_without_an_adapter_is_refused(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", tiny, "holds no adapter_config.json with adapter_model.safetensors: name a folder")
    whole = export(made_run(tmp_path / "run", tiny, FullFineTuning(), tiny_data), tmp_path / "export")
    refused(whole, tiny, "holds no adapter_config.json with adapter_model.safetensors: name a folder")


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        ("adapter_config.json", b"{", r"adapter_config\.json is damaged: export or download the adapter again"),
        ("adapter_config.json", b"[]", r"adapter_config\.json is damaged: export or download"),
        ("adapter_config.json", b'{"r": 8}', r"adapter_config\.json is damaged: export or download"),
        ("adapter_config.json", b'{"peft_type": "LORA"}', r"adapter_config\.json is damaged: export or download"),
        ("adapter_config.json", b'{"peft_type": "P_TUNING"}', r"adapter_config\.json is damaged: export or download"),
        ("adapter_config.json", b'{"peft_type": "NEW"}', r"cannot read .*adapter_config\.json .*: install a newer one"),
        ("adapter_model.safetensors", b"torn", r"adapter_model\.safetensors is damaged: export or download"),
    ],
)
def test_a_damaged_adapter_is_refused_in_one_line(
    file: str, content: bytes, why: str, tiny: Model, tmp_path: Path
) -> None:
    made(tiny, tmp_path, "Lora")
    (tmp_path / file).write_bytes(content)
    refused(tmp_path, tiny, why)
