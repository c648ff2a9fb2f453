"""What is peculiar to prefix tuning: keys and values in each attention, behind the cache, and peft's own beside it."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_runs import disturb, made_run
from outputs import batch, logits, written
from peft import get_peft_model_state_dict
from safetensors.torch import load_file

from labkit.adapters.together import together
from labkit.costs.measured import _keep_inputs_only
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.generation import generate, summarize
from labkit.methods import PrefixTuning, attach, restore
from labkit.models import Model, quiet
from labkit.parameters import shape_of
from labkit.runs import Run
from labkit.training import save, set_dropout
from labkit.tuners.prefix import PrefixLayer

KINDS = [PrefixTuning(tokens=5), PrefixTuning(tokens=5, cross=True), PrefixTuning(tokens=5, mlp=6)]
every_kind = pytest.mark.parametrize("method", KINDS, ids=lambda method: method.label)


def disturbed(tiny: Model, method: PrefixTuning, seed: int = 0) -> Model:
    return disturb(attach(tiny, method, seed=seed))


def prefixes(model: Model) -> dict[str, PrefixLayer]:
    return {name: layer for name, layer in model.net.named_modules() if isinstance(layer, PrefixLayer)}


@pytest.mark.parametrize(
    ("method", "trainable", "stored"),
    [
        # 20 keys and 20 values of 12 heads x 64 in 12 + 12 self-attentions
        (PrefixTuning(), 2 * 20 * 768 * 24, 737_280),
        (PrefixTuning(tokens=200), 2 * 200 * 768 * 24, 7_372_800),
        # the 12 cross-attentions of the decoder beside them
        (PrefixTuning(cross=True), 2 * 20 * 768 * 36, 1_105_920),
        # 20 x 768 inputs, 768 -> 64 -> 2 x 768 with biases, in each
        (PrefixTuning(mlp=64), 24 * (20 * 768 + 768 * 64 + 64 + 64 * 1536 + 1536), 737_280),
    ],
    ids=lambda value: getattr(value, "label", None),
)
def test_flan_t5_base_has_the_count_that_a_hand_comes_to(method: PrefixTuning, trainable: int, stored: int) -> None:
    shape = shape_of("google/flan-t5-base")
    assert (method.trainable(shape), method.stored(shape)) == (trainable, stored)


def test_flan_t5_small_whose_attention_is_narrower_than_the_model_has_6_heads_of_64() -> None:
    assert PrefixTuning(tokens=1).trainable(shape_of("google/flan-t5-small")) == 2 * 6 * 64 * (8 + 8)


def test_every_attention_has_a_prefix_of_its_own(tiny: Model) -> None:
    parts = {"": {"SelfAttention"}, "cross": {"SelfAttention", "EncDecAttention"}}
    for cross, expected in parts.items():
        layers = prefixes(attach(tiny, PrefixTuning(tokens=5, cross=bool(cross))))
        assert {name.split(".")[-1] for name in layers} == expected
        assert len(layers) == 2 + 2 * len(expected)
        found = [layer.prefix("default") for layer in layers.values()]
        assert {tuple(prefix.shape) for prefix in found} == {(5, 2 * 24)}
        assert not any(torch.equal(a, b) for i, a in enumerate(found) for b in found[:i])


def test_attention_is_over_prefix_and_text_as_written_out_by_hand(tiny: Model) -> None:
    model = disturbed(tiny, PrefixTuning(tokens=5))
    layer = model.net.base_model.model.decoder.block[1].layer[0].SelfAttention
    t5, learned, x, bias = (
        layer.base_layer,
        layer.prefix("default").detach(),
        torch.randn(2, 4, 32),
        torch.randn(3, 4, 4),
    )
    causal = torch.full((4, 4), -1e9).triu(1)
    with torch.no_grad():
        found = layer(x, mask=causal[None, None], position_bias=bias[None])[0]
        for row in range(2):
            heads = []
            for head in range(3):
                part = slice(8 * head, 8 * head + 8)
                q, k, v = ((x[row] @ linear.weight.T)[:, part] for linear in (t5.q, t5.k, t5.v))
                keys, values = torch.cat([learned[:, :24][:, part], k]), torch.cat([learned[:, 24:][:, part], v])
                scores = q @ keys.T
                scores[:, 5:] += bias[head] + causal  # every word sees the whole prefix, wherever it stands
                heads.append(scores.softmax(1) @ values)
            expected = torch.cat(heads, dim=1) @ t5.o.weight.T
            torch.testing.assert_close(found[row], expected, rtol=0, atol=1e-5)


def test_prefix_starts_as_what_the_model_makes_of_words(tiny: Model) -> None:
    first = attach(tiny, PrefixTuning(tokens=5)).net.base_model.model.encoder.block[0].layer[0]
    start, table = first.SelfAttention.prefix("default").detach(), tiny.net.shared.weight.detach()
    normed = table / table.pow(2).mean(1, keepdim=True).add(1e-6).sqrt() * first.layer_norm.weight.detach()
    attention = first.SelfAttention.base_layer
    known = torch.cat([normed @ attention.k.weight.T, normed @ attention.v.weight.T], dim=1).detach()
    nearest = (start[:, None] - known).abs().sum(2).min(1)
    assert nearest.values.max() < 1e-4
    assert not set(nearest.indices.tolist()) & set(tiny.tokenizer.all_special_ids)


def test_pefts_own_prefix_leaves_half_of_itself_without_a_gradient(tiny: Model, tiny_data: Dialogues) -> None:
    from peft import PrefixTuningConfig, get_peft_model

    config = PrefixTuningConfig(task_type="SEQ_2_SEQ_LM", num_virtual_tokens=5, token_dim=24)
    with quiet():
        theirs = get_peft_model(copy.deepcopy(tiny.net), config)
    ours = attach(tiny, PrefixTuning(tokens=5))
    shares = []
    for net in (theirs, ours.net):
        net(**batch(tiny, tiny_data)).loss.backward()
        gradients = [p.grad for p in net.parameters() if p.requires_grad]
        shares.append(sum(int((g != 0).sum()) for g in gradients) / sum(g.numel() for g in gradients))
    assert shares == [0.5, 1.0]


@every_kind
def test_writes_with_a_cache_what_it_writes_without(method: PrefixTuning, tiny: Model, tiny_data: Dialogues) -> None:
    model = disturbed(tiny, method)
    for beams in (1, 3):
        cached, plain = (written(model, tiny_data, use_cache=use, num_beams=beams) for use in (True, False))
        assert torch.equal(cached.sequences, plain.sequences)
        torch.testing.assert_close(torch.stack(cached.logits), torch.stack(plain.logits), rtol=0, atol=1e-5)


@every_kind
def test_every_score_of_a_text_is_that_of_the_training_forward(
    method: PrefixTuning, tiny: Model, tiny_data: Dialogues
) -> None:
    model = disturbed(tiny, method)
    out, rows = written(model, tiny_data), batch(model, tiny_data)
    with torch.no_grad():
        forward = model.net(
            input_ids=rows["input_ids"],
            attention_mask=rows["attention_mask"],
            decoder_input_ids=out.sequences[:, :-1],
        )
    torch.testing.assert_close(torch.stack(out.logits, dim=1), forward.logits, rtol=0, atol=1e-5)


@every_kind
@pytest.mark.parametrize("padded", [True, False])
def test_fused_attention_as_on_a_gpu_gives_the_same(
    method: PrefixTuning, padded: bool, tiny: Model, tiny_data: Dialogues
) -> None:
    model = disturbed(tiny, method)
    rows = batch(model, tiny_data)
    if not padded:  # there is no mask at all then, and sdpa is told that the decoder looks back only
        rows = {name: rows[name][:1] for name in ("input_ids", "labels")}
        rows["input_ids"] = rows["input_ids"][:, :16]
    with torch.no_grad():
        eager = model.net(**rows).logits
        model.net.get_base_model().set_attn_implementation("sdpa")
        fused = model.net(**rows).logits
    torch.testing.assert_close(fused, eager, rtol=0, atol=1e-5)
    assert not torch.equal(fused, eager)  # another kernel: it was not eager attention twice
    assert {tiny.net.config._attn_implementation, tiny.net.decoder.config._attn_implementation} == {"eager"}


@every_kind
def test_checkpointing_changes_no_gradient(method: PrefixTuning, tiny: Model, tiny_data: Dialogues) -> None:
    found = []
    for checkpointing in (False, True):
        net = disturbed(tiny, method).net.train()
        set_dropout(net, 0.0)
        if checkpointing:
            _keep_inputs_only(net)
        net(**batch(tiny, tiny_data)).loss.backward()
        found.append({name: p.grad for name, p in net.named_parameters() if p.requires_grad})
    plain, checkpointed = found
    for name, gradient in plain.items():
        torch.testing.assert_close(checkpointed[name], gradient, rtol=0, atol=1e-6)


@every_kind
def test_bfloat16_arithmetic_stays_near_float32(method: PrefixTuning, tiny: Model, tiny_data: Dialogues) -> None:
    model = disturbed(tiny, method)
    half = replace(model, precision="bf16")
    expected, base = logits(model, tiny_data), logits(tiny, tiny_data)
    for implementation in ("eager", "sdpa"):
        model.net.get_base_model().set_attn_implementation(implementation)
        with half.arithmetic():
            found = logits(half, tiny_data).float()
            half.net(**batch(half, tiny_data)).loss.backward()
        assert (found - expected).abs().mean() < 0.1 * (expected - base).abs().mean()
    rows = batch(tiny, tiny_data)["input_ids"].tolist()
    assert len(generate(half, rows, max_new_tokens=3, beams=2)) == 8


@every_kind
def test_disabled_it_writes_what_the_base_writes(method: PrefixTuning, tiny: Model, tiny_data: Dialogues) -> None:
    model = disturbed(tiny, method)
    base, changed = written(tiny, tiny_data), written(model, tiny_data)
    with model.net.disable_adapter():
        disabled = written(model, tiny_data)
    again = written(model, tiny_data)
    assert torch.equal(torch.stack(disabled.logits), torch.stack(base.logits))
    assert not torch.equal(changed.sequences, base.sequences)
    assert torch.equal(torch.stack(again.logits), torch.stack(changed.logits))


def test_several_prefixes_are_loaded_and_switched(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    models, folders = {}, {}
    for seed, (name, method) in enumerate({"plain": KINDS[0], "long": PrefixTuning(9), "mlp": KINDS[2]}.items()):
        models[name], run = disturbed(tiny, method, seed=seed), Run(tmp_path / name)
        run.start({"method": method.dials()})
        save(models[name], run)
        folders[name] = run.weights
    net = restore(tiny, KINDS[0], folders["plain"]).net
    with quiet():
        for name in ("long", "mlp"):
            net.load_adapter(folders[name], name)
    for name in ("mlp", "plain", "long", "mlp"):
        net.set_adapter("default" if name == "plain" else name)
        expected = logits(models[name], tiny_data)
        torch.testing.assert_close(logits(tiny, tiny_data, net), expected, rtol=0, atol=1e-6)
    net.set_adapter("long")
    net.delete_adapter("mlp")
    torch.testing.assert_close(logits(tiny, tiny_data, net), logits(models["long"], tiny_data), rtol=0, atol=1e-6)


def test_a_prefix_beside_one_in_more_attentions_is_kept_as_it_is_alone(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    methods = {"default": PrefixTuning(tokens=5), "adapter1": PrefixTuning(tokens=5, cross=True)}
    runs = {name: made_run(tmp_path / name, tiny, method, tiny_data) for name, method in methods.items()}
    both = together(tiny, runs)
    for name, run in runs.items():
        found = get_peft_model_state_dict(both.net, adapter_name=name, save_embedding_layers=False)
        alone = load_file(run.weights / "adapter_model.safetensors")
        assert found.keys() == alone.keys()
        assert all(torch.equal(found[key], alone[key]) for key in alone)


def test_a_summary_of_one_dialogue_is_that_of_it_among_others(tiny: Model, tiny_data: Dialogues) -> None:
    model, dialogues = disturbed(tiny, PrefixTuning(tokens=5)), tiny_data.test["dialogue"]
    together = summarize(model, dialogues, beams=2, max_new_tokens=8)
    assert [summarize(model, [one], beams=2, max_new_tokens=8)[0] for one in dialogues] == together


@pytest.mark.parametrize(
    ("dials", "expected"),
    [({"tokens": 0}, "a prefix of 0 tokens is none: use 1 or more"), ({"mlp": 0}, "mlp 0 is no width: use 1 or more")],
)
def test_a_bad_dial_is_refused(dials: dict[str, int], expected: str) -> None:
    with pytest.raises(LabError, match=expected):
        PrefixTuning(**dials)
