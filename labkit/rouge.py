"""ROUGE of summaries against one or more references a dialogue, without the network."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import datasets
import evaluate
import numpy as np
from rouge_score import rouge_scorer, tokenizers

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

    # A prediction meets several references and measures; its words are found and stemmed once.
    tokenize = functools.cache(tokenizers.DefaultTokenizer(use_stemmer).tokenize)
    scorer = rouge_scorer.RougeScorer(MEASURES, tokenizer=SimpleNamespace(tokenize=tokenize))
    best, average = np.empty((2, len(MEASURES), len(ids)))
    for i, (prediction, texts) in enumerate(zip(predictions, references, strict=True)):
        summary = sentence_per_line(prediction)
        by_reference = [scorer.score(sentence_per_line(text), summary) for text in texts]
        table = np.array([[found[measure].fmeasure for measure in MEASURES] for found in by_reference])
        best[:, i], average[:, i] = table.max(axis=0), table.mean(axis=0)
    return Scores(
        ids=tuple(ids),
        mean=dict(zip(MEASURES, average, strict=True)),
        max=dict(zip(MEASURES, best, strict=True)),
        words=np.array([len(prediction.split()) for prediction in predictions], dtype=float),
    )


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
