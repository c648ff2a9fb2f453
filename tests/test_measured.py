"""Memory that PyTorch really takes on the tiny model, beside what was predicted."""

from dataclasses import replace

import pytest
import torch
from fewer_bits import needs

from labkit.costs.activations import Step
from labkit.costs.budget import predict_memory
from labkit.costs.measured import measure_memory
from labkit.errors import LabError
from labkit.methods import (
    FAMILY,
    IA3,
    AdaLoRA,
    Bottleneck,
    FullFineTuning,
    LayerNormTuning,
    LlamaAdapter,
    LoRA,
    Method,
    MultitaskPromptTuning,
    PrefixTuning,
    PromptTuning,
    PTuning,
    Selective,
    attach,
)
from labkit.models import Model

STEP = Step(batch_size=3, source_tokens=56, target_tokens=16)
METHODS = [
    FullFineTuning(),
    LoRA(rank=4),
    LoRA(rank=8, targets=("all",)),
    LoRA(rank=4, dora=True),
    LoRA(init="pissa"),
    LoRA(targets=("wi_1",), layers="last 1"),
    AdaLoRA(),
    AdaLoRA(rank=2, start=3, targets=("all",)),
    Selective(),
    Selective(part="all", layers="all"),
    Selective(part="head"),
    Selective(part="encoder", layers="0", weights="norms"),
    Bottleneck(4),
    Bottleneck(16, place="pfeiffer"),
    Bottleneck(16, place="parallel"),
    IA3(),
    LayerNormTuning(),
    PrefixTuning(5),
    PrefixTuning(20, cross=True),
    PrefixTuning(20, mlp=16),
    LlamaAdapter(5),
    LlamaAdapter(20, layers="all", encoder=True),
    PromptTuning(8),
    PTuning(8, hidden=16),
    PTuning(64, hidden=400),
    MultitaskPromptTuning(8, num_ranks=2),
]
every_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.label)


FEWER = [
    pytest.param(method, marks=needs(method.bits), id=method.label)
    for method in (LoRA(rank=4, bits=8), LoRA(rank=8, targets=("all",), bits=8, dora=True), LoRA(rank=4, bits=4))
]


def test_the_list_holds_every_method() -> None:
    assert {type(method) for method in METHODS} == set(FAMILY)


@pytest.mark.parametrize("method", [*(pytest.param(each, id=each.label) for each in METHODS), *FEWER])
def test_what_was_predicted_is_measured(tiny: Model, method: Method) -> None:
    predicted, measured = predict_memory(tiny.name, method, STEP), measure_memory(attach(tiny, method), STEP)
    assert (measured.weights, measured.gradients) == (predicted.weights, predicted.gradients)
    assert measured.optimizer == pytest.approx(predicted.optimizer, rel=0.01, abs=4 * 200)  # a count of steps a tensor
    assert measured.adapter == predicted.adapter
    assert predicted.activations == pytest.approx(measured.activations, rel=0.03)


@every_method
def test_what_was_predicted_is_measured_with_checkpointing(tiny: Model, method: Method) -> None:
    step, model = replace(STEP, checkpointing=True), attach(tiny, method)
    measured = measure_memory(model, step)
    assert predict_memory(tiny.name, method, step).activations == pytest.approx(measured.activations, rel=0.1)
    assert measured.gradients == measure_memory(model, STEP).gradients


def test_twice_the_batch_is_measured_as_twice_the_activations(tiny: Model) -> None:
    model = attach(tiny, LoRA(rank=4))
    one, two = (measure_memory(model, replace(STEP, batch_size=size)).activations for size in (2, 4))
    assert two == pytest.approx(2 * one, rel=0.02)


@pytest.mark.parametrize(
    "method",
    [
        FullFineTuning(),
        LoRA(rank=4),
        AdaLoRA(),
        Bottleneck(16),
        IA3(),
        LayerNormTuning(),
        PrefixTuning(20, mlp=16),
        LlamaAdapter(5),
        PromptTuning(8),
        PTuning(8, hidden=16),
    ],
    ids=lambda method: method.label,
)
def test_bf16_is_measured_with_its_copies_of_the_matrices(tiny: Model, method: Method) -> None:
    step = replace(STEP, precision="bf16")
    predicted, measured = predict_memory(tiny.name, method, step), measure_memory(attach(tiny, method), step)
    assert measured.weights == predicted.weights
    # of a trained matrix that reads what has no gradient, autocast has a copy that autograd does not need
    assert predicted.copies == pytest.approx(measured.copies, rel=0.03)
    assert predicted.copies >= measured.copies


def test_the_model_is_left_as_it_was(tiny: Model) -> None:
    model = attach(tiny, FullFineTuning())
    before = {name: tensor.clone() for name, tensor in model.net.state_dict().items()}
    measure_memory(model, replace(STEP, checkpointing=True))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.net.state_dict().items())
    assert all(parameter.grad is None for parameter in model.net.parameters())
    assert not model.net.training
    assert not model.net.encoder.block[0].gradient_checkpointing


def test_a_base_model_is_refused(tiny: Model) -> None:
    with pytest.raises(LabError, match="has no method attached"):
        measure_memory(tiny, STEP)
