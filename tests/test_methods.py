"""Every method with its variants goes through the same checks, on a tiny T5; then what is peculiar to each."""

import copy
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fewer_bits import needs
from made_runs import disturb
from outputs import batch, logits

from labkit import stored
from labkit.adapters.merging import merge
from labkit.batches import encode_rows
from labkit.compute.kernels import WithTokenLoss
from labkit.compute.working_copy import working_copy
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.generation import summarize
from labkit.methods import (
    IA3,
    METHODS,
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
    from_dials,
    make_method,
    restore,
)
from labkit.models import Model
from labkit.parameters import count_parameters, shape_of
from labkit.prompts import LIMIT
from labkit.quantization import tensors
from labkit.runs import Run
from labkit.training import save

CASES: dict[str, Method] = {
    "full": FullFineTuning(),
    "selective": Selective(),
    "selective all": Selective(part="all", layers="all"),
    "selective head": Selective(part="head"),
    "selective norms": Selective(part="all", layers="all", weights="norms"),
    "selective first cross-attention": Selective(part="cross-attention", layers="0"),
    "bottleneck": Bottleneck(width=4),
    "bottleneck pfeiffer": Bottleneck(width=4, place="pfeiffer"),
    "bottleneck parallel": Bottleneck(width=4, place="parallel"),
    "ia3": IA3(),
    "layer norm": LayerNormTuning(),
    "lora": LoRA(),
    "lora rank 1": LoRA(rank=1),
    "lora all targets": LoRA(targets=("all",)),
    "lora dora": LoRA(dora=True),
    "lora rslora": LoRA(rank=4, alpha=4, rslora=True),
    "lora dropout": LoRA(dropout=0.5),
    "lora bias": LoRA(bias="all"),
    "lora pissa": LoRA(init="pissa"),
    "lora pissa ranks": LoRA(rank=4, alpha=3, rslora=True, init="pissa", ranks="decoder=2,wo=9", targets=("all",)),
    "lora last layer": LoRA(layers="last 1"),
    "lora 8 bits": LoRA(bits=8),
    "lora 8 bits dora": LoRA(bits=8, dora=True, targets=("all",)),
    "lora 4 bits": LoRA(bits=4),
    "lora ranks": LoRA(rank=2, targets=("q", "v", "wo"), layers="0", ranks="encoder=3,v=5", dora=True),
    "adalora": AdaLoRA(),
    "adalora all targets": AdaLoRA(rank=2, start=3, alpha=4, targets=("all",)),
    "prefix tuning": PrefixTuning(tokens=5),
    "prefix tuning cross": PrefixTuning(tokens=5, cross=True),
    "prefix tuning mlp": PrefixTuning(tokens=5, mlp=6),
    "llama-adapter": LlamaAdapter(tokens=5),
    "llama-adapter one layer": LlamaAdapter(tokens=5, layers="last 1"),
    "llama-adapter encoder": LlamaAdapter(tokens=5, layers="all", encoder=True),
    "prompt tuning vocabulary": PromptTuning(tokens=5),
    "prompt tuning text": PromptTuning(tokens=5, init="text"),
    "prompt tuning random": PromptTuning(tokens=5, init="random"),
    "p-tuning": PTuning(tokens=5, hidden=40),
    "p-tuning narrow": PTuning(tokens=5, hidden=6),
    "multitask prompt tuning": MultitaskPromptTuning(tokens=5),
    "multitask prompt tuning rank 2": MultitaskPromptTuning(tokens=5, num_ranks=2),
}
LORA = [name for name in CASES if name.startswith(("lora", "adalora"))]


def case(name: str) -> Any:
    """A case by its name."""
    return pytest.param(CASES[name], id=name, marks=needs(getattr(CASES[name], "bits", None)))


every_method = pytest.mark.parametrize("method", [case(name) for name in CASES])
every_adapter = pytest.mark.parametrize("method", [case(name) for name in CASES if name != "full"])
every_lora = pytest.mark.parametrize("method", [case(name) for name in LORA])
ADDITIVE = Bottleneck | PrefixTuning | LlamaAdapter | PromptTuning | PTuning | MultitaskPromptTuning


