"""ROUGE of summaries against one or more references a dialogue, without the network."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, NamedTuple

import datasets
import evaluate
import numpy as np
from nltk.stem.porter import PorterStemmer
from rouge_score.tokenize import tokenize

from labkit import lcs
from labkit.errors import LabError
from labkit.intervals import MEASURES, ReferencesBy, Scores

# White space after a sentence's end, but not after "Mr." and its like, nor before a small letter ("at 3 p.m. and").
_SENTENCE_GAP = re.compile(r"(?<=[.!?])(?<!\b[MD]r\.)(?<!\bMs\.)(?<!\bMrs\.)\s+(?![\sa-z])")


class Rouge(evaluate.Metric):  # type: ignore[misc]  # evaluate is untyped
    """ROUGE as an `evaluate` metric that comes with the package; `evaluate.load("rouge")` needs the Hub.

    `compute(predictions=, references=, use_stemmer=True, references_by="mean")` takes n summaries and, for each,
    a list of references or a single one, and returns a dict of the four F-measures in 0..1. `references_by="max"`
    takes for each dialogue and measure the best reference, as evaluate's own does with lists.

    Example:
        >>> Rouge().compute(predictions=["Tom is late."], references=[["Tom is late.", "Tom came."]])["rouge1"]
        0.7
    """

    def __init__(self) -> None:
        super().__init__(keep_in_memory=True)

    def _build_data_dir(self) -> str:
        return ""  # all is kept in memory: the parent would make a folder in the user's cache for nothing

    def add_batch(self, *, predictions: Sequence[str], references: Sequence[str | Sequence[str]]) -> None:
        """Add summaries and, for each, a list of references or a single one; `compute` comes here too."""
        lists = [[each] if isinstance(each, str) else each for each in references]
        super().add_batch(predictions=predictions, references=lists)

    def _info(self) -> Any:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description="ROUGE-1, ROUGE-2, ROUGE-L and ROUGE-Lsum F-measures of summaries.",
            citation='Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004',
            inputs_description="use_stemmer: compare stems of words. references_by: 'mean' or 'max'.",
            features=datasets.Features({"predictions": text, "references": datasets.List(text)}),
        )

    def _compute(
        self,
        predictions: list[str],
        references: list[list[str]],
        use_stemmer: bool = True,
        references_by: ReferencesBy = "mean",
    ) -> dict[str, float]:
        ids = [str(i) for i in range(len(predictions))]
        scores = score(ids, predictions, references, use_stemmer)
        return {measure: scores.average(measure, references_by) for measure in MEASURES}


def score(
    ids: Sequence[str],
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    use_stemmer: bool = True,
) -> Scores:
    """ROUGE of one summary a dialogue, against each of the dialogue's references.

    Source: C.-Y. Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004, as in `rouge_score`.

    Args:
        ids: The n dialogues, each once.
        predictions: One summary per dialogue.
        references: One list of reference summaries per dialogue.
        use_stemmer: Compare stems, so that "walks" matches "walked".

    Returns:
        Scores with the mean and the max over each dialogue's references.

    Raises:
        LabError: If the lengths differ, there are no dialogues, one comes twice, or one has no list of references.
    """
    if not len(ids) == len(predictions) == len(references):
        raise LabError(
            f"{len(ids)} ids, {len(predictions)} predictions and {len(references)} lists of references: "
            "give one of each per dialogue"
        )
    if not ids:
        raise LabError("no predictions to score: give at least one")
    if len(set(ids)) < len(ids):
        twice = next(each for each in ids if list(ids).count(each) > 1)
        raise LabError(f"dialogue {twice!r} comes twice: give it once, with all its references in one list")
    for each, texts in zip(ids, references, strict=True):
        if isinstance(texts, str) or not texts:
            raise LabError(f"dialogue {each!r} has no list of references: give at least one in a list")

    read = functools.cache(_reader(use_stemmer))  # a prediction meets several references, and a reference many models
    best, average = np.empty((2, len(MEASURES), len(ids)))
    for i, (prediction, texts) in enumerate(zip(predictions, references, strict=True)):
        table = np.array([_f_measures(read(text), read(prediction)) for text in texts])
        best[:, i], average[:, i] = table.max(axis=0), table.mean(axis=0)
    return Scores(
        ids=tuple(ids),
        mean=dict(zip(MEASURES, average, strict=True)),
        max=dict(zip(MEASURES, best, strict=True)),
        words=np.array([len(prediction.split()) for prediction in predictions], dtype=float),
    )


class _Text(NamedTuple):
    """A text as ROUGE compares it."""

    words: list[str]
    sentences: list[list[str]]
    singles: Counter[str]
    pairs: Counter[tuple[str, str]]


def _reader(use_stemmer: bool) -> Callable[[str], _Text]:
    """What makes words of a text, each of which is stemmed once."""
    stemmer = SimpleNamespace(stem=functools.cache(PorterStemmer().stem)) if use_stemmer else None

    def read(text: str) -> _Text:
        sentences = [tokenize(line, stemmer) for line in sentence_per_line(text).split("\n") if line]
        words = [word for sentence in sentences for word in sentence]
        return _Text(words, sentences, Counter(words), Counter(pairwise(words)))

    return read


def _f_measures(reference: _Text, summary: _Text) -> tuple[float, ...]:
    """ROUGE-1, ROUGE-2, ROUGE-L and ROUGE-Lsum, as rouge_score computes them."""
    sizes = len(reference.words), len(summary.words)
    in_order = lcs.length(reference.words, summary.words)
    alone = max(len(reference.sentences), len(summary.sentences)) <= 1
    return (
        _f((reference.singles & summary.singles).total(), *sizes),
        _f((reference.pairs & summary.pairs).total(), *(max(0, size - 1) for size in sizes)),
        _f(in_order, *sizes),
        _f(in_order if alone else _union(reference, summary), *sizes),
    )


def _union(reference: _Text, summary: _Text) -> int:
    """Words of the reference that some sentence of the summary has in order, each as often as both texts have it."""
    left, hits = reference.singles & summary.singles, 0
    for sentence in reference.sentences:
        for place in set().union(*(lcs.chosen(sentence, other) for other in summary.sentences)):
            if left[sentence[place]] > 0:
                left[sentence[place]] -= 1
                hits += 1
    return hits


def _f(hits: int, reference: int, summary: int) -> float:
    """The harmonic mean of precision and recall."""
    if not hits:
        return 0.0
    precision, recall = hits / summary, hits / reference
    return 2 * precision * recall / (precision + recall)


def sentence_per_line(text: str) -> str:
    r"""The text with a newline after each sentence.

    Example:
        >>> sentence_per_line("Mr. Lee is late. Ann waits.")
        'Mr. Lee is late.\nAnn waits.'
    """
    # rougeLsum takes each line for a sentence and matches sentence by sentence; on text without newlines it is
    # just rougeL. T5's tokenizer turns newlines into spaces, so no summary comes with them. rouge_score's own
    # splitter needs files of NLTK's that are fetched from the network.
    return _SENTENCE_GAP.sub("\n", text)
