import random
import socket
from pathlib import Path

import evaluate
import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer

from labkit.errors import LabError
from labkit.intervals import MEASURES
from labkit.rouge import Rouge, score, sentence_per_line

# Two dialogues, ROUGE-1 by hand. Tom: 1 with the first reference; with the second 1 word of 3 and of 2 matches,
# 2 * 1 / (3 + 2) = .4. Ann: 0 with the first; 1 word of 2 and of 1, 2 * 1 / (2 + 1) = 2/3 with the second.
PREDICTIONS = ["Tom is late", "Ann waits"]
REFERENCES = [["Tom is late", "Tom came"], ["Bob left", "Ann"]]


def test_rouge_1_2_and_l_are_as_worked_out_by_hand() -> None:
    scores = score(["a"], ["on the mat the cat"], [["the cat sat on a mat"]], use_stemmer=False)
    # 5 words and 6, 4 pairs of bigrams and 5: F = 2 * matches / sum of both.
    assert scores.average("rouge1") == pytest.approx(2 * 4 / (5 + 6))  # on, the (once), mat, cat
    assert scores.average("rouge2") == pytest.approx(2 * 1 / (4 + 5))  # the cat
    assert scores.average("rougeL") == pytest.approx(2 * 2 / (5 + 6))  # "the cat" or "on mat"
    assert scores.average("rougeLsum") == scores.average("rougeL")  # one sentence


@pytest.mark.parametrize("use_stemmer", [True, False])
def test_scores_equal_those_of_rouge_score(use_stemmer: bool) -> None:
    rng = random.Random(0)
    vocabulary = ["Tom", "walks", "walked", "walking", "home", "#Person1#", "isn't", "meeting", "meetings", "at", "3"]

    def sentences() -> list[str]:
        return [
            " ".join(["She", *rng.choices(vocabulary, k=rng.randrange(1, 9))]) + "." for _ in range(rng.randrange(4))
        ]

    predictions = [sentences() for _ in range(40)]  # some of them empty
    references = [[sentences() for _ in range(rng.randrange(1, 4))] for _ in predictions]
    scores = score(
        [str(i) for i in range(40)],
        [" ".join(lines) for lines in predictions],
        [[" ".join(lines) for lines in texts] for texts in references],
        use_stemmer,
    )
    scorer = RougeScorer(MEASURES, use_stemmer=use_stemmer)
    for i, (lines, texts) in enumerate(zip(predictions, references, strict=True)):
        direct = [scorer.score("\n".join(text), "\n".join(lines)) for text in texts]
        for measure in MEASURES:
            values = [each[measure].fmeasure for each in direct]
            assert scores.mean[measure][i] == pytest.approx(sum(values) / len(values), abs=1e-9)
            assert scores.max[measure][i] == pytest.approx(max(values), abs=1e-9)


def test_mean_averages_over_references_and_max_takes_the_best() -> None:
    scores = score(["tom", "ann"], PREDICTIONS, REFERENCES)
    np.testing.assert_allclose(scores.mean["rouge1"], [(1 + 0.4) / 2, (0 + 2 / 3) / 2])
    np.testing.assert_allclose(scores.max["rouge1"], [1, 2 / 3])
    assert scores.average("rouge1", references_by="max") == pytest.approx(5 / 6)


def test_max_takes_the_best_reference_of_each_measure_by_itself() -> None:
    scores = score(["a"], ["a b c d"], [["d c b a", "a b x y"]])
    assert scores.max["rouge1"][0] == 1  # the first: all words
    assert scores.max["rouge2"][0] == pytest.approx(1 / 3)  # the second: "a b" of three bigrams each


def test_the_metric_averages_what_score_gives_for_each_dialogue() -> None:
    mean = Rouge().compute(predictions=PREDICTIONS, references=REFERENCES)
    best = Rouge().compute(predictions=PREDICTIONS, references=REFERENCES, references_by="max")
    assert tuple(mean) == MEASURES
    assert mean["rouge1"] == pytest.approx((0.7 + 1 / 3) / 2)
    assert best["rouge1"] == pytest.approx((1 + 2 / 3) / 2)


def test_the_metric_takes_single_references_and_lists_side_by_side() -> None:
    # A list taken for one text would score 2 * 1 / (1 + 2) = 2/3 for the second dialogue instead of 1.
    result = Rouge().compute(predictions=["Tom", "Ann"], references=["Tom", ["Bob", "Ann"]], references_by="max")
    assert result["rouge1"] == 1


def test_the_metric_takes_batches() -> None:
    metric = Rouge()
    for prediction, references in zip(PREDICTIONS, REFERENCES, strict=True):
        metric.add_batch(predictions=[prediction], references=[references])
    assert metric.compute()["rouge1"] == pytest.approx((0.7 + 1 / 3) / 2)


def test_the_metric_needs_no_network_and_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert Rouge().compute(predictions=["Tom is late"], references=["Tom is late"])["rougeLsum"] == 1
    assert list(tmp_path.iterdir()) == []


def test_stemming_matches_forms_of_a_word() -> None:
    assert score(["a"], ["walks"], [["walked"]]).average("rouge1") == 1
    assert score(["a"], ["walks"], [["walked"]], use_stemmer=False).average("rouge1") == 0


def test_rouge_lsum_forgives_the_order_of_sentences_and_rouge_l_does_not() -> None:
    scores = score(["a"], ["Ann waits. Tom is late."], [["Tom is late. Ann waits."]])
    assert scores.average("rougeL") == pytest.approx(3 / 5)  # "Tom is late" of five words each
    assert scores.average("rougeLsum") == 1


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Tom asks. #Person2# agrees!  Fine?", ["Tom asks.", "#Person2# agrees!", "Fine?"]),
        ("Mr. Lee calls Dr. Ray and Mrs. Fox.", ["Mr. Lee calls Dr. Ray and Mrs. Fox."]),
        ("They meet at 3 p.m. and eat.", ["They meet at 3 p.m. and eat."]),
        ("Already.\nOn two lines", ["Already.", "On two lines"]),
        ("", [""]),
    ],
)
def test_each_sentence_gets_its_line(text: str, lines: list[str]) -> None:
    assert sentence_per_line(text) == "\n".join(lines)


def test_counts_the_words_of_each_summary() -> None:
    assert score(["a", "b"], ["Tom isn't late.", ""], [["x"], ["x"]]).words.tolist() == [3, 0]


@pytest.mark.parametrize(
    ("ids", "predictions", "references", "line"),
    [
        (["a"], ["x", "y"], [["x"]], "1 ids, 2 predictions and 1 lists of references: give one of each per dialogue"),
        ([], [], [], "no predictions to score: give at least one"),
        (["a", "b"], ["x", "y"], [["x"], []], "dialogue 'b' has no list of references: give at least one in a list"),
        (["a"], ["x"], ["x"], "dialogue 'a' has no list of references: give at least one in a list"),
        (["a", "b", "b"], ["x"] * 3, [["x"]] * 3, "dialogue 'b' comes twice: give it once, with all its references"),
    ],
)
def test_says_what_cannot_be_scored(
    ids: list[str], predictions: list[str], references: list[list[str]], line: str
) -> None:
    with pytest.raises(LabError) as error:
        score(ids, predictions, references)
    assert str(error.value).startswith(line)


def test_the_metric_says_when_there_is_nothing_to_score() -> None:
    with pytest.raises(LabError, match="no predictions to score"):
        Rouge().compute(predictions=[], references=[])
