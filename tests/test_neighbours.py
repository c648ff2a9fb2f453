from collections.abc import Callable

import numpy as np
import pytest
import torch

from labkit.errors import LabError
from labkit.inside.neighbours import SoftPrompt, nearness, soft_prompt
from labkit.methods import LoRA, PromptTuning, attach
from labkit.models import Model

TABLE = np.array([[1.0, 0.0], [0.0, 1.0], [4.0, 3.0], [-1.0, 0.0]])


def a_prompt(*vectors: tuple[float, float]) -> SoftPrompt:
    return SoftPrompt(np.array(vectors), None, TABLE, ["east", "north", "far", "west"])


def test_cosine_looks_at_direction_and_euclidean_at_distance() -> None:
    np.testing.assert_allclose(nearness(np.array([[2.0, 0.0]]), TABLE, "cosine"), [[1, 0, 0.8, -1]])
    np.testing.assert_allclose(
        nearness(np.array([[2.0, 0.0]]), TABLE, "euclidean"), [[1, 5**0.5, 13**0.5, 3]], rtol=1e-12
    )


def test_the_nearest_tokens_come_first() -> None:
    (token,) = a_prompt((8.0, 1.0)).nearest(3, "cosine").tokens
    assert [each.token for each in token.nearest] == ["east", "far", "north"]
    assert token.nearest[1].nearness == pytest.approx(35 / (5 * 65**0.5))
    (token,) = a_prompt((8.0, 1.0)).nearest(2, "euclidean").tokens
    assert [each.token for each in token.nearest] == ["far", "east"]
    assert token.nearest[0].nearness == pytest.approx(20**0.5)
    assert token.norm == pytest.approx(65**0.5)


def test_yardsticks_say_how_near_other_words_and_the_vocabulary_are() -> None:
    axes = SoftPrompt(np.array([[1.0, 0, 0]]), None, 2 * np.eye(3), list("xyz"))
    assert axes.nearest(1, "cosine").words == pytest.approx(0)
    assert axes.nearest(1, "euclidean").words == pytest.approx(8**0.5)
    assert axes.nearest(1).vocabulary_norm == pytest.approx(2)
    # the largest of three coordinates of a random direction is 0.5 to 1 of its length where one is positive
    assert 0.3 < axes.nearest(1, "cosine").random < 0.9


def test_means_are_over_the_virtual_tokens() -> None:
    found = a_prompt((3.0, 4.0), (0.0, 1.0)).nearest(1)
    assert found.norm == pytest.approx(3)
    assert found.nearness == pytest.approx((24 / 25 + 1) / 2)  # (3, 4) lies at 24/25 to (4, 3), at 4/5 to (0, 1)


def test_a_prompt_from_the_vocabulary_starts_at_a_token(tiny: Model) -> None:
    found = soft_prompt(attach(tiny, PromptTuning(tokens=5), seed=3), seed=3).nearest(2)
    for token in found.tokens:
        assert token.start == token.nearest[0].token
        assert token.nearest[0].nearness == pytest.approx(1)
        assert token.moved == 0


def test_it_is_known_how_far_a_virtual_token_moved(tiny: Model) -> None:
    model = attach(tiny, PromptTuning(tokens=2, init="text", text="tea cake"))
    with torch.no_grad():
        model.net.prompt_encoder["default"].embedding.weight[1, :2] += torch.tensor([3.0, 4.0])
    first, second = soft_prompt(model, seed=0).nearest(1).tokens
    assert (first.start, second.start) == ("␣tea", "␣cake")
    assert (first.moved, second.moved) == (0, pytest.approx(5))


def test_a_random_start_is_no_token_and_without_a_seed_the_start_is_unknown(tiny: Model) -> None:
    model = attach(tiny, PromptTuning(tokens=1, init="random"))
    (token,) = soft_prompt(model, seed=0).nearest(1).tokens
    assert (token.start, token.moved) == ("", 0)
    (token,) = soft_prompt(model).nearest(1).tokens
    assert (token.start, token.moved) == (None, None)


def test_special_tokens_and_spare_rows_of_the_table_are_no_neighbours(tiny: Model) -> None:
    model = attach(tiny, PromptTuning(tokens=1))
    table = tiny.net.shared.weight.detach()
    prompt = soft_prompt(model)
    assert prompt.table.shape == (len(tiny.tokenizer) - 3, 32)
    for row in (0, 1, 2, len(tiny.tokenizer) + 1):  # pad, eos, unk, and one that no token has
        with torch.no_grad():
            model.net.prompt_encoder["default"].embedding.weight[0] = table[row]
        assert soft_prompt(model).nearest(1).nearness < 0.99
    assert prompt.names[0] == "␣#Person1#:"
    assert not {"<pad>", "</s>", "<unk>"} & set(prompt.names)


def test_the_map_of_what_is_flat_keeps_all_distances() -> None:
    drawn = a_prompt((8.0, 1.0), (0.0, 2.0)).nearest(2).map
    places = {point.label: np.array([point.x, point.y]) for point in drawn.points}
    assert [(point.kind, point.label) for point in drawn.points] == [
        ("virtual token", "1"), ("virtual token", "2"), ("nearest token", "east"), ("nearest token", "north"),
        ("further neighbour", "far"), ("another token", "west"),
    ]  # fmt: skip
    assert sum(drawn.explained) == pytest.approx(1)
    assert drawn.explained[0] > drawn.explained[1]
    assert np.linalg.norm(places["1"] - places["west"]) == pytest.approx(82**0.5)
    assert np.linalg.norm(places["far"] - places["2"]) == pytest.approx(17**0.5)


def test_the_figure_of_the_map_labels_tokens_as_text(tiny: Model) -> None:
    prompt = SoftPrompt(np.array([[1.0, 0.1]]), None, TABLE, ["<b>", "b", "c", "d"])
    others, _, nearest, virtual = prompt.nearest(1).map.plot().data
    assert list(nearest.text) == ["&lt;b&gt;"]
    assert list(virtual.text) == ["1"]
    assert len(others.x) == 3


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (lambda tiny: a_prompt((1, 1)).nearest(0), "k is 0: use 1 to 20 neighbours"),
        (lambda tiny: a_prompt((1, 1)).nearest(1, "dot"), "unknown metric 'dot': use one of cosine, euclidean"),
        (lambda tiny: soft_prompt(tiny), "the base has no virtual tokens among the embeddings: use a model with"),
        (lambda tiny: soft_prompt(attach(tiny, LoRA())), "lora has no virtual tokens among the embeddings: use"),
    ],
)
def test_what_has_no_neighbours_is_refused_in_one_line(
    ask: Callable[[Model], object], expected: str, tiny: Model
) -> None:
    with pytest.raises(LabError) as caught:
        ask(tiny)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
