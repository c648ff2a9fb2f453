import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from fewer_bits import eight_bits
from made_runs import disturb

from labkit.errors import LabError
from labkit.inside.anatomy import Update, effective_rank, layer_changes, layers, lora_weights, update
from labkit.methods import FullFineTuning, LoRA, PromptTuning, attach
from labkit.models import Model

Q = "encoder 0 self-attention q"


def an_update(change: np.ndarray) -> Update:
    return Update(Q, np.ones_like(change), change)


def test_the_textbook_layer_of_512_by_64_takes_86_percent_fewer_weights_at_rank_8() -> None:
    count = lora_weights(512, 64, rank=8)
    assert count == (32_768, 4_096, 512)
    assert count.lora == 4_608
    assert round(count.saved_percent) == 86


def test_a_rank_that_is_too_high_saves_less_than_nothing() -> None:
    assert lora_weights(10, 10, rank=10).saved_percent == -100


def test_lora_changes_the_layers_that_it_targets(tiny: Model) -> None:
    names = layers(attach(tiny, LoRA(targets=("q",))))
    assert names == [
        *(f"encoder {block} self-attention q" for block in (0, 1)),
        *(f"decoder {block} {kind}-attention q" for block in (0, 1) for kind in ("self", "cross")),
    ]


def test_lora_that_is_not_trained_has_changed_nothing(tiny: Model) -> None:
    assert {row.norm for row in layer_changes(attach(tiny, LoRA()))} == {0}
    assert {row.norm for row in layer_changes(attach(tiny, LoRA(dora=True)))} == {0}
    assert update(attach(tiny, LoRA()), Q).energy.max() == 0


def test_the_change_of_lora_is_alpha_over_rank_times_b_times_a(tiny: Model) -> None:
    model = disturb(attach(tiny, LoRA(rank=4, alpha=6)))
    layer = model.net.base_model.model.encoder.block[0].layer[0].SelfAttention.q
    one = update(model, Q)
    assert one.a is not None
    assert one.b is not None
    assert (one.weight.shape, one.a.shape, one.b.shape, one.scaling) == ((24, 32), (4, 32), (24, 4), 1.5)
    with torch.no_grad():
        wanted = 1.5 * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    np.testing.assert_allclose(one.change, wanted.numpy(), atol=1e-7)
    np.testing.assert_array_equal(one.weight, tiny.net.encoder.block[0].layer[0].SelfAttention.q.weight.detach())
    assert list(one.matrices) == ["W", "A", "B", "1.5 BA"]


def test_the_change_of_dora_is_not_ba_alone(tiny: Model) -> None:
    assert list(update(disturb(attach(tiny, LoRA(dora=True))), Q).matrices) == ["W", "A", "B", "dW"]


def test_loras_change_has_no_singular_values_beyond_its_rank(tiny: Model) -> None:
    values = update(disturb(attach(tiny, LoRA(rank=3))), Q).singular_values
    assert values.shape == (24,)
    assert (values[:3] > 1e-3).all()
    assert (values[3:] < 1e-12).all()


def test_energy_is_the_share_of_the_squares() -> None:
    one = an_update(np.diag([3.0, 4.0, 0.0]))
    np.testing.assert_allclose(one.singular_values, [4, 3, 0])
    np.testing.assert_allclose(one.energy, [16 / 25, 1, 1])


@pytest.mark.parametrize(
    ("values", "rank"),
    [([5, 0, 0], 1), ([2, 2, 2], 3), ([0, 0], 0), ([], 0), ([3, 1], 4 / 3**0.75)],  # (4/3)^(3/4) * 4^(1/4)
)
def test_effective_rank_counts_directions(values: list[float], rank: float) -> None:
    assert effective_rank(values) == pytest.approx(rank)


