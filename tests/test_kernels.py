"""The pieces that trainings run on: the same as transformers' own, in value and in gradient."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers.models.t5.modeling_t5 import T5LayerNorm, eager_attention_forward

import labkit.compute.loss
from labkit.batches import collator, encode_rows
from labkit.compute.kernels import Norm, attend
from labkit.compute.loss import token_loss
from labkit.compute.working_copy import working_copy
from labkit.dialogues import Dialogues
from labkit.methods import LoRA, Selective, attach
from labkit.models import Model


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, requires_grad=True)


def same_with_gradients(ours: torch.Tensor, theirs: torch.Tensor, inputs: list[torch.Tensor]) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    direction = torch.randn_like(ours)
    by_ours = torch.autograd.grad(ours, inputs, direction)
    by_theirs = torch.autograd.grad(theirs, inputs, direction)
    torch.testing.assert_close(by_ours, by_theirs, rtol=1e-4, atol=1e-5)


def test_the_norm_is_that_of_t5() -> None:
    theirs, ours, x = T5LayerNorm(24), Norm(24), random(2, 5, 24)
    weight = torch.nn.Parameter(torch.rand(24) + 0.5)
    theirs.weight = ours.weight = weight
    same_with_gradients(ours(x), theirs(x), [x, weight])


def test_the_norm_gives_what_the_next_product_takes() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert Norm(8)(torch.ones(1, 8)).dtype == torch.bfloat16
    assert Norm(8)(torch.ones(1, 8)).dtype == torch.float32


@pytest.mark.parametrize("masked", [True, False], ids=["masked", "all seen"])
def test_the_attention_is_that_of_t5(masked: bool) -> None:
    query, key, value, bias = random(2, 3, 6, 4), random(2, 3, 7, 4), random(2, 3, 7, 4), random(1, 3, 6, 7)
    mask = torch.zeros(2, 1, 6, 7)
    mask[1, :, :, 5:] = torch.finfo(torch.float32).min
    asked: dict[str, Any] = {"position_bias": bias, "scaling": 1.0}
    given = (SimpleNamespace(training=False), query, key, value, mask if masked else None)
    same_with_gradients(
        attend(*given, **asked)[0], eager_attention_forward(*given, **asked)[0], [query, key, value, bias]
    )


@pytest.mark.parametrize("trained", [True, False], ids=["trained head", "frozen head"])
def test_the_loss_by_pieces_is_the_cross_entropy_of_all(trained: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    head = torch.nn.Linear(6, 11, bias=False).requires_grad_(trained)
    labels = torch.randint(11, (3, 8))
    labels[0, 5:] = labels[2, 1:] = -100
    hidden = random(3, 8, 6)
    plain = torch.nn.functional.cross_entropy(head(hidden).flatten(0, 1), labels.flatten())
    monkeypatch.setattr(labkit.compute.loss, "LOGITS", 11 * 4)  # four positions at a time, of fourteen
    same_with_gradients(token_loss(head, hidden, labels), plain, [hidden, *(head.parameters() if trained else ())])


def test_a_working_copy_holds_frozen_matrices_in_the_precision_and_trained_ones_in_float32(tiny: Model) -> None:
    model = attach(tiny, LoRA(rank=2))
    for name, weight in working_copy(model.net, "bf16").named_parameters():
        frozen_matrix = name.endswith(".weight") and ("base_layer" in name or name.split(".")[-2] in ("k", "o", "wo"))
        if "lora_" in name or "shared" in name:
            assert weight.dtype == torch.float32, name
        elif frozen_matrix:
            assert weight.dtype == torch.bfloat16, name


def test_a_working_copy_reads_a_validation_batch_once_where_nothing_moves_the_encoder(
    tiny: Model, tiny_data: Dialogues, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, _ = encode_rows(tiny, tiny_data.validation)
    inputs = {name: value for name, value in collator(tiny)(list(rows)).items() if name != "decoder_input_ids"}
    for method, times in ((Selective(), 1), (LoRA(rank=2), 2)):
        net, seen = working_copy(attach(tiny, method).net, "fp32").eval(), list[Any]()
        net.get_base_model().encoder.register_forward_hook(lambda *_, seen=seen: seen.append(1))
        with torch.no_grad():
            losses = [float(net(**inputs).loss) for _ in range(2)]
        assert losses[0] == losses[1]
        assert len(seen) == times
