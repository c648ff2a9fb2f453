"""Fewer bits: what they save by arithmetic, how little they change, and what is refused."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from fewer_bits import eight_bits, either
from made_runs import disturb

from labkit import quantization
from labkit.costs.activations import Step
from labkit.costs.measured import measure_memory
from labkit.errors import LabError
from labkit.methods import LoRA, attach, in_full_precision, restore
from labkit.models import Model
from labkit.parameters import shape_of
from labkit.quantization import check, matrix_bytes, quantize, weight_bytes
from labkit.stored import numbers

PLACE = "decoder.block.1.layer.2.DenseReluDense.wo"
every_store = pytest.mark.parametrize("bits", either)


@pytest.fixture(scope="module")
def small(tiny: Model) -> Any:
    return quantize(copy.deepcopy(tiny.net), 8)


@eight_bits
def test_a_matrix_takes_a_byte_a_number_and_five_a_row(small: Any, tiny: Model) -> None:
    matrices = [one for name, one in tiny.net.named_modules() if isinstance(one, torch.nn.Linear) and name != "lm_head"]
    saved = sum(3 * one.weight.numel() - (4 + 1) * one.out_features for one in matrices)  # scale, zero point
    assert weight_bytes(tiny.net) == 4 * sum(weight.numel() for weight in tiny.net.parameters())
    assert weight_bytes(tiny.net) - weight_bytes(small) == saved


@every_store
def test_as_many_bytes_are_predicted_as_are_taken(bits: int, tiny: Model) -> None:
    linears = list(shape_of(tiny.name).linears())
    saved = sum(4 * one.inputs * one.outputs - matrix_bytes(one.inputs, one.outputs, bits) for one in linears)
    assert weight_bytes(tiny.net) - weight_bytes(quantize(copy.deepcopy(tiny.net), bits)) == saved


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        (None, 4 * 768 * 2048),
        (8, 768 * 2048 + 5 * 2048),
        # 127 bits for each 1,000 numbers beside the 4,000 of the numbers, as the paper has it (section 3)
        (4, pytest.approx(768 * 2048 * (4 + 0.127) / 8, rel=1e-4)),
    ],
)
def test_a_matrix_of_flan_t5_base_takes(bits: int | None, expected: Any) -> None:
    assert matrix_bytes(768, 2048, bits) == expected


@eight_bits
def test_each_number_is_off_by_half_a_step_at_most(small: Any, tiny: Model) -> None:
    before, after = tiny.net.get_submodule(PLACE).weight, numbers(small.get_submodule(PLACE).weight)
    step = before.abs().amax(dim=1, keepdim=True) / 127.5
    assert (after - before).abs().max() > 0
    assert ((after - before).abs() <= 0.51 * step + 1e-7).all()


@every_store
def test_a_product_and_its_gradient_are_those_of_the_numbers(bits: int, tiny: Model) -> None:
    layer = quantize(copy.deepcopy(tiny.net), bits).get_submodule(PLACE)
    plain = torch.nn.Linear(48, 32, bias=False)
    plain.weight.data = numbers(layer.weight)
    x, grad = torch.randn(2, 7, 48, requires_grad=True), torch.randn(2, 7, 32)
    (found,) = torch.autograd.grad(layer(x), x, grad)
    (expected,) = torch.autograd.grad(plain(x), x, grad)
    torch.testing.assert_close(layer(x), plain(x), rtol=0, atol=1e-6)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@every_store
def test_embeddings_norms_and_head_stay_as_they_are(bits: int, tiny: Model) -> None:
    few = quantize(copy.deepcopy(tiny.net), bits)
    for name in ("shared", "lm_head", "encoder.final_layer_norm"):
        assert torch.equal(few.get_submodule(name).weight, tiny.net.get_submodule(name).weight)


@every_store
def test_a_training_keeps_no_matrix_in_full_until_the_backward_pass(bits: int, tiny: Model) -> None:
    step = Step(batch_size=3, source_tokens=56, target_tokens=16)
    plain, few = (measure_memory(attach(tiny, LoRA(bits=each)), step) for each in (None, bits))
    assert few.activations == plain.activations
    assert few.weights < plain.weights


@eight_bits
def test_what_was_learned_is_put_on_the_full_precision_bit_by_bit(tiny: Model) -> None:
    model = disturb(attach(tiny, LoRA(bits=8, rank=3), seed=5))  # B starts as 0
    whole = in_full_precision(model, tiny)
    name = "base_model.model.decoder.block.0.layer.1.EncDecAttention.v"
    few, full = (each.net.get_submodule(name) for each in (model, whole))
    assert few.lora_B["default"].weight.all()
    for part in ("lora_A", "lora_B"):
        assert torch.equal(getattr(full, part)["default"].weight, getattr(few, part)["default"].weight)
    assert torch.equal(full.base_layer.weight, tiny.net.get_submodule(name.removeprefix("base_model.model.")).weight)
    assert whole.method == LoRA(rank=3)


def test_four_bits_are_refused_where_their_library_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantization.importlib.util, "find_spec", lambda _: "here")
    with pytest.raises(LabError, match="4 bits work on a CPU or a GPU of NVIDIA, and the model is on mps:0: use 8 b"):
        check(4, "mps:0")
    check(4, "cuda:0")


@pytest.mark.parametrize(("bits", "library"), [(8, "torchao"), (4, "bitsandbytes")])
def test_a_library_that_is_not_there_is_named(
    bits: int, library: str, tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "adapter_model.safetensors").touch()
    monkeypatch.setattr(quantization.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(LabError, match=f"{bits} bits need {library}, which is not here: pip install {library}"):
        attach(tiny, LoRA(bits=bits))
    with pytest.raises(LabError, match=f"^{bits} bits need {library}, which is not here: pip install {library}"):
        restore(tiny, LoRA(bits=bits), tmp_path)
