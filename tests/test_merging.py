"""Merging: a plain network that writes the same, or a refusal."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from fewer_bits import either
from made_runs import disturb

from labkit.adapters.merging import logit_difference, merge
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.generation import summarize
from labkit.methods import (
    IA3,
    Bottleneck,
    FullFineTuning,
    LoRA,
    Method,
    PromptTuning,
    Selective,
    attach,
    in_full_precision,
)
from labkit.models import Model
from labkit.parameters import count_parameters
from labkit.quantization import quantize
from labkit.runs import Run

every_lora = pytest.mark.parametrize(
    "method",
    [LoRA(), LoRA(rank=3, targets=("all",)), LoRA(dora=True), LoRA(rank=4, rslora=True)],
    ids=lambda m: m.label,
)


def logits(model: Model) -> torch.Tensor:
    ids = torch.arange(3, 60).reshape(3, 19)
    with torch.no_grad():
        out: torch.Tensor = model.net(input_ids=ids, decoder_input_ids=ids[:, :7]).logits
    return out


@every_lora
def test_what_is_merged_gives_the_same_logits_and_other_ones_than_the_base(method: Method, tiny: Model) -> None:
    model = disturb(attach(tiny, method))
    merged = merge(model)
    torch.testing.assert_close(logits(merged), logits(model), rtol=0, atol=1e-4)
    assert (logits(merged) - logits(tiny)).abs().max() > 0.01


@every_lora
def test_what_is_merged_is_a_plain_network_with_the_weights_of_the_base(method: Method, tiny: Model) -> None:
    merged = merge(disturb(attach(tiny, method)))
    assert type(merged.net) is type(tiny.net)
    assert [name for name, _ in merged.net.named_parameters()] == [name for name, _ in tiny.net.named_parameters()]
    assert count_parameters(merged) == count_parameters(tiny)
    assert not merged.net.training


def test_merging_adds_the_scaled_product_of_b_and_a_to_each_target_and_changes_nothing_else(tiny: Model) -> None:
    model = disturb(attach(tiny, LoRA(rank=4, alpha=6)))
    layer = model.net.base_model.model.encoder.block[0].layer[0].SelfAttention.q
    change = 6 / 4 * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    merged, base = dict(merge(model).net.named_parameters()), dict(tiny.net.named_parameters())
    name = "encoder.block.0.layer.0.SelfAttention.q.weight"
    torch.testing.assert_close(merged[name], base[name] + change, rtol=0, atol=1e-6)
    changed = {name.split(".")[-2] for name in base if not torch.equal(base[name], merged[name])}
    assert changed == {"q", "v"}


def test_merging_ia3_scales_the_outputs_of_k_and_v_and_the_inputs_of_wo(tiny: Model) -> None:
    model = disturb(attach(tiny, IA3()))
    merged, base = dict(merge(model).net.named_parameters()), dict(tiny.net.named_parameters())
    block = model.net.base_model.model.encoder.block[0]
    keys = block.layer[0].SelfAttention.k.ia3_l["default"]  # shape (out, 1)
    inside = block.layer[1].DenseReluDense.wo.ia3_l["default"]  # shape (1, in)
    for name, factors in (("0.SelfAttention.k", keys), ("1.DenseReluDense.wo", inside)):
        name = f"encoder.block.0.layer.{name}.weight"
        torch.testing.assert_close(merged[name], base[name] * factors, rtol=0, atol=1e-6)
    changed = {name.split(".")[-2] for name in base if not torch.equal(base[name], merged[name])}
    assert changed == {"k", "v", "wo"}


def test_merging_trained_copies_puts_them_in_the_place_of_the_layers(tiny: Model) -> None:
    model = disturb(attach(tiny, Selective(part="decoder", layers="1", weights="norms")))
    merged, base = dict(merge(model).net.named_parameters()), dict(tiny.net.named_parameters())
    trained = {name: p for name, p in model.net.named_parameters() if p.requires_grad}
    changed = {name for name in base if not torch.equal(base[name], merged[name])}
    assert changed == {f"decoder.block.1.layer.{number}.layer_norm.weight" for number in range(3)}
    assert len(trained) == 3
    for name, weight in trained.items():
        place = name.removeprefix("base_model.model.").replace(".ln_tuning_layers.default", "")
        assert torch.equal(merged[place], weight)


def test_the_head_stays_a_head_of_its_own(tiny: Model) -> None:
    merged = merge(disturb(attach(tiny, LoRA())))
    assert torch.equal(merged.net.lm_head.weight, tiny.net.lm_head.weight)
    assert merged.net.lm_head.weight is not merged.net.shared.weight
    assert not torch.equal(merged.net.lm_head.weight, merged.net.shared.weight)


def test_merging_leaves_the_model_as_it_was(tiny: Model) -> None:
    model = disturb(attach(tiny, LoRA()))
    model.net.train()
    before = {name: weight.clone() for name, weight in model.net.state_dict().items()}
    merge(model)
    after = model.net.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(module.training for module in model.net.modules())


def test_what_is_merged_writes_the_same_summaries(tiny: Model, tiny_data: Dialogues) -> None:
    model, dialogues = disturb(attach(tiny, LoRA())), list(tiny_data.test["dialogue"])
    written = summarize(model, dialogues, max_new_tokens=8)
    assert summarize(merge(model), dialogues, max_new_tokens=8) == written
    assert summarize(tiny, dialogues, max_new_tokens=8) != written


def test_what_is_merged_is_a_base_that_takes_another_method(tiny: Model) -> None:
    merged = merge(disturb(attach(tiny, LoRA())))
    assert merged.method is None
    assert torch.equal(logits(attach(merged, LoRA(rank=2))), logits(merged))


def test_name_and_revision_tell_what_was_merged_into_what(tiny: Model) -> None:
    first, same, other = (merge(disturb(attach(tiny, LoRA(rank=2)), seed)) for seed in (1, 1, 2))
    assert first.name == f"{tiny.name} with lora rank=2 merged"
    assert first.revision.startswith(f"{tiny.revision}+")
    assert first.revision == same.revision
    assert first.revision != other.revision


def test_a_merge_that_changes_the_logits_is_refused(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peft.LoraModel, "merge_and_unload", peft.LoraModel.unload)  # forgets what was learned
    with pytest.raises(LabError, match=r"merged lora differs by .* of the largest logit: keep it unmerged"):
        merge(disturb(attach(tiny, LoRA())))


def test_weights_that_are_no_numbers_are_refused(tiny: Model) -> None:
    model = attach(tiny, LoRA())
    with torch.no_grad():
        model.net.base_model.model.encoder.block[0].layer[0].SelfAttention.q.lora_B["default"].weight[0] = torch.nan
    with pytest.raises(LabError, match="merged lora differs by nan"):
        merge(model)


@pytest.mark.parametrize(
    ("method", "why"),
    [
        (None, "tiny cannot be merged, it is one plain network already: use it as it is"),
        (FullFineTuning(), "full cannot be merged, it is one plain network already: use it"),
        (Bottleneck(width=4), "bottleneck width=4 cannot be merged, the bend between its matrices is no change of a w"),
        (
            PromptTuning(tokens=5),
            "tokens=5 cannot be merged, its virtual tokens are input, and no change of a weight: ",
        ),
    ],
)
def test_what_holds_no_lora_is_refused_with_the_reason(method: Method | None, why: str, tiny: Model) -> None:
    with pytest.raises(LabError, match=why) as caught:
        merge(attach(tiny, method) if method else tiny)
    assert "\n" not in str(caught.value)


def test_a_run_is_to_be_opened_first(tmp_path: Path) -> None:
    run: Any = Run(tmp_path)
    with pytest.raises(LabError, match=r"a Run is no model: give open_run\(run, base\)"):
        merge(run)


# --- a base in fewer bits ---

every_store = pytest.mark.parametrize("bits", either)


@every_store
def test_what_was_learned_over_fewer_bits_is_merged_into_the_numbers_that_they_stand_for(
    bits: int, tiny: Model
) -> None:
    model = disturb(attach(tiny, LoRA(rank=3, bits=bits)))
    merged = merge(model)
    torch.testing.assert_close(logits(merged), logits(model), rtol=0, atol=1e-4)
    assert merged.name == f"{tiny.name} with lora rank=3 bits={bits} merged"
    assert type(merged.net) is type(tiny.net)
    assert {(type(weight), weight.dtype) for weight in merged.net.parameters()} == {(torch.nn.Parameter, torch.float32)}


@every_store
def test_merged_into_the_base_as_it_was_it_computes_what_it_does_beside_that_base(bits: int, tiny: Model) -> None:
    model = disturb(attach(tiny, LoRA(bits=bits)))
    whole, merged = in_full_precision(model, tiny), merge(model, tiny)
    assert logit_difference(whole, merged) < 1e-5
    assert logit_difference(model, merged) == pytest.approx(logit_difference(model, whole), abs=1e-5)
    assert logit_difference(model, merged) > 1e-2
    assert merged.name == f"{tiny.name} with lora bits={bits} merged into {tiny.name}"


@every_store
def test_a_merge_that_is_rounded_to_fewer_bits_again_is_refused_with_the_reason(
    bits: int, tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = disturb(attach(tiny, LoRA(bits=bits)), width=0.2)

    plainly = peft.LoraModel.merge_and_unload
    monkeypatch.setattr(peft.LoraModel, "merge_and_unload", lambda self: quantize(plainly(self), bits))
    with pytest.raises(LabError, match=rf"^merged lora bits={bits} differs by \S+ of the largest logit: keep it un"):
        merge(model)


@every_store
def test_peft_does_not_merge_into_fewer_bits_either(bits: int, tiny: Model) -> None:
    with pytest.raises((ValueError, RuntimeError)):
        disturb(attach(tiny, LoRA(bits=bits))).net.merge_and_unload()


@every_store
def test_another_base_than_the_one_it_was_trained_from_is_refused(bits: int, tiny: Model) -> None:
    with pytest.raises(LabError, match=rf"bits={bits} was trained from .*tiny, not from other: give that base"):
        merge(attach(tiny, LoRA(bits=bits)), replace(tiny, name="other"))
