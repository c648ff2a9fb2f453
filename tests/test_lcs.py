"""Longest common subsequences by bits: those of rouge_score, words and ties alike."""

from random import Random

import pytest
from rouge_score import rouge_scorer

from labkit import lcs
from labkit.rouge import score, sentence_per_line

MEASURES = ("rouge1", "rouge2", "rougeL", "rougeLsum")


def words(rng: Random, most: int) -> list[str]:
    return [rng.choice("abcde") for _ in range(rng.randrange(most))]


def text(rng: Random) -> str:
    vocabulary = ("Tom", "walks", "walked", "to", "the", "station", "at", "6", "p.m.", "-", "café", "!", "Ann's")
    sentences = (" ".join(rng.choices(vocabulary, k=rng.randrange(1, 9))) for _ in range(rng.randrange(4)))
    return " ".join(sentence + "." for sentence in sentences)


@pytest.mark.parametrize("seed", range(200))
def test_takes_the_places_that_rouge_score_takes(seed: int) -> None:
    rng = Random(seed)
    a, b = words(rng, 14), words(rng, 80 if seed % 10 == 0 else 14)  # more than 64 places, now and then
    table = rouge_scorer._lcs_table(a, b)
    assert lcs.length(a, b) == table[len(a)][len(b)]
    assert sorted(lcs.chosen(a, b)) == rouge_scorer._backtrack_norec(table, a, b)


@pytest.mark.parametrize("stemmed", [True, False], ids=["stemmed", "as written"])
def test_every_f_measure_is_that_of_rouge_score(stemmed: bool) -> None:
    rng = Random(1)
    theirs = rouge_scorer.RougeScorer(MEASURES, use_stemmer=stemmed)
    summaries, references = [text(rng) for _ in range(150)], [[text(rng) for _ in range(3)] for _ in range(150)]
    ours = score([str(i) for i in range(150)], summaries, references, stemmed)
    for i, (summary, texts) in enumerate(zip(summaries, references, strict=True)):
        found = [theirs.score(sentence_per_line(each), sentence_per_line(summary)) for each in texts]
        for measure in MEASURES:
            values = [one[measure].fmeasure for one in found]
            assert ours.mean[measure][i] == pytest.approx(sum(values) / 3, abs=1e-12)
            assert ours.max[measure][i] == pytest.approx(max(values), abs=1e-12)
