"""What a history says."""

import pytest

from labkit.curves import plot_budget, plot_curves, progress, validation_rows

HISTORY = [
    {"step": 5, "loss": 4.0, "seconds": 2.0, "peak_memory_mib": 900},
    {"step": 10, "loss": 3.0, "seconds": 4.0, "peak_memory_mib": 950},
    {"step": 10, "validation_loss": 3.2, "seconds": 5.0, "peak_memory_mib": 950},
    {"step": 15, "loss": 2.0, "seconds": 6.0, "peak_memory_mib": 960},
]


def test_a_row_a_validation_has_the_mean_loss_since_the_one_before() -> None:
    assert validation_rows(HISTORY) == [[10, 3.5, 3.2, 5.0]]


def test_speed_and_time_left_follow_from_the_last_line() -> None:
    told = progress(HISTORY, steps=60, batch_size=16)
    assert told.dialogues_per_second == pytest.approx(15 * 16 / 6)
    assert told.seconds_left == pytest.approx(45 * 6 / 15)
    assert str(told) == "step 15 of 60, 40 dialogues/s, about 18 s left, peak memory 960 MiB"


def test_nothing_is_promised_before_the_first_line() -> None:
    assert str(progress([], 300, 16)) == "step 0 of 300"


def test_curves_of_a_long_training_are_thinned_and_end_at_their_end() -> None:
    figure = plot_curves({"lora": [{"step": i, "loss": 1 / i} for i in range(1, 3001)]})
    assert len(figure.data[0].x) <= 200
    assert figure.data[0].x[-1] == 3000
    assert list(figure.data[0].x) == sorted(figure.data[0].x)


def test_the_budget_is_drawn_where_it_was_logged() -> None:
    history = [
        {"step": 1, "loss": 4.0, "budget": 96.0},
        {"step": 1, "validation_loss": 3.0},
        {"step": 2, "budget": 64.0},
    ]
    (line,) = plot_budget(history).data
    assert list(zip(line.x, line.y, strict=True)) == [(1, 96.0), (2, 64.0)]
    assert list(plot_budget(HISTORY).data[0].x) == []
