"""Where LoRA starts, in which layers, and with which ranks: against numbers and networks from elsewhere."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from labkit.batches import collator, encode_rows
from labkit.costs.activations import Step
from labkit.costs.budget import predict_memory
from labkit.costs.measured import measure_memory
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.inside.ranks import ranks
from labkit.methods import LoRA, attach
from labkit.models import Model, quiet
from labkit.parameters import FLAN_T5, shape_of
from labkit.runs import Run
from labkit.training import save

PISSA = LoRA(rank=3, alpha=4, init="pissa")
Q = "encoder.block.0.layer.0.SelfAttention.q"


def train_steps(net: Any, inputs: dict[str, torch.Tensor], steps: int = 3) -> torch.Tensor:
    """Logits after some steps without dropout."""
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        net(**inputs).loss.backward()
        optimizer.step()
    with torch.no_grad():
        out: torch.Tensor = net(**inputs).logits
    return out


@pytest.fixture
def inputs(tiny: Model, tiny_data: Dialogues) -> dict[str, torch.Tensor]:
    rows, _ = encode_rows(tiny, tiny_data.validation)
    return dict(collator(tiny)(rows))


def test_pissa_starts_from_the_best_approximation_of_each_weight(tiny: Model) -> None:
    layer = attach(tiny, PISSA).net.get_base_model().get_submodule(Q)
    weight = tiny.net.get_submodule(Q).weight.detach()
    # W projected on the three directions in which it is longest, which are eigenvectors of W^T W
    _, directions = torch.linalg.eigh(weight.T @ weight)
    best = weight @ directions[:, -3:] @ directions[:, -3:].T
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    torch.testing.assert_close(4 / 3 * b @ a, best, rtol=0, atol=1e-5)
    assert torch.equal(layer.base_layer.weight, weight)


def test_pissa_learns_what_pefts_own_learns_which_changes_the_base(tiny: Model, inputs: dict[str, Any]) -> None:
    config = LoraConfig(r=3, lora_alpha=4, target_modules=["q", "v"], init_lora_weights="pissa")
    with quiet():
        theirs = get_peft_model(copy.deepcopy(tiny.net), config)
    assert not torch.equal(theirs.base_model.model.get_submodule(Q).base_layer.weight, tiny.net.get_submodule(Q).weight)
    ours = train_steps(attach(tiny, PISSA).net, inputs)
    torch.testing.assert_close(ours, train_steps(theirs, inputs), rtol=0, atol=1e-3)
    assert (ours - train_steps(attach(tiny, LoRA(rank=3, alpha=4)).net, inputs)).abs().max() > 0.05


@pytest.mark.parametrize(
    "method",
    [PISSA, LoRA(rank=4, alpha=3, rslora=True, init="pissa", ranks="decoder=2,v=5")],
    ids=lambda method: method.label,
)
def test_what_pissa_saves_is_a_lora_of_twice_the_rank_for_the_untouched_base(
    method: LoRA, tiny: Model, inputs: dict[str, Any], tmp_path: Path
) -> None:
    model, run = attach(tiny, method), Run(tmp_path)
    run.start({"method": method.dials()})
    expected = train_steps(model.net, inputs)
    save(model, run)
    with quiet():
        plain = PeftModel.from_pretrained(copy.deepcopy(tiny.net), run.weights)  # without anything of ours
    with torch.no_grad():
        base = tiny.net(**inputs).logits
        torch.testing.assert_close(plain(**inputs).logits, expected, rtol=0, atol=1e-5)
        with plain.disable_adapter():
            assert torch.equal(plain(**inputs).logits, base)
    assert (expected - base).abs().max() > 0.05
    config = json.loads((run.weights / "adapter_config.json").read_text())
    assert config["r"] == 2 * method.rank
    assert config["init_lora_weights"] is True
    trained = ranks(model)
    assert ranks(Model(tiny.name, plain, tiny.tokenizer, tiny.revision, "fp32", method)) == {
        name: 2 * rank for name, rank in trained.items()
    }
    save(Model(tiny.name, plain, tiny.tokenizer, tiny.revision, "fp32", method), run)  # once more, and no larger
    assert json.loads((run.weights / "adapter_config.json").read_text())["r"] == 2 * method.rank


@pytest.mark.parametrize(
    ("layers", "adapted"),
    [
        ("last 1", {"encoder.block.1", "decoder.block.1"}),
        ("0", {"encoder.block.0", "decoder.block.0"}),
        ("0,1", {f"{stack}.block.{layer}" for stack in ("encoder", "decoder") for layer in (0, 1)}),
    ],
)
def test_layers_says_which_are_adapted(layers: str, adapted: set[str], tiny: Model) -> None:
    net = attach(tiny, LoRA(layers=layers)).net
    names = [name.removeprefix("base_model.model.") for name, p in net.named_parameters() if p.requires_grad]
    assert {".".join(name.split(".")[:3]) for name in names} == adapted
    # q and v of one encoder attention and two decoder attentions a layer, each with A and B
    assert len(names) == len(adapted) // 2 * 3 * 2 * 2


def test_ranks_says_which_layer_has_another_and_the_last_that_fits_counts(tiny: Model) -> None:
    found = ranks(attach(tiny, LoRA(rank=2, ranks="decoder=3,cross-attention=4,v=5")))
    assert found["encoder 0 self-attention q"] == 2
    assert found["decoder 1 self-attention q"] == 3
    assert found["decoder 1 cross-attention q"] == 4
    assert {rank for name, rank in found.items() if name.endswith(" v")} == {5}


@pytest.mark.parametrize(
    ("method", "scale"),
    [
        (LoRA(rank=4, ranks="decoder=8"), 2.0),
        (LoRA(rank=4, alpha=6, ranks="decoder=8,v=1"), 1.5),
        (LoRA(rank=4, alpha=6, ranks="decoder=8,v=1", rslora=True), 3.0),
    ],
)
def test_the_scale_is_the_same_whatever_the_rank(method: LoRA, scale: float, tiny: Model) -> None:
    net = attach(tiny, method).net
    scales = [module.scaling["default"] for module in net.modules() if hasattr(module, "lora_A")]
    assert scales == pytest.approx([scale] * 12)


@pytest.mark.parametrize(
    ("method", "trainable"),
    [  # of FLAN-T5-base: 12 + 2 x 12 attentions of 768 to 768, feed-forward 768 to 2,048 and back
        (LoRA(rank=8, layers="last 2"), 6 * 2 * 8 * 1536),
        (LoRA(rank=8, layers="0,5,11", targets=("wo",)), 6 * 8 * 2816),
        (LoRA(rank=8, ranks="decoder=16,encoder=4"), 24 * 4 * 1536 + 48 * 16 * 1536),
        (LoRA(rank=8, ranks="v=16"), 36 * 8 * 1536 + 36 * 16 * 1536),
        (LoRA(rank=8, ranks="cross-attention=1", layers="0", dora=True), 4 * 8 * 1536 + 2 * 1 * 1536 + 6 * 768),
        (LoRA(rank=8, init="pissa"), 884_736),
    ],
    ids=lambda value: value.label if isinstance(value, LoRA) else "",
)
def test_counts_follow_from_layers_and_ranks(method: LoRA, trainable: int) -> None:
    assert method.count(FLAN_T5["google/flan-t5-base"]).trainable == trainable


def test_pissas_file_and_memory_hold_what_it_started_from_too(tiny: Model) -> None:
    base = FLAN_T5["google/flan-t5-base"]
    assert LoRA(init="pissa").stored(base) == 2 * 884_736
    assert LoRA(init="pissa").count(base).total == base.total + 2 * 884_736
    step = Step(batch_size=2, source_tokens=32, target_tokens=8)
    predicted, measured = predict_memory(shape_of(tiny.name), PISSA, step), measure_memory(attach(tiny, PISSA), step)
    assert predicted.weights == measured.weights
    assert predicted.activations == pytest.approx(measured.activations, rel=0.1)


@pytest.mark.parametrize(
    ("method", "why"),
    [
        (LoRA(layers="2"), r"layers='2' names more than the 2 layers that there are: use 0 to 1"),
        (LoRA(ranks="wo=4"), r"ranks='wo=4' names wo, where nothing is adapted: change ranks or targets"),
        (LoRA(ranks="v=25"), r"rank 25 is above 24, the width of the narrowest target layer: use 1 to 24"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(method: LoRA, why: str, tiny: Model) -> None:
    with pytest.raises(LabError, match=why) as caught:
        attach(tiny, method)
    assert "\n" not in str(caught.value)
