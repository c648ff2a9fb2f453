"""Fewer bits: what they save by arithmetic, how little they change, and what is refused."""

import copy
import importlib.util
from typing import Any

import pytest
import torch

from labkit import quantization
from labkit.errors import LabError
from labkit.models import Model
from labkit.quantization import quantize, weight_bytes

torchao = pytest.mark.skipif(importlib.util.find_spec("torchao") is None, reason="torchao is not installed")


@pytest.fixture(scope="module")
def small(tiny: Model) -> Any:
    return quantize(copy.deepcopy(tiny.net), 8)


@torchao
def test_a_matrix_takes_a_byte_a_number_and_five_a_row(small: Any, tiny: Model) -> None:
    matrices = [one for name, one in tiny.net.named_modules() if isinstance(one, torch.nn.Linear) and name != "lm_head"]
    saved = sum(3 * one.weight.numel() - (4 + 1) * one.out_features for one in matrices)  # scale, zero point
    assert weight_bytes(tiny.net) == 4 * sum(weight.numel() for weight in tiny.net.parameters())
    assert weight_bytes(tiny.net) - weight_bytes(small) == saved


@torchao
def test_each_number_is_off_by_half_a_step_at_most(small: Any, tiny: Model) -> None:
    place = "decoder.block.1.layer.2.DenseReluDense.wo"
    before, after = tiny.net.get_submodule(place).weight, small.get_submodule(place).weight.dequantize()
    step = before.abs().amax(dim=1, keepdim=True) / 127.5
    assert (after - before).abs().max() > 0
    assert ((after - before).abs() <= 0.51 * step + 1e-7).all()


@torchao
def test_embeddings_norms_and_head_stay_as_they_are(small: Any, tiny: Model) -> None:
    for name in ("shared", "lm_head", "encoder.final_layer_norm"):
        assert torch.equal(small.get_submodule(name).weight, tiny.net.get_submodule(name).weight)


def test_four_bits_without_a_gpu_are_refused(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantization.importlib.util, "find_spec", lambda _: "here")
    with pytest.raises(LabError, match="4 bits need a GPU of NVIDIA, and the model is on the CPU: use 8 bits"):
        quantize(tiny.net, 4)


@pytest.mark.parametrize(("bits", "library"), [(8, "torchao"), (4, "bitsandbytes")])
def test_a_library_that_is_not_there_is_named(
    bits: int, library: str, tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantization.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(LabError, match=f"{bits} bits need {library}, which is not here: pip install"):
        quantize(tiny.net, bits)
