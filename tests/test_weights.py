import copy

import numpy as np
import pytest
import torch

from labkit.inside.weights import array, modules_with_weights
from labkit.methods import FullFineTuning, LoRA, Method, PromptTuning, attach
from labkit.models import Model
from labkit.parameters import count_parameters


def test_every_weight_of_the_model_has_one_name(tiny: Model) -> None:
    weights = modules_with_weights(tiny.net)
    assert sum(module.weight.numel() for module in weights.values()) == count_parameters(tiny).total
    assert {
        "embeddings",
        "output head",
        "encoder 0 self-attention q",
        "encoder 0 self-attention position bias",
        "encoder 1 feed-forward wi_0",
        "encoder final norm",
        "decoder 1 cross-attention o",
        "decoder 1 cross-attention norm",
        "decoder 1 feed-forward wo",
    } <= set(weights)


@pytest.mark.parametrize("method", [FullFineTuning(), LoRA(), LoRA(targets=("all",), dora=True), PromptTuning(3)])
def test_a_method_adds_and_hides_no_name(method: Method, tiny: Model) -> None:
    assert list(modules_with_weights(attach(tiny, method).net)) == list(modules_with_weights(tiny.net))


# as transformers 5 says of every T5 that it is tied, peft is surprised that this one is not
@pytest.mark.filterwarnings("ignore:Input and output embeddings are no longer tied after merging")
@pytest.mark.parametrize("method", [LoRA(rank=3), LoRA(rank=4, rslora=True), LoRA(dora=True)])
def test_a_merged_weight_is_the_one_that_peft_merges_and_the_model_keeps_its_own(method: LoRA, tiny: Model) -> None:
    model, name = attach(tiny, method), "decoder 1 cross-attention v"
    with torch.no_grad():
        for parameter in (p for p in model.net.parameters() if p.requires_grad):
            parameter += 0.1
    module = modules_with_weights(model.net)[name]
    merged = copy.deepcopy(model.net).merge_and_unload().decoder.block[1].layer[1].EncDecAttention.v.weight
    np.testing.assert_allclose(array(module, merged=True), merged.detach().numpy(), atol=1e-6)
    np.testing.assert_array_equal(array(module), tiny.net.decoder.block[1].layer[1].EncDecAttention.v.weight.detach())
    assert np.abs(array(module, merged=True) - array(module)).max() > 0.01
