"""What is marked is what rouge_score counts."""

import random
from typing import Any

import pytest
from rouge_score.rouge_scorer import RougeScorer

from labkit.errors import LabError
from labkit.reading.overlap import overlap, words

# capitals, stems, repetitions, marks, and letters that become others or two in lower case
VOCABULARY = ["Tom", "tom", "walks", "walked", "walking", "walk's", "the", "The", "3", "#Person1#:", "isn't"]
VOCABULARY += ["İzmir", "KELVIN", "\N{KELVIN SIGN}5", "naïve", "agrees", "agreed"]


@pytest.mark.parametrize(("by", "measure"), [(1, "rouge1"), ("lcs", "rougeL")])
def test_marks_as_many_words_as_rouge_counts_against_one_reference(by: Any, measure: str) -> None:
    rng, scorer = random.Random(0), RougeScorer([measure], use_stemmer=True)
    counts = set()
    for _ in range(200):
        summary, reference = (" ".join(rng.choices(VOCABULARY, k=rng.randrange(12))) for _ in range(2))
        precision = scorer.score(reference, summary)[measure].precision
        found = overlap(summary, [reference], by)
        assert len(found) == pytest.approx(precision * len(words(summary)))
        counts.add(len(found))
    assert len(counts) > 4


def test_finds_the_words_that_rouge_score_finds() -> None:
    tokenize = RougeScorer([], use_stemmer=True)._tokenizer.tokenize
    for text in (" ".join(VOCABULARY), "", "...", "İ", "It's 9:45, Ms. O'Neill-Smith!"):
        assert [word.stem for word in words(text)] == tokenize(text)


def test_says_where_a_word_stands_as_it_is_written() -> None:
    text = "İzmir, Walks!"
    assert [text[word.start : word.end] for word in words(text)] == ["İ", "zmir", "Walks"]


def test_marks_both_words_of_a_pair() -> None:
    found = overlap("the cat sat on the mat", ["a cat sat by the mat"], by=2)
    assert [word.stem for word in found] == ["cat", "sat", "the", "mat"]
    assert [word.start for word in found] == [4, 8, 15, 19]


def test_marks_a_word_as_often_as_one_reference_has_it_and_not_the_references_together() -> None:
    found = overlap("tea tea tea cake", ["tea and tea", "tea", "cake"])
    assert [word.stem for word in found] == ["tea", "tea", "cake"]


def test_marks_a_subsequence_with_each_reference() -> None:
    found = overlap("a b c d", ["b a c", "d"], by="lcs")
    assert [word.stem for word in found] in (["a", "c", "d"], ["b", "c", "d"])


@pytest.mark.parametrize("by", [0, -1, "rougeL"])
def test_refuses_to_mark_by_what_it_does_not_know(by: Any) -> None:
    with pytest.raises(LabError, match=r"marks nothing: use 1 or more words in a row"):
        overlap("a", ["a"], by)


def test_one_reference_that_is_no_list_is_refused() -> None:
    with pytest.raises(LabError, match="references is the text 'Ann booked': give a list of texts"):
        overlap("Ann books", "Ann booked")
