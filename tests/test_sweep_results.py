"""What is said and drawn of a sweep, on made-up figures."""

import json

import pytest
from made import made_sweep

from labkit.errors import LabError
from labkit.published import load_published
from labkit.sweep_results import SweepResult

RISING = {1: [0.20], 2: [0.29], 4: [0.30], 8: [0.31]}
# 1 is really below 8; 2 and 4 may be as good
BEHIND = {1: [-0.11, -0.13, -0.09], 2: [-0.02, -0.04, 0.01], 4: [-0.01, -0.02, 0.001]}


def test_takes_the_smallest_value_that_is_not_really_below_the_best() -> None:
    found = made_sweep(RISING, BEHIND)
    assert found.best()["value"] == 8
    assert found.enough()["value"] == 2


def test_says_how_much_worse_the_smallest_may_still_be() -> None:
    said = made_sweep(RISING, BEHIND).verdict("rouge2")
    assert "ROUGE-2 is best at rank 8; the smallest that is not really below it is 2: -0.020 [-0.040, +0.010]" in said
    assert "it may be 0.040 worse" in said
    assert "All this is from one seed" in said


def test_says_that_a_plateau_with_a_real_dip_is_none() -> None:
    dip = BEHIND | {4: [-0.02, -0.03, -0.01]}
    assert "really below the best again at 4." in made_sweep(RISING, dip).verdict()
    assert "again" not in made_sweep(RISING, BEHIND).verdict()


def test_sees_no_plateau_where_the_highest_beats_all() -> None:
    below = {value: [-0.1, -0.2, -0.05] for value in (1, 2, 4)}
    found = made_sweep(RISING, below)
    assert found.enough()["value"] == 8
    assert "no plateau is in sight" in found.verdict()


def test_says_that_more_brought_nothing_where_the_lowest_is_best() -> None:
    said = made_sweep({1: [0.3], 2: [0.3]}, {}).verdict()
    assert "best at rank 1, the lowest tried: more of it brought nothing" in said


def test_says_that_higher_ones_brought_no_more_where_a_middle_one_is_best() -> None:
    said = made_sweep({1: [0.1], 2: [0.3], 4: [0.2]}, {1: [-0.2, -0.3, -0.1], 4: [-0.1, -0.2, 0.1]}).verdict()
    assert "best at rank 2, and all lower ones are really below it; higher ones brought no more." in said


def test_tells_how_far_the_seeds_of_one_value_differ() -> None:
    said = made_sweep({1: [0.20, 0.21], 2: [0.30, 0.34]}, {1: [-0.1, -0.2, -0.05]}).verdict()
    assert "The 2 seeds of one and the same value differ by up to 0.040." in said


def test_draws_the_mean_with_its_interval_over_dialogues() -> None:
    figure = made_sweep(RISING, BEHIND).plot()
    (mean,) = figure.data
    assert list(mean.x) == [1, 2, 4, 8]
    assert list(mean.y) == [0.20, 0.29, 0.30, 0.31]
    assert list(mean.error_y.array) == pytest.approx([0.02] * 4)
    assert figure.layout.xaxis.type == "log"


def test_draws_each_seed_and_the_interval_over_seeds() -> None:
    figure = made_sweep({1: [0.20, 0.21], 2: [0.30, 0.34]}, {}).plot()
    band, each, mean = figure.data
    assert band.name == "95 % t-interval over the seeds"
    assert list(band.y) == pytest.approx([0.255, 0.37, 0.27, 0.155])  # there above, and back below
    assert list(each.y) == [0.20, 0.21, 0.30, 0.34]
    assert list(mean.y) == pytest.approx([0.205, 0.32])


def test_lays_others_over_it_as_shares_of_the_best() -> None:
    table = load_published()["lora_rank_e2e"]
    figure = made_sweep(RISING, BEHIND).plot("rouge1", table, "BLEU")
    ours, theirs = figure.data
    assert list(ours.y) == pytest.approx([100 * level / 0.31 for level in (0.20, 0.29, 0.30, 0.31)])
    assert list(ours.error_y.arrayminus) == pytest.approx([100 * 0.02 / 0.31] * 4)
    assert list(theirs.y) == pytest.approx(table.shares("BLEU"))
    assert "% of its best" in figure.layout.yaxis.title.text
    assert list(figure.layout.xaxis.tickvals) == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]


def test_marks_where_others_found_something_without_a_scale() -> None:
    figure = made_sweep({5: [0.2], 20: [0.3]}, {}, dial="tokens").plot(published=load_published()["prompt_length"])
    mean, *marks = figure.data
    assert list(mean.y) == [0.2, 0.3]
    assert sorted(mark.x[0] for mark in marks) == [10, 20, 200]
    assert figure.layout.xaxis.title.text == "virtual tokens"


def test_refuses_to_lay_a_table_over_another_dial() -> None:
    with pytest.raises(LabError, match="is over tokens: lay it over a sweep of that dial"):
        made_sweep(RISING, BEHIND).plot(published=load_published()["prompt_length"])


def test_draws_a_sweep_in_which_nothing_was_learned() -> None:
    figure = made_sweep({1: [0.0], 2: [0.0]}, {}).plot("rouge1", load_published()["lora_rank_e2e"], "BLEU")
    assert list(figure.data[0].y) == [0, 0]


def test_comes_back_from_json_as_it_was() -> None:
    found = made_sweep(RISING, BEHIND)
    assert SweepResult.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_says_what_a_record_lacks() -> None:
    with pytest.raises(LabError, match="a recorded sweep without base, rows: record it again"):
        SweepResult.from_json(made_sweep(RISING, {}).to_json() | {"rows": [], "base": None})


def test_says_which_measures_there_are() -> None:
    with pytest.raises(LabError, match="measure 'bleu' is unknown: use one of rouge1"):
        made_sweep(RISING, BEHIND).plot("bleu")
