"""What is peculiar to LLaMA-Adapter: an attention of its own beside that to the text, and gates that start shut."""

import copy
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from made_runs import disturb, made_run
from outputs import batch, logits, written
from peft import AdaptionPromptConfig, get_peft_model

from labkit.adapters.together import together
from labkit.curves import plot_gates
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.generation import generate, summarize
from labkit.inside.gates import gates, gates_map
from labkit.methods import IA3, LlamaAdapter, attach, restore
from labkit.models import Model, quiet
from labkit.opening import open_run
from labkit.parameters import shape_of
from labkit.runs import Run
from labkit.training import Training, save, train

KINDS = [LlamaAdapter(tokens=5), LlamaAdapter(tokens=5, layers="all", encoder=True)]
every_kind = pytest.mark.parametrize("method", KINDS, ids=lambda method: method.label)


def disturbed(tiny: Model, method: LlamaAdapter, seed: int = 0) -> Model:
    """With gates far enough open that what comes through them counts."""
    model = disturb(attach(tiny, method, seed=seed))
    with torch.no_grad():
        for name, parameter in model.net.named_parameters():
            if "adaption_gate" in name:
                parameter += torch.linspace(-1, 1, len(parameter))
    return model


@pytest.mark.parametrize(
    ("method", "trainable"),
    [
        # 10 vectors of 768, and 12 gates, in each of 2, 12 and 12 + 12 layers
        (LlamaAdapter(layers="last 2"), 2 * (10 * 768 + 12)),
        (LlamaAdapter(layers="all"), 92_304),
        (LlamaAdapter(layers="all", encoder=True), 184_608),
    ],
    ids=lambda value: getattr(value, "label", None),
)
def test_flan_t5_base_has_the_count_that_a_hand_comes_to(method: LlamaAdapter, trainable: int) -> None:
    assert method.trainable(shape_of("google/flan-t5-base")) == trainable


@every_kind
def test_it_starts_as_exactly_the_base(method: LlamaAdapter, tiny: Model, tiny_data: Dialogues) -> None:
    model = attach(tiny, method)
    assert torch.equal(logits(model, tiny_data), logits(tiny, tiny_data))
    assert set(itertools.chain(*gates(model).values())) == {0.0}


def test_attention_to_the_vectors_is_added_before_o_as_written_out_by_hand(tiny: Model) -> None:
    model = disturbed(tiny, LlamaAdapter(tokens=5))
    layer = model.net.base_model.model.decoder.block[1].layer[0].SelfAttention
    t5, p, x, bias = layer.base_layer, layer.adaption_prompt["default"].weight, torch.randn(4, 32), torch.randn(3, 4, 4)
    raw, causal, heads = layer.adaption_gate["default"], torch.full((4, 4), -1e9).triu(1), []
    with torch.no_grad():
        found = layer(x[None], mask=causal[None, None], position_bias=bias[None])[0][0]
        for head in range(3):
            part = slice(8 * head, 8 * head + 8)
            q, k, v = ((x @ linear.weight.T)[:, part] for linear in (t5.q, t5.k, t5.v))
            p_k, p_v = ((p @ linear.weight.T)[:, part] for linear in (t5.k, t5.v))
            text = (q @ k.T + bias[head] + causal).softmax(1) @ v
            heads.append(text + raw[head].tanh() * ((q @ p_k.T).softmax(1) @ p_v))
        expected = torch.cat(heads, dim=1) @ t5.o.weight.T
    assert raw.abs().min() > 0.01
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("method", "places"),
    [
        (LlamaAdapter(layers="last 1"), ["decoder 1"]),
        (LlamaAdapter(layers="0"), ["decoder 0"]),
        (LlamaAdapter(layers="last 1", encoder=True), ["encoder 1", "decoder 1"]),
        (LlamaAdapter(layers="all", encoder=True), ["encoder 0", "encoder 1", "decoder 0", "decoder 1"]),
    ],
    ids=lambda value: getattr(value, "label", None),
)
def test_the_layers_that_are_named_have_gates_and_no_others(
    method: LlamaAdapter, places: list[str], tiny: Model
) -> None:
    found = gates(attach(tiny, method))
    assert list(found) == places
    assert {len(heads) for heads in found.values()} == {3}


