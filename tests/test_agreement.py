"""Win rates with intervals, and agreement beyond chance."""

import pytest

from labkit.reading.agreement import Tally, cohen_kappa, wilson

# R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17, 1998, table I
PUBLISHED = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]


@pytest.mark.parametrize(("wins", "of", "low", "high"), PUBLISHED)
def test_wilsons_interval_is_as_published(wins: int, of: int, low: float, high: float) -> None:
    assert wilson(wins, of) == pytest.approx((low, high), abs=5e-5)


def test_wilsons_interval_stays_within_0_and_1() -> None:
    assert wilson(0, 3)[0] == 0
    assert wilson(3, 3)[1] == 1


def test_a_higher_level_gives_a_wider_interval() -> None:
    assert wilson(3, 10, 0.99)[0] < wilson(3, 10)[0] < wilson(3, 10)[1] < wilson(3, 10, 0.99)[1]


def test_a_tie_counts_half_a_win() -> None:
    tally = Tally(wins=3, losses=1, ties=4)
    assert tally.rate == 5 / 8
    assert tally.interval() == wilson(5, 8)


def test_kappa_is_as_worked_out_by_hand() -> None:
    # they agree on 3 of 4; by chance on 1/2 * 1/4 + 1/2 * 3/4 = 1/2
    assert cohen_kappa([1, 1, -1, -1], [1, -1, -1, -1]) == pytest.approx((3 / 4 - 1 / 2) / (1 - 1 / 2))
    assert cohen_kappa([1, 0, -1], [1, 0, -1]) == 1
    assert cohen_kappa([1, -1], [-1, 1]) == -1


def test_kappa_says_nothing_of_judges_who_always_say_the_same() -> None:
    assert cohen_kappa([1, 1], [1, 1]) is None
