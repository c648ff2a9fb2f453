"""ROUGE with intervals beside what `evaluate`'s own does: rouge_score, pair by pair, and its bootstrap."""

import json
import statistics
import time
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

from rouge_score import rouge_scorer, scoring

import labkit as lk
from labkit.rouge import score

ROWS = 1500
MEASURES = ("rouge1", "rouge2", "rougeL", "rougeLsum")


def rows() -> tuple[list[str], list[list[str]]]:
    """Summaries, each the reference of another dialogue, and three references for each."""
    references = list(lk.load_dialogues().test["summaries"])
    summaries = [texts[turn % 3] for turn in range(3) for texts in references[1:] + references[:1]]
    return summaries[:ROWS], list(islice(cycle(references), ROWS))


def ours(summaries: list[str], references: list[list[str]]) -> dict[str, float]:
    """The best over the references, as `evaluate` has it, with the intervals that every table of labkit shows."""
    found = score([str(i) for i in range(len(summaries))], summaries, references)
    for measure in MEASURES:
        found.interval(measure)
    return {measure: found.average(measure, "max") for measure in MEASURES}


def peer(summaries: list[str], references: list[list[str]]) -> dict[str, float]:
    """The same with rouge_score's scorer and aggregator."""
    scorer, aggregator = rouge_scorer.RougeScorer(MEASURES, use_stemmer=True), scoring.BootstrapAggregator()
    for summary, texts in zip(summaries, references, strict=True):
        aggregator.add_scores(scorer.score_multi(texts, summary))
    return {measure: float(each.mid.fmeasure) for measure, each in aggregator.aggregate().items()}


def rouge(rounds: int = 3) -> dict[str, Any]:
    """Median seconds of both, one after the other, and their ratio."""
    given, taken = rows(), {"labkit": list[float](), "rouge_score": list[float]()}
    sides: dict[str, Callable[..., dict[str, float]]] = {"labkit": ours, "rouge_score": peer}
    means: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for name, side in sides.items():
            started = time.perf_counter()
            means[name] = side(*given)
            taken[name].append(time.perf_counter() - started)
    seconds = {name: round(statistics.median(each), 3) for name, each in taken.items()}
    # the aggregator's middle is the median of its draws, and rougeLsum of texts in one line is rougeL there
    apart = max(abs(means["labkit"][m] - means["rouge_score"][m]) for m in MEASURES[:3])
    return {
        "seconds": seconds,
        "over_rouge_score": round(seconds["rouge_score"] / seconds["labkit"], 1),
        "largest_difference_of_means": round(apart, 5),
    }


if __name__ == "__main__":
    print(json.dumps(rouge(), indent=1))