@every_kind
def test_writes_with_a_cache_what_it_writes_without(method: LlamaAdapter, tiny: Model, tiny_data: Dialogues) -> None:
    model = disturbed(tiny, method)
    for beams in (1, 3):
        cached, plain = (written(model, tiny_data, use_cache=use, num_beams=beams) for use in (True, False))
        assert torch.equal(cached.sequences, plain.sequences)
        torch.testing.assert_close(torch.stack(cached.logits), torch.stack(plain.logits), rtol=0, atol=1e-5)


@every_kind
def test_every_score_of_a_text_is_that_of_the_training_forward(
    method: LlamaAdapter, tiny: Model, tiny_data: Dialogues
) -> None:
    model = disturbed(tiny, method)
    out, rows = written(model, tiny_data), batch(model, tiny_data)
    asked = {"input_ids": rows["input_ids"], "attention_mask": rows["attention_mask"]}
    with torch.no_grad():
        forward = model.net(**asked, decoder_input_ids=out.sequences[:, :-1])
    torch.testing.assert_close(torch.stack(out.logits, dim=1), forward.logits, rtol=0, atol=1e-5)


@every_kind
def test_fused_attention_as_on_a_gpu_gives_the_same(method: LlamaAdapter, tiny: Model, tiny_data: Dialogues) -> None:
    model = disturbed(tiny, method)
    eager = logits(model, tiny_data)
    model.net.get_base_model().set_attn_implementation("sdpa")
    fused = logits(model, tiny_data)
    torch.testing.assert_close(fused, eager, rtol=0, atol=1e-5)
    assert not torch.equal(fused, eager)  # another kernel: it was not eager attention twice


@every_kind
def test_bfloat16_arithmetic_stays_near_float32(method: LlamaAdapter, tiny: Model, tiny_data: Dialogues) -> None:
    model = disturbed(tiny, method)
    half = replace(model, precision="bf16")
    expected, base = logits(model, tiny_data), logits(tiny, tiny_data)
    with half.arithmetic():
        found = logits(half, tiny_data).float()
    assert (found - expected).abs().mean() < 0.1 * (expected - base).abs().mean()
    assert len(generate(half, batch(half, tiny_data)["input_ids"].tolist(), max_new_tokens=3, beams=2)) == 8


@every_kind
def test_disabled_it_writes_what_the_base_writes(method: LlamaAdapter, tiny: Model, tiny_data: Dialogues) -> None:
    model = disturbed(tiny, method)
    base, changed = written(tiny, tiny_data), written(model, tiny_data)
    with model.net.disable_adapter():
        disabled = written(model, tiny_data)
    again = written(model, tiny_data)
    assert torch.equal(torch.stack(disabled.logits), torch.stack(base.logits))
    assert not torch.equal(changed.sequences, base.sequences)
    assert torch.equal(torch.stack(again.logits), torch.stack(changed.logits))


