"""Longest common subsequences, a row of the table as the bits of one integer.

Row i of the usual table holds at place j how long the longest common subsequence of the first i words of one text and
the first j of the other is. Along a row it grows by 0 or 1 at each place, so that a bit a place says all of it; and
the next row follows by one addition for all places at once.

Source: H. Hyyrö, "Bit-parallel LCS-length computation revisited", AWOCA 2004.
"""

from collections.abc import Hashable, Sequence
from itertools import pairwise

Words = Sequence[Hashable]


def rows(a: Words, b: Words) -> list[int]:
    """The rows of the table, one more than `a` has words; a bit is 0 where the row grows.

    Args:
        a: Words, a row each.
        b: Words, a bit each, from the lowest on.
    """
    places: dict[Hashable, int] = {}
    for place, word in enumerate(b):
        places[word] = places.get(word, 0) | 1 << place
    every = (1 << len(b)) - 1
    table = [every]
    for word in a:
        row = table[-1]
        met = row & places.get(word, 0)
        table.append((row + met | row - met) & every)
    return table


def length(a: Words, b: Words) -> int:
    """How many words the longest common subsequence has."""
    return len(b) - rows(a, b)[-1].bit_count()


def chosen(a: Words, b: Words) -> list[int]:
    """Places in `a` of one longest common subsequence: of several the one that rouge_score takes.

    Args:
        a: Words.
        b: Words.

    Returns:
        Places, the last first.
    """
    table, j, found = rows(a, b), len(b), list[int]()
    for i, (above, row) in reversed([*enumerate(pairwise(table))]):
        # in row i, to the left of j, is it as long as in the row above? else the last word of `a` is needed
        while j and a[i] != b[j - 1] and _ones(row, j - 1) > _ones(above, j):
            j -= 1
        if j and a[i] == b[j - 1]:
            found.append(i)
            j -= 1
    return found


def _ones(row: int, places: int) -> int:
    """How long it is at a place: the zeros before it."""
    return places - (row & (1 << places) - 1).bit_count()