def train_steps(
    model: Model,
    data: Dialogues,
    steps: int,
    rate: float = 1e-2,
    arithmetic: AbstractContextManager[Any] | None = None,
) -> dict[str, torch.Tensor]:
    """Train, and give the entries of each trainable weight that got a gradient in one of the steps."""
    model.net.train()
    torch.manual_seed(0)  # of the dropout
    trainable = {name: p for name, p in model.net.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(trainable.values(), lr=rate)
    reached = {name: torch.zeros_like(p, dtype=torch.bool) for name, p in trainable.items()}
    for _ in range(steps):
        optimizer.zero_grad()
        with arithmetic or nullcontext():
            loss = model.net(**batch(model, data)).loss
        assert loss.isfinite()
        loss.backward()
        for name, parameter in trainable.items():
            reached[name] |= parameter.grad != 0
        optimizer.step()
    model.net.eval()
    return reached


def loss_and_gradients(net: Any, trained: list[Any], inputs: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """The loss of a batch, and its gradient by each trained weight."""
    loss = net.eval()(**inputs).loss
    gradients = torch.autograd.grad(loss, trained, allow_unused=True)
    return [loss.detach(), *(torch.zeros_like(w) if g is None else g for g, w in zip(gradients, trained, strict=True))]


def first_logits(net: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """What `generate` has to choose its first token from."""
    asked = {"max_new_tokens": 1, "output_logits": True, "return_dict_in_generate": True}
    out: torch.Tensor = net.generate(
        input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], **asked
    ).logits[0]
    return out


def weights(net: Any) -> dict[str, torch.Tensor]:
    """A copy of all weights, as numbers, under the names they have in the base model."""
    return {
        name.removeprefix("base_model.").removeprefix("model.").replace(".base_layer", ""): numbers(p).detach().clone()
        for name, p in net.named_parameters()
    }


def numbers(weight: Any) -> torch.Tensor:
    """What a weight stands for, in fewer bits or not."""
    out: torch.Tensor = stored.numbers(weight) if len(tensors(weight)) > 1 else weight
    return out


def base_of(model: Model, method: Method) -> Model:
    """What a method is put on: the base, or the base in fewer bits."""
    return replace(model, net=method.prepare(copy.deepcopy(model.net)))


# --- what holds for every method ---


def test_the_matrix_holds_every_method() -> None:
    assert {type(method) for method in CASES.values()} == set(METHODS.values())


@every_method
def test_base_keeps_its_weights_bit_by_bit_when_a_method_is_attached_and_trained(
    method: Method, tiny: Model, tiny_data: Dialogues
) -> None:
    before = weights(tiny.net)
    model = attach(tiny, method)
    train_steps(model, tiny_data, 1)
    after = weights(tiny.net)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert tiny.method is None
    assert not any(module.training for module in tiny.net.modules())


@every_method
def test_training_leaves_what_is_frozen_bit_by_bit_as_in_the_base(
    method: Method, tiny: Model, tiny_data: Dialogues
) -> None:
    base, model = weights(base_of(tiny, method).net), attach(tiny, method)
    train_steps(model, tiny_data, 1)
    after = weights(model.net)
    frozen = {name for name in base if torch.equal(base[name], after[name])}
    assert frozen == (set() if isinstance(method, FullFineTuning) else set(base))


@every_method
def test_predicted_count_is_the_actual_one(method: Method, tiny: Model) -> None:
    assert method.count(shape_of(tiny.name)) == count_parameters(attach(tiny, method))


@every_method
def test_every_trainable_row_gets_a_gradient_within_two_steps(
    method: Method, tiny: Model, tiny_data: Dialogues
) -> None:
    model = attach(tiny, method)
    inputs, silent = batch(model, tiny_data), silent_units(model)
    reached = train_steps(model, tiny_data, 2)
    assert sum(mask.numel() for mask in reached.values()) == method.trainable(shape_of(tiny.name))
    for name, mask in reached.items():
        rows = mask.any(dim=1) if mask.ndim == 2 else mask
        if isinstance(method, FullFineTuning | Selective):
            rows = rows[reachable(name, inputs, len(rows))]
        rows = rows | silent.get(name.rpartition(".")[0], torch.tensor(False))
        assert rows.all(), f"{int((~rows).sum())} of {len(rows)} rows of {name} get no gradient"


def silent_units(model: Model) -> dict[str, torch.Tensor]:
    """Units of P-tuning's network that no token excites, by layer: behind ReLU they get no gradient."""
    if not isinstance(model.method, PTuning):
        return {}
    encoder = model.net.prompt_encoder["default"]
    outputs = {layer: encoder.mlp_head[: layer + 1](encoder.embedding.weight) for layer in (0, 2)}
    return {f"prompt_encoder.default.mlp_head.{layer}": (out <= 0).all(0) for layer, out in outputs.items()}


def reachable(name: str, inputs: dict[str, torch.Tensor], rows: int) -> list[int]:
    """Rows of a weight of the base that a batch can reach.

    Words that are neither read nor written in the batch have an embedding without a gradient, and so have the
    position biases of distances that do not occur. (The softmax reaches every row of the output head.)
    """
    from transformers.models.t5.modeling_t5 import T5Attention

    if name == "shared.weight":
        read = torch.cat([inputs["input_ids"].flatten(), inputs["labels"].flatten()])
        return sorted(set(read[read >= 0].tolist()))  # pad, 0, is what the decoder starts from
    if "relative_attention_bias" in name:
        encoder = "encoder." in name
        length = int(inputs["attention_mask"].sum(1).max() if encoder else (inputs["labels"] != -100).sum(1).max())
        distances = torch.arange(1 - length, length if encoder else 1)
        buckets = T5Attention._relative_position_bucket(distances, encoder, num_buckets=rows, max_distance=128)
        return sorted(set(buckets.tolist()))
    return list(range(rows))


@every_method
def test_what_was_saved_and_restored_gives_the_same_logits(
    method: Method, tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    model, run, shape = attach(tiny, method), Run(tmp_path / "run"), shape_of(tiny.name)
    disturb(model)
    run.start({"method": method.dials()})
    save(model, run)
    kept = from_dials(json.loads((tmp_path / "run" / "config.json").read_text())["method"])
    assert kept == method
    again = restore(tiny, kept, run.weights)
    assert again.method == method
    assert not any(module.training for module in again.net.modules())
    expected = logits(model, tiny_data)
    assert (expected - logits(tiny, tiny_data)).abs().max() > 0.01
    # PiSSA's and AdaLoRA's files add up in another order
    tolerance = 1e-6 if method.stored(shape) == method.trainable(shape) and method.name != "adalora" else 1e-5
    torch.testing.assert_close(logits(again, tiny_data), expected, rtol=0, atol=tolerance)


@every_method
def test_what_is_kept_on_disk_is_safetensors_of_the_size_that_was_predicted(
    method: Method, tiny: Model, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    run = Run(tmp_path / "run")
    run.start({"method": method.dials()})
    save(attach(tiny, method), run)
    (file,) = run.weights.glob("*model.safetensors")
    assert sum(weight.numel() for weight in load_file(file).values()) == method.stored(shape_of(tiny.name))
    assert {path.suffix for path in run.weights.iterdir()} <= {".safetensors", ".json", ".md"}


@every_method
def test_the_same_seed_gives_the_same_start_and_another_seed_another(method: Method, tiny: Model) -> None:
    first, same, other = (weights(attach(tiny, method, seed=seed).net) for seed in (3, 3, 4))
    assert all(torch.equal(first[name], same[name]) for name in first)
    as_found = isinstance(method, FullFineTuning | Selective | LayerNormTuning | IA3)  # IA3 starts from ones
    by_chance = not as_found and getattr(method, "init", None) not in ("text", "pissa")
    assert any(not torch.equal(first[name], other[name]) for name in first) == by_chance


@every_method
def test_attaching_leaves_the_random_numbers_of_others_alone(method: Method, tiny: Model) -> None:
    before = torch.get_rng_state()
    attach(tiny, method, seed=3)
    assert torch.equal(torch.get_rng_state(), before)


@every_method
def test_generation_starts_from_the_logits_that_training_computes(
    method: Method, tiny: Model, tiny_data: Dialogues, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, first = attach(tiny, method), []
    disturb(model)
    forward = WithTokenLoss.forward

    def listen(*args: Any, **asked: Any) -> Any:
        out = forward(*args, **asked)
        first.append(out.logits[:, 0])
        return out

    monkeypatch.setattr(WithTokenLoss, "forward", listen)
    for dialogue in tiny_data.train["dialogue"][:8]:  # one by one, while training pads them to one length
        summarize(model, [dialogue], max_new_tokens=1)
    torch.testing.assert_close(torch.cat(first), logits(model, tiny_data)[:, 0], rtol=0, atol=1e-5)


@every_method
def test_a_working_copy_has_the_loss_and_the_gradients_of_plain_transformers(
    method: Method, tiny: Model, tiny_data: Dialogues
) -> None:
    model = disturb(attach(tiny, method))
    trained = [p for p in model.net.parameters() if p.requires_grad]
    plain, *expected = loss_and_gradients(model.net, trained, batch(model, tiny_data))
    ours, *gradients = loss_and_gradients(working_copy(model.net, "fp32"), trained, batch(model, tiny_data))
    torch.testing.assert_close(ours, plain, rtol=0, atol=1e-5)
    torch.testing.assert_close(gradients, expected, rtol=1e-3, atol=1e-5)


@every_method
def test_a_working_copy_trains_the_models_own_weights_and_leaves_the_frozen_ones(method: Method, tiny: Model) -> None:
    model = attach(tiny, method)
    copy = dict(working_copy(model.net, "bf16").named_parameters())
    for name, weight in model.net.named_parameters():
        assert weight.dtype != torch.bfloat16
        assert copy[name] is weight or not weight.requires_grad


@every_method
def test_one_step_lowers_the_loss_on_its_batch(method: Method, tiny: Model, tiny_data: Dialogues) -> None:
    def loss() -> float:
        with torch.no_grad():
            return float(model.net(**batch(model, tiny_data)).loss)

    model = attach(tiny, method)
    before = loss()
    train_steps(model, tiny_data, 1, rate=method.learning_rate)
    assert loss() < before


# T5's layers have no biases, so the one that peft warns of is not there
@pytest.mark.filterwarnings("ignore:Careful, disabling adapter layers with bias configured")
@every_adapter
def test_what_is_switched_off_generates_as_the_base(method: Method, tiny: Model, tiny_data: Dialogues) -> None:
    model, inputs = attach(tiny, method), batch(tiny, tiny_data)
    disturb(model)
    base = first_logits(base_of(tiny, method).net, inputs)
    assert (first_logits(model.net, inputs) - base).abs().max() > 0.01
    if method.virtual_tokens:  # peft's disable_adapter() does not reach generate() here, but what it wraps is the base
        off = first_logits(model.net.get_base_model(), inputs)
    else:
        with model.net.disable_adapter():
            off = first_logits(model.net, inputs)
    assert torch.equal(off, base)


@every_adapter
def test_what_is_taken_off_leaves_the_base_as_it_was_found(method: Method, tiny: Model, tiny_data: Dialogues) -> None:
    model = disturb(attach(tiny, method))
    # peft unloads no soft prompt: there is nothing of it inside the network
    net = model.net.get_base_model() if method.virtual_tokens else model.net.unload()
    base = base_of(tiny, method).net
    found, expected = ({name: type(module) for name, module in one.named_modules()} for one in (net, base))
    assert found == expected
    left, before = weights(net), weights(base)
    assert list(left) == list(before)
    assert all(torch.equal(left[name], before[name]) for name in before)
    assert all(one.config == other.config for one, other in zip(attentions(net), attentions(base), strict=True))
    assert torch.equal(logits(tiny, tiny_data, net), logits(tiny, tiny_data, base))


def attentions(net: Any) -> list[Any]:
    return [module for name, module in net.named_modules() if name.endswith("Attention")]


@every_method
def test_gradient_checkpointing_changes_no_gradient(method: Method, tiny: Model, tiny_data: Dialogues) -> None:
    def gradients() -> dict[str, torch.Tensor]:
        torch.manual_seed(0)  # of the dropout
        model.net(**inputs).loss.backward()
        found = {name: p.grad for name, p in model.net.named_parameters() if p.requires_grad}
        model.net.zero_grad()
        return found

    model, inputs = attach(tiny, method), batch(tiny, tiny_data)
    disturb(model)
    model.net.train()
    plain, calls = gradients(), list[Any]()
    inside = model.net if isinstance(method, FullFineTuning) else model.net.get_base_model()
    inside.activation_checkpointing_enable({"use_reentrant": False})
    inside.decoder.block[-1].layer[0].register_forward_pre_hook(lambda *_: calls.append(1))
    again = gradients()
    assert len(calls) == 2  # the second time for the backward pass
    assert plain.keys() == again.keys()
    for name in plain:
        torch.testing.assert_close(again[name], plain[name], rtol=0, atol=1e-6)


@every_method
def test_learns_in_bf16_arithmetic(method: Method, tiny: Model, tiny_data: Dialogues) -> None:
    model = attach(tiny, method)
    reached = train_steps(model, tiny_data, 2, arithmetic=torch.autocast("cpu", torch.bfloat16))
    assert [name for name, mask in reached.items() if not mask.any()] == []
    assert all(p.isfinite().all() for p in model.net.parameters() if p.requires_grad)


@every_method
def test_what_can_be_merged_writes_the_same_as_a_plain_network(
    method: Method, tiny: Model, tiny_data: Dialogues
) -> None:
    model = disturb(attach(tiny, method))
    if isinstance(method, FullFineTuning | ADDITIVE):
        with pytest.raises(LabError, match=r"cannot be merged, .*: (use it as it is|keep it beside)"):
            merge(model)
        return
    merged = merge(model)
    assert count_parameters(merged) == count_parameters(tiny)
    torch.testing.assert_close(logits(merged, tiny_data), logits(model, tiny_data), rtol=0, atol=1e-4)


@every_method
def test_a_prompt_with_its_virtual_tokens_stays_within_the_models_limit(
    method: Method, tiny: Model, tiny_data: Dialogues
) -> None:
    model = attach(tiny, method)
    long = tiny_data.train.select(range(1)).map(lambda row: {"dialogue": row["dialogue"] + "\n" + "tea " * 600})
    (row,), cut = encode_rows(model, long)
    assert len(row["input_ids"]) + method.virtual_tokens == LIMIT
    assert cut == 1


@every_method
def test_a_model_that_has_a_method_takes_no_second_one(method: Method, tiny: Model, tmp_path: Path) -> None:
    model = attach(tiny, method)
    refused = f"already has {method.name}.*: attach to the base model instead"
    with pytest.raises(LabError, match=refused):
        attach(model, LoRA())
    with pytest.raises(LabError, match=refused):
        restore(model, method, tmp_path)


@every_method
def test_a_folder_without_weights_is_refused(method: Method, tiny: Model, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"holds no trained \.safetensors weights: train first") as caught:
        restore(tiny, method, tmp_path)
    assert "\n" not in str(caught.value)


# --- LoRA ---


@every_lora
def test_lora_starts_as_exactly_the_base(method: Method, tiny: Model, tiny_data: Dialogues) -> None:
    # PiSSA takes the same product twice and subtracts, which some processors round differently at another address
    within = 1e-5 if getattr(method, "init", "") == "pissa" else 0
    ours, base = logits(attach(tiny, method), tiny_data), logits(base_of(tiny, method), tiny_data)
    torch.testing.assert_close(ours, base, rtol=0, atol=within)


@pytest.mark.parametrize(
    ("method", "scale"),
    [
        (LoRA(rank=4), 2.0),  # alpha / rank, with alpha twice the rank
        (LoRA(rank=4, alpha=4), 1.0),
        (LoRA(rank=4, alpha=6), 1.5),
        (LoRA(rank=4, alpha=4, rslora=True), 2.0),  # alpha / sqrt(rank)
    ],
)
def test_loras_change_is_b_times_a_scaled_by_alpha_over_rank(method: LoRA, scale: float, tiny: Model) -> None:
    model = disturb(attach(tiny, method))
    layer = model.net.base_model.model.encoder.block[0].layer[0].SelfAttention.q
    a, b, x = layer.lora_A["default"].weight, layer.lora_B["default"].weight, torch.randn(7, 32)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), layer.base_layer(x) + scale * x @ a.T @ b.T, rtol=0, atol=1e-5)


def test_targets_may_be_a_list_or_text() -> None:
    assert LoRA(targets=["q", "v"]) == LoRA(targets="q, v") == LoRA()  # type: ignore[arg-type]
    assert LoRA(targets="all") == LoRA(targets=("all",))  # type: ignore[arg-type]
    assert hash(LoRA(targets=["q", "v"])) == hash(LoRA())  # type: ignore[arg-type]


@pytest.mark.parametrize("targets", [("q",), ("v", "wo"), ("wi_0", "wi_1"), ("all",)])
def test_lora_adapts_the_targets_and_nothing_else(targets: tuple[str, ...], tiny: Model) -> None:
    net = attach(tiny, LoRA(rank=2, targets=targets)).net
    adapted = {name.split(".")[-4] for name, p in net.named_parameters() if p.requires_grad and "lora_A" in name}
    assert adapted == {"q", "k", "v", "o", "wi_0", "wi_1", "wo"} if targets == ("all",) else adapted == set(targets)


# --- prompt tuning ---


def start(model: Model) -> torch.Tensor:
    table: torch.Tensor = model.net.prompt_encoder["default"].embedding.weight.detach()
    return table


def test_only_the_encoder_gets_virtual_tokens(tiny: Model, tiny_data: Dialogues) -> None:
    model = attach(tiny, PromptTuning(tokens=5))
    assert start(model).shape == (5, 32)
    inputs = batch(model, tiny_data)
    with torch.no_grad():
        out = model.net(**inputs)
    assert out.encoder_last_hidden_state.shape[1] == 5 + inputs["input_ids"].shape[1]
    assert out.logits.shape[1] == inputs["labels"].shape[1]


def test_virtual_tokens_from_the_vocabulary_are_embeddings_of_ordinary_tokens(tiny: Model) -> None:
    table, special = tiny.net.shared.weight.detach(), set(tiny.tokenizer.all_special_ids)
    chosen = [(table == row).all(dim=1).nonzero().flatten().tolist() for row in start(attach(tiny, PromptTuning(200)))]
    assert all(len(ids) == 1 and ids[0] not in special and ids[0] < len(tiny.tokenizer) for ids in chosen)
    assert len({ids[0] for ids in chosen}) > 50  # of 142; 200 draws give 107 on average


def test_virtual_tokens_from_text_are_its_embeddings_over_and_over(tiny: Model) -> None:
    model = attach(tiny, PromptTuning(tokens=5, init="text", text="tea cake"))
    tea, cake = tiny.tokenizer.convert_tokens_to_ids(["▁tea", "▁cake"])
    assert torch.equal(start(model), tiny.net.shared.weight[[tea, cake, tea, cake, tea]])


def test_random_virtual_tokens_have_the_spread_of_the_embedding_table(tiny: Model) -> None:
    drawn = start(attach(tiny, PromptTuning(tokens=200, init="random")))
    # 6,400 draws: the spread is known to 0.9 % (one standard error), so 5 % is more than five of them
    assert float(drawn.std() / tiny.net.shared.weight.detach().std()) == pytest.approx(1, abs=0.05)


# --- dials ---


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (lambda: LoRA(rank=0), "rank 0 is no rank: use 1 or more"),
        (lambda: LoRA(rank=-3), "rank -3 is no rank: use 1 or more"),
        (lambda: LoRA(targets=("q", "w")), "unknown LoRA target w: use all, or some of q, k, v, o, wi_0, wi_1, wo"),
        (lambda: LoRA(targets=()), "unknown LoRA target (none given): use all"),
        (lambda: LoRA(alpha=0), "alpha 0 is no number above 0: use the rank or twice the rank"),
        (lambda: LoRA(alpha=float("nan")), "alpha nan is no number above 0: use"),
        (lambda: LoRA(dropout=1), "dropout 1 is no share: use 0 to below 1"),
        (lambda: LoRA(dropout=-0.1), "dropout -0.1 is no share: use 0 to below 1"),
        (lambda: LoRA(bias="some"), "unknown bias 'some': use one of none, all, lora_only"),
        (lambda: LoRA(init="olora"), "unknown init 'olora': use one of default, pissa"),
        (lambda: LoRA(init="pissa", dora=True), "init='pissa' and dora=True do not go together: leave out one of them"),
        (lambda: LoRA(bits=3), "3 bits are not to be had: use 8 or 4, or leave bits out"),
        (
            lambda: LoRA(bits=8, init="pissa"),
            "init='pissa' and bits=8 do not go together, as what is left of",
        ),
        (lambda: LoRA(layers="first"), "unknown layers 'first': use all, last 2, or numbers such as 0,2"),
        (
            lambda: Selective(part="head", layers="0,2"),
            "layers='0,2' has no effect on the head, which is in no layer: leave it out",
        ),
        (lambda: LoRA(ranks="8"), "unknown ranks '8': use something like decoder=16,q=4"),
        (lambda: LoRA(ranks="q=0"), "unknown ranks 'q=0': use something like decoder=16,q=4"),
        (lambda: LoRA(ranks="head=4"), "unknown ranks 'head=4': use something like decoder=16,q=4"),
        (lambda: AdaLoRA(rank=0), "rank 0 is no rank: use 1 or more"),
        (lambda: AdaLoRA(rank=4, start=4), "start 4 leaves nothing to cut down to rank 4: use a start above it"),
        (lambda: AdaLoRA(targets=("wi",)), "unknown LoRA target wi: use all, or some of q, k, v, o, wi_0, wi_1, wo"),
        (lambda: AdaLoRA(alpha=-1), "alpha -1 is no number above 0: use"),
        (lambda: PromptTuning(tokens=0), "0 virtual tokens are none: use 1 or more"),
        (lambda: PromptTuning(tokens=257), "257 virtual tokens leave no room for the dialogue: use 256 at most"),
        (lambda: PromptTuning(init="zeros"), "unknown init 'zeros': use one of vocabulary, text, random"),
        (lambda: PromptTuning(init="text", text=" \n"), "init='text' needs words to start from: give text="),
        (lambda: PromptTuning(text="Sum it up"), "text has no effect with init='vocabulary': give init='text' with it"),
        (lambda: make_method("qlora"), "unknown method 'qlora': use one of full, "),
        (lambda: make_method("lora", tokens=3), "lora has no dial 'tokens': it has rank, alpha, targets"),
        (lambda: make_method("full", rank=3), "full has no dial 'rank': it has none"),
        (lambda: make_method("full", bits=8), "full trains weights of the model itself, and in fewer bits its small"),
        (lambda: make_method("selective", bits=8), "selective trains weights of the model itself, and in fewer bits"),
        (lambda: make_method("layer-norm", bits=4), "would be rounded away: use lora with bits"),
        (lambda: make_method("ia3", bits=8), "ia3 has no dial 'bits': it has none"),
        (lambda: make_method("lora", rank=0), "rank 0 is no rank: use 1 or more"),
    ],
)
def test_a_bad_dial_is_refused_in_one_line(ask: Callable[[], Method], expected: str) -> None:
    with pytest.raises(LabError) as caught:
        ask()
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("targets", "width"), [(("q", "v"), 24), (("wi_0", "wo"), 32), (("all",), 24)])
def test_a_rank_above_the_width_of_a_target_is_refused(targets: tuple[str, ...], width: int, tiny: Model) -> None:
    attach(tiny, LoRA(rank=width, targets=targets))
    above = LoRA(rank=width + 1, targets=targets)
    for ask in (lambda: attach(tiny, above), lambda: above.count(shape_of(tiny.name))):
        with pytest.raises(LabError, match=f"rank {width + 1} is above {width}, .*: use 1 to {width}$") as caught:
            ask()
        assert "\n" not in str(caught.value)


def test_make_method_keeps_the_default_of_a_dial_that_is_none() -> None:
    assert make_method("lora", rank=4, alpha=None, dropout=None) == LoRA(rank=4)


@pytest.mark.parametrize(
    ("method", "label"),
    [
        (FullFineTuning(), "full"),
        (LoRA(), "lora"),
        (LoRA(rank=16, targets=("q", "wo")), "lora rank=16 targets=q,wo"),
        (PromptTuning(tokens=8, init="text", text="Sum it up"), "prompt-tuning tokens=8 init=text text=Sum_it_up"),
    ],
)
def test_label_names_the_dials_that_were_turned(method: Method, label: str) -> None:
    assert method.label == label
