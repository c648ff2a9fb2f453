import json
import math
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import ArrayLike

from labkit.errors import LabError
from labkit.intervals import Difference, Scores, paired_difference


def scores_of(values: ArrayLike, best: ArrayLike | None = None, ids: tuple[str, ...] | None = None) -> Scores:
    mean = np.asarray(values, dtype=float)
    most = mean if best is None else np.asarray(best, dtype=float)
    ids = ids or tuple(f"test_{i}" for i in range(len(mean)))
    return Scores(ids=ids, mean={"rouge1": mean}, max={"rouge1": most}, words=np.full(len(mean), 20.0))


def spread(n: int = 500, seed: int = 0) -> np.ndarray:
    """F-measures like those of real summaries, around .3."""
    return np.random.default_rng(seed).beta(3, 7, n)


def test_averages_over_dialogues() -> None:
    scores = scores_of([0.1, 0.2, 0.6], best=[0.2, 0.3, 1.0])
    assert scores.average("rouge1") == pytest.approx(0.3)
    assert scores.average("rouge1", references_by="max") == pytest.approx(0.5)


def test_equal_dialogues_give_an_interval_without_width() -> None:
    low, high = scores_of([0.3] * 50).interval("rouge1")
    assert low == high == pytest.approx(0.3)


@pytest.mark.parametrize(("level", "z"), [(0.95, 1.960), (0.80, 1.282)])
def test_the_interval_is_near_the_normal_approximation(level: float, z: float) -> None:
    values = spread()
    low, high = scores_of(values).interval("rouge1", level=level, draws=4000)
    half = z * values.std() / math.sqrt(len(values))
    assert high - low == pytest.approx(2 * half, rel=0.1)
    assert (high + low) / 2 == pytest.approx(values.mean(), abs=half / 10)


def test_the_interval_covers_the_true_average_as_often_as_it_says() -> None:
    # Beta(3, 7) has the average .3. Of 200 intervals 190 should cover it; 4 standard deviations of that are 12.
    intervals = [scores_of(spread(100, seed)).interval("rouge1", draws=500) for seed in range(200)]
    assert 178 <= sum(low <= 0.3 <= high for low, high in intervals) <= 200


def test_the_seed_decides_the_draws() -> None:
    scores = scores_of(spread())
    assert scores.interval("rouge1", seed=1) == scores.interval("rouge1", seed=1)
    assert scores.interval("rouge1", seed=1) != scores.interval("rouge1", seed=2)


def test_an_interval_can_speak_of_the_best_references() -> None:
    low, high = scores_of([0.1, 0.5], best=[0.9, 0.9]).interval("rouge1", references_by="max")
    assert low == high == pytest.approx(0.9)


def test_scores_survive_a_json_file() -> None:
    scores = scores_of([0.1234567, 1 / 3], best=[0.5, 1.0])
    written = json.loads(json.dumps(scores.to_json()))
    assert written["mean"]["rouge1"] == [0.123457, 0.333333]
    assert Scores.from_json(written).to_json() == written


def test_seeds_are_averaged_within_each_dialogue() -> None:
    scores = Scores.over_seeds([scores_of([0.1, 0.5], best=[0.2, 0.6]), scores_of([0.3, 0.5], best=[0.4, 1.0])])
    assert scores.ids == ("test_0", "test_1")
    np.testing.assert_allclose(scores.mean["rouge1"], [0.2, 0.5])
    np.testing.assert_allclose(scores.max["rouge1"], [0.3, 0.8])
    np.testing.assert_allclose(scores.words, [20, 20])


def test_a_pair_is_told_apart_better_than_two_separate_models() -> None:
    b = spread()
    a = b + np.random.default_rng(1).normal(0.01, 0.02, len(b))
    difference = paired_difference(scores_of(a), scores_of(b), "rouge1")
    (low_a, high_a), (low_b, high_b) = scores_of(a).interval("rouge1"), scores_of(b).interval("rouge1")
    assert difference.mean == pytest.approx(a.mean() - b.mean())
    assert difference.low < difference.mean < difference.high
    assert difference.high - difference.low < 0.3 * math.hypot(high_a - low_a, high_b - low_b)
    assert difference.real
    assert low_a < high_b  # the separate intervals overlap


def test_a_difference_speaks_of_the_references_asked_for() -> None:
    a, b = scores_of([0.5, 0.5], best=[0.5, 0.5]), scores_of([0.5, 0.5], best=[0.75, 0.75])
    assert paired_difference(a, b, "rouge1") == Difference(0.0, 0.0, 0.0)
    assert paired_difference(a, b, "rouge1", references_by="max") == Difference(-0.25, -0.25, -0.25)


@pytest.mark.parametrize(
    ("low", "high", "real"),
    [(0.01, 0.03, True), (-0.03, -0.01, True), (-0.01, 0.03, False), (0.0, 0.02, False), (0.0, 0.0, False)],
)
def test_a_difference_is_real_when_its_interval_excludes_zero(low: float, high: float, real: bool) -> None:
    assert Difference((low + high) / 2, low, high).real is real


def test_scores_can_be_opened_without_torch() -> None:
    code = "import sys, labkit.intervals; sys.exit('torch' in sys.modules or 'evaluate' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_says_why_there_is_no_interval() -> None:
    scores = scores_of(spread(5))
    with pytest.raises(LabError, match=r"^no interval from 1 dialogue\(s\): score at least 2$"):
        scores_of([0.3]).interval("rouge1")
    with pytest.raises(LabError, match=r"^level=95 makes no interval: use a number between 0 and 1, such as 0.95$"):
        scores.interval("rouge1", level=95)
    with pytest.raises(LabError, match=r"^draws=0 makes no interval: use at least 1, better 2000$"):
        scores.interval("rouge1", draws=0)


def test_says_which_measure_or_way_is_unknown() -> None:
    scores = scores_of([0.1, 0.2])
    with pytest.raises(LabError, match=r"^measure 'bleu' is unknown: use one of rouge1$"):
        scores.average("bleu")
    with pytest.raises(LabError, match=r"^references_by='best' is unknown: use \"mean\" or \"max\"$"):
        scores.average("rouge1", references_by="best")  # type: ignore[arg-type]


def test_says_when_dialogues_differ() -> None:
    scores = scores_of([0.1, 0.2])
    for other, what in (
        (scores_of([0.1, 0.2], ids=("test_1", "test_0")), r"'test_0' and 'test_1'"),
        (scores_of([0.1, 0.2, 0.3]), r"2 and 3"),
    ):
        line = rf"^scores of different dialogues \({what}\): score the same dialogues in the same order$"
        with pytest.raises(LabError, match=line):
            paired_difference(scores, other, "rouge1")
        with pytest.raises(LabError, match=line):
            Scores.over_seeds([scores, other])
    with pytest.raises(LabError, match=r"^no scores to average over seeds: give at least one$"):
        Scores.over_seeds([])


def test_says_what_is_wrong_with_a_scores_file() -> None:
    written = scores_of([0.1, 0.2]).to_json()
    with pytest.raises(LabError, match=r"^scores of shape \(1,\) for 2 dialogues: give one number per dialogue$"):
        Scores.from_json({**written, "words": [20]})
    with pytest.raises(LabError, match=r"^scores without mean, words: score the summaries again$"):
        Scores.from_json({"ids": [], "max": {}})
