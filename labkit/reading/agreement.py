"""Win rates with their intervals, and how far two judges agree."""

from statistics import NormalDist
from typing import NamedTuple


class Tally(NamedTuple):
    """How often the second of two models did better, worse, and as well; being as well counts half a win."""

    wins: int
    losses: int
    ties: int

    @property
    def rate(self) -> float:
        """Share of wins, 0 to 1."""
        return (self.wins + self.ties / 2) / sum(self)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Wilson's interval of the rate; a little wide where there are ties, which vary less than wins and losses."""
        return wilson(self.wins + self.ties / 2, sum(self), level)


def wilson(wins: float, of: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share: the shares that would not be refused with this many wins.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.

    Args:
        wins: 0 to `of`.
        of: Trials, 1 or more.
        level: How often such an interval holds the true share, between 0 and 1.

    Returns:
        Lower and upper end, in 0..1.
    """
    z, share = NormalDist().inv_cdf((1 + level) / 2), wins / of
    middle = (share + z**2 / (2 * of)) / (1 + z**2 / of)
    half = z / (1 + z**2 / of) * (share * (1 - share) / of + z**2 / (4 * of**2)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)


def cohen_kappa(a: list[int], b: list[int]) -> float | None:
    """Agreement of two judges beyond what their habits alone would give.

    Source: J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement, 1960.

    Args:
        a: What one says of each case.
        b: What the other says, as many.

    Returns:
        Kappa, at most 1; None where both always say one and the same, which says nothing.
    """
    n = len(a)
    chance = sum(a.count(each) * b.count(each) for each in set(a)) / n**2
    if chance == 1:
        return None
    return (sum(x == y for x, y in zip(a, b, strict=True)) / n - chance) / (1 - chance)
