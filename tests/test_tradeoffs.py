"""Which lines are on the Pareto front, and what many tasks take on disk."""

from typing import Any

import pytest

from labkit.costs.tradeoffs import pareto_front, placed, storage, storage_plot, tradeoff_plot
from labkit.errors import LabError


def line(label: str, trainable: int, rouge1: float, words: float = 9.0, loss: float | None = None) -> dict[str, Any]:
    return {"label": label, "trainable": trainable, "rouge1": rouge1, "words": words, "validation_loss": loss}


ROWS = [
    line("base", 0, 0.2),
    line("full", 1_000_000, 0.5, loss=1.0),
    line("wasteful", 900_000, 0.3, loss=2.0),
    line("lora", 5_000, 0.4, loss=1.5),
    line("soft", 100, 0.3, loss=1.5),
]


def labels(rows: list[dict[str, Any]]) -> list[str]:
    return [row["label"] for row in rows]


def test_leaves_out_what_was_not_trained_where_a_cost_is_asked_for() -> None:
    assert labels(placed(ROWS, "trainable", "rouge1")) == ["full", "wasteful", "lora", "soft"]
    assert labels(placed(ROWS, "words", "rouge1")) == labels(ROWS)


def test_keeps_a_line_whose_rouge_is_nought() -> None:
    assert labels(placed([line("hopeless", 10, 0.0)], "trainable", "rouge1")) == ["hopeless"]


def test_has_on_the_front_what_no_other_line_beats() -> None:
    assert labels(pareto_front(ROWS, "trainable", "rouge1")) == ["soft", "lora", "full"]


def test_takes_less_for_better_where_less_is_better_both_ways() -> None:
    # soft is as good as lora in loss, and smaller
    assert labels(pareto_front(ROWS, "trainable", "validation_loss")) == ["soft", "full"]


def test_keeps_both_of_two_equal_lines_on_the_front() -> None:
    twins = [line("a", 10, 0.3), line("b", 10, 0.3), line("c", 20, 0.3)]
    assert labels(pareto_front(twins, "trainable", "rouge1")) == ["a", "b"]


def test_has_no_front_where_more_is_neither_better_nor_worse() -> None:
    assert pareto_front(ROWS, "words", "rouge1") == []


def test_draws_the_front_and_every_placed_line() -> None:
    front, *points = tradeoff_plot(ROWS, "trainable", "rouge1").data
    assert list(front.x) == [100, 5_000, 1_000_000]
    assert front.line.shape == "hv"
    assert (points[0].name, *points[0].x, *points[0].y) == ("full", 1_000_000, 0.5)
    assert len(points) == 4


@pytest.mark.parametrize(("dearest", "kind"), [(10_000, "linear"), (10_001, "log")])
def test_takes_a_log_axis_for_more_than_a_hundredfold(dearest: int, kind: str) -> None:
    figure = tradeoff_plot([line("a", 100, 0.3), line("b", dearest, 0.4)], "trainable", "rouge1")
    assert (figure.layout.xaxis.type or "linear") == kind
    assert figure.layout.yaxis.type is None


def test_draws_an_empty_figure_where_no_line_has_both() -> None:
    assert not tradeoff_plot([line("base", 0, 0.2)], "trainable", "rouge1").data


def test_says_which_quantities_there_are() -> None:
    with pytest.raises(LabError, match="unknown quantity 'cost': use one of trainable, percent"):
        pareto_front(ROWS, "cost", "rouge1")


def test_counts_one_base_and_an_adapter_a_task_against_a_copy_a_task() -> None:
    rows = storage(1000, {"lora": 10, "soft": 1}, 2000, tasks=(1, 100))
    assert rows == [
        {"tasks": 1, "full copies": 2000, "base and lora": 1010, "base and soft": 1001},
        {"tasks": 100, "full copies": 200_000, "base and lora": 2000, "base and soft": 1100},
    ]
    assert storage(1000, {}, tasks=(3,)) == [{"tasks": 3, "full copies": 3000}]


def test_draws_storage_in_megabytes() -> None:
    copies, lora = storage_plot(storage(1_000_000, {"lora": 500_000}, tasks=(1, 4))).data
    assert (copies.name, *copies.y) == ("full copies", 1, 4)
    assert (lora.name, *lora.y) == ("base and lora", 1.5, 3)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"base": 0, "adapters": {}}, "the base is 0"),
        ({"base": 9, "adapters": {"lora": -1}}, "lora is -1: use 1 or more"),
        ({"base": 9, "adapters": {}, "tasks": (0,)}, "the number of tasks is 0"),
        ({"base": 9, "adapters": {}, "tasks": ()}, "no number of tasks is given"),
    ],
)
def test_refuses_sizes_that_nothing_has(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(LabError, match=message):
        storage(**sizes)
