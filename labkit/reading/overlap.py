"""Which words of a summary its references have, too: what ROUGE counts, made visible."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal, NamedTuple

from labkit.errors import LabError

By = int | Literal["lcs"]


class Word(NamedTuple):
    """A word of a text: where it stands, and the stem that is compared."""

    start: int
    end: int
    stem: str


def words(text: str) -> list[Word]:
    """The words of a text as `rouge_score` finds them: lower case, letters and digits, stems of those over 3 letters.

    Args:
        text: Any text.

    Returns:
        Its words in order; `text[word.start : word.end]` is one as it is written.
    """
    # few letters become two in lower case, so each keeps the place that it came from
    lowered = [(letter, place) for place, written in enumerate(text) for letter in written.lower()]
    found = re.finditer(r"[a-z0-9]+", "".join(letter for letter, _ in lowered))
    return [Word(lowered[m.start()][1], lowered[m.end() - 1][1] + 1, _stem(m[0])) for m in found]


def overlap(summary: str, references: Sequence[str], by: By = 1) -> list[Word]:
    """The words of a summary that ROUGE finds in its references.

    Source: C.-Y. Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004. An n-gram counts as often as
    the reference that has it most often: K. Papineni et al., "BLEU", ACL 2002, section 2.1. With one reference that is
    ROUGE's own count.

    Args:
        summary: What a model wrote.
        references: One or more.
        by: 1 for single words, 2 for pairs of words and so on, "lcs" for a longest common subsequence with each
            reference.

    Returns:
        The words in order. With one reference and `by=1` there are precision x words of them, by ROUGE-1's precision;
        with `by="lcs"` by ROUGE-L's.

    Raises:
        LabError: `by` is neither "lcs" nor 1 or more, or references is no list.

    Example:
        >>> [word.stem for word in overlap("Tom is late.", ["Tom came late."])]
        ['tom', 'late']
    """
    if by != "lcs" and (not isinstance(by, int) or by < 1):
        raise LabError(f'by={by!r} marks nothing: use 1 or more words in a row, or "lcs"')
    if isinstance(references, str):
        raise LabError(f"references is the text {references[:30]!r}: give a list of texts")
    own = words(summary)
    stems = [word.stem for word in own]
    others = [[word.stem for word in words(text)] for text in references]
    if isinstance(by, int):
        places = _in_ngrams(stems, others, by)
    else:
        places = set().union(*(_in_subsequence(stems, other) for other in others))
    return [own[place] for place in sorted(places)]


def _in_ngrams(stems: list[str], others: list[list[str]], n: int) -> set[int]:
    left: Counter[tuple[str, ...]] = Counter()
    for other in others:
        left |= Counter(_ngrams(other, n))
    places: set[int] = set()
    for start, ngram in enumerate(_ngrams(stems, n)):
        if left[ngram] > 0:
            left[ngram] -= 1
            places.update(range(start, start + n))
    return places


def _ngrams(stems: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(stems[start : start + n]) for start in range(len(stems) - n + 1)]


def _in_subsequence(a: list[str], b: list[str]) -> set[int]:
    """Places in `a` of one longest common subsequence with `b`."""
    longest = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]  # of what follows place i in a and j in b
    for i in reversed(range(len(a))):
        for j in reversed(range(len(b))):
            same = a[i] == b[j]
            longest[i][j] = longest[i + 1][j + 1] + 1 if same else max(longest[i + 1][j], longest[i][j + 1])
    places, i, j = set(), 0, 0
    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            places.add(i)
            i, j = i + 1, j + 1
        elif longest[i + 1][j] >= longest[i][j + 1]:
            i += 1
        else:
            j += 1
    return places


@cache
def _tokenizer() -> Any:
    from rouge_score.tokenizers import DefaultTokenizer

    return DefaultTokenizer(use_stemmer=True)


@cache
def _stem(word: str) -> str:
    return "".join(_tokenizer().tokenize(word))