def test_layer_changes_of_lora_are_those_of_its_updates_and_none_elsewhere(tiny: Model) -> None:
    model = disturb(attach(tiny, LoRA(rank=2)))
    rows = {row.layer: row for row in layer_changes(model)}
    one = update(model, Q)
    assert {name for name, row in rows.items() if row.norm} == set(layers(model))
    assert rows[Q].norm == pytest.approx(np.sqrt((one.change**2).sum()))
    assert rows[Q].relative == pytest.approx(np.sqrt((one.change**2).sum() / (one.weight**2).sum()))
    assert 1 < (rows[Q].effective_rank or 0) < 2
    assert layer_changes(model, tiny) == layer_changes(model)


def test_full_fine_tuning_is_measured_against_its_base(tiny: Model) -> None:
    model = attach(tiny, FullFineTuning())
    with torch.no_grad():
        model.net.decoder.block[1].layer[2].DenseReluDense.wo.weight[3, 5] += 0.5
        model.net.encoder.final_layer_norm.weight[:4] += 0.25
    changed = {row.layer: row for row in layer_changes(model, tiny) if row.norm}
    assert list(changed) == ["encoder final norm", "decoder 1 feed-forward wo"]
    assert changed["decoder 1 feed-forward wo"].norm == pytest.approx(0.5)
    assert changed["decoder 1 feed-forward wo"].effective_rank == pytest.approx(1)
    assert changed["encoder final norm"].norm == pytest.approx(0.5)  # 2 x 0.25
    assert changed["encoder final norm"].effective_rank is None
    one = update(model, "decoder 1 feed-forward wo", tiny)
    assert one.change[3, 5] == pytest.approx(0.5)
    assert list(one.matrices) == ["W", "dW"]


@eight_bits
def test_what_was_learned_over_fewer_bits_is_shown_over_the_base_in_full(tiny: Model) -> None:
    model = disturb(attach(tiny, LoRA(bits=8)))
    one = update(model, Q, tiny)
    assert one.a is not None
    assert one.b is not None
    assert one.change == pytest.approx(2 * one.b @ one.a, abs=1e-6)
    assert len([row for row in layer_changes(model, tiny) if row.norm]) == 12
    with pytest.raises(LabError, match="lora bits=8 keeps no copy of the base's weights: give base"):
        layer_changes(model)


def test_prompt_tuning_changes_no_weight(tiny: Model) -> None:
    model = disturb(attach(tiny, PromptTuning(tokens=3)))
    assert {row.norm for row in layer_changes(model, tiny)} == {0}
    assert layers(model) == []


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (lambda tiny: lora_weights(8, 0, 2), "outputs is 0: use 1 or more"),
        (lambda tiny: layers(tiny), "has no method: attach one first"),
        (lambda tiny: layer_changes(tiny, tiny), "has no method: attach one first"),
        (lambda tiny: layer_changes(attach(tiny, FullFineTuning())), "full keeps no copy of the base's weights: give"),
        (lambda tiny: update(attach(tiny, LoRA()), "q"), f"lora changes no layer 'q': use one of {Q}, "),
        (lambda tiny: update(attach(tiny, PromptTuning(3)), Q), "changes no layer 'encoder 0 self-attention q': see"),
        (
            lambda tiny: layer_changes(attach(tiny, FullFineTuning()), wider(tiny)),
            "encoder final norm has another size in",
        ),
        (lambda tiny: layer_changes(attach(tiny, FullFineTuning()), deeper(tiny)), "the model has no encoder 2 self-"),
    ],
)
def test_what_cannot_be_looked_at_is_refused_in_one_line(
    ask: Callable[[Model], object], expected: str, tiny: Model
) -> None:
    with pytest.raises(LabError) as caught:
        ask(tiny)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def wider(model: Model) -> Model:
    net = copy.deepcopy(model.net)
    net.encoder.final_layer_norm.weight = torch.nn.Parameter(torch.ones(33))
    return replace(model, net=net)


def deeper(model: Model) -> Model:
    net = copy.deepcopy(model.net)
    net.encoder.block.append(copy.deepcopy(net.encoder.block[1]))
    return replace(model, net=net)