def test_several_adapters_are_loaded_and_switched(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    models, folders = {}, {}
    for seed, (name, method) in enumerate({"one": KINDS[0], "long": LlamaAdapter(9, "all"), "both": KINDS[1]}.items()):
        models[name], run = disturbed(tiny, method, seed=seed), Run(tmp_path / name)
        run.start({"method": method.dials()})
        save(models[name], run)
        folders[name] = run.weights
    net = restore(tiny, KINDS[0], folders["one"]).net
    with quiet():
        for name in ("long", "both"):
            net.load_adapter(folders[name], name)
    for name in ("both", "one", "long", "both"):
        net.set_adapter("default" if name == "one" else name)
        expected = logits(models[name], tiny_data)
        torch.testing.assert_close(logits(tiny, tiny_data, net), expected, rtol=0, atol=1e-6)
    net.set_adapter("long")
    net.delete_adapter("both")
    torch.testing.assert_close(logits(tiny, tiny_data, net), logits(models["long"], tiny_data), rtol=0, atol=1e-6)


def test_a_summary_of_one_dialogue_is_that_of_it_among_others(tiny: Model, tiny_data: Dialogues) -> None:
    model, dialogues = disturbed(tiny, KINDS[1]), tiny_data.test["dialogue"]
    together = summarize(model, dialogues, beams=2, max_new_tokens=8)
    assert [summarize(model, [one], beams=2, max_new_tokens=8)[0] for one in dialogues] == together


def test_the_gates_are_those_of_the_network_behind_a_tanh(tiny: Model) -> None:
    model = disturbed(tiny, KINDS[0])
    decoder = model.net.base_model.model.decoder
    expected = [decoder.block[i].layer[0].SelfAttention.adaption_gate["default"].tanh().tolist() for i in range(2)]
    assert list(gates(model).values()) == expected
    assert {gate > 0 for heads in expected for gate in heads} == {True, False}


def test_the_gates_are_those_of_the_adapter_in_use(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    methods = {"a": LlamaAdapter(tokens=5, layers="last 1"), "b": LlamaAdapter(tokens=5, layers="0")}
    runs = {name: made_run(tmp_path / name, tiny, method, tiny_data) for name, method in methods.items()}
    both, alone = together(tiny, runs), {name: gates(open_run(run, tiny)) for name, run in runs.items()}
    assert list(alone["a"]) == ["decoder 1"]
    assert {name: gates(both.use(name)) for name in methods} == alone
    both.unload("a")
    assert gates(both.use("b")) == alone["b"]


def test_a_training_opens_the_gates_and_its_history_tells_how_far(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    model, run = attach(tiny, KINDS[0]), Run(tmp_path)
    run.start({"method": KINDS[0].dials()})
    train(model, tiny_data, run, Training(steps=4, batch_size=4, validations=2))
    lines = plot_gates(run.history).data
    assert [line.name for line in lines] == ["decoder 0", "decoder 1"]
    for line, heads in zip(lines, gates(model).values(), strict=True):
        assert list(line.x) == [1, 2, 3, 4]
        assert 0 < line.y[0] < 1
        assert line.y[-1] == pytest.approx(sum(abs(gate) for gate in heads) / 3)


def test_a_history_without_gates_gives_an_empty_figure() -> None:
    assert not plot_gates([{"step": 1, "loss": 2.0}]).data


def test_the_map_has_a_line_a_layer_and_a_column_a_head(tiny: Model) -> None:
    found = gates(disturbed(tiny, KINDS[1]))
    (drawn,) = gates_map(found).data
    assert list(drawn.y) == ["encoder 0", "encoder 1", "decoder 0", "decoder 1"]
    assert list(drawn.x) == ["head 0", "head 1", "head 2"]
    assert [list(row) for row in drawn.z] == list(found.values())


def test_a_model_without_gates_is_refused(tiny: Model) -> None:
    with pytest.raises(LabError, match="ia3 has no gates: give a model with LLaMA-Adapter"):
        gates(attach(tiny, IA3()))


def test_pefts_own_refuses_t5(tiny: Model) -> None:
    config = AdaptionPromptConfig(task_type="SEQ_2_SEQ_LM", adapter_len=5, adapter_layers=2)
    with pytest.raises(ValueError, match=r"^Unsupported model type for adaption prompt: 't5'\.$"):
        get_peft_model(copy.deepcopy(tiny.net), config)


@pytest.mark.parametrize(
    ("dials", "expected"),
    [
        ({"tokens": 0}, "an adapter of 0 tokens is none: use 1 or more"),
        ({"layers": "top"}, "unknown layers 'top': use all, last 2, or numbers"),
        ({"layers": "01"}, "unknown layers '01': use all, last 2, or numbers"),
    ],
)
def test_a_bad_dial_is_refused(dials: dict[str, Any], expected: str) -> None:
    with pytest.raises(LabError, match=expected):
        LlamaAdapter(**dials)


def test_a_layer_that_is_not_there_is_refused(tiny: Model) -> None:
    with pytest.raises(LabError, match="names more than the 2 layers that there are: use last 1 to last 2"):
        attach(tiny, LlamaAdapter(layers="last 3"))


def test_layers_that_only_the_encoder_has_are_refused_without_it(tiny: Model) -> None:
    deep = replace(shape_of(tiny.name), layers=4)
    with pytest.raises(LabError, match="leaves nothing to train: choose other layers, or encoder=True"):
        LlamaAdapter(layers="3").count(deep)
    assert LlamaAdapter(layers="3", encoder=True).count(deep).trainable == 10 * 32 + 3
