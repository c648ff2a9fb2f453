"""Score a model's summaries on the test split, and keep them in its run."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from labkit.dialogues import Dialogues, lead
from labkit.dials import check_types
from labkit.errors import LabError
from labkit.generation import summarize, turns_cut
from labkit.intervals import Scores
from labkit.models import Model
from labkit.prompts import LONGEST_SUMMARY
from labkit.runs import Run

LEAD = "lead-2"


@dataclass(frozen=True)
class Evaluation:
    """On what, and how summaries are written; the same for every model of a comparison.

    Attributes:
        rows: Test rows, from the first on; all unless given.
        beams: Beams of the search; 1 is greedy.
        max_new_tokens: Longest summary, in tokens.
    """

    rows: int | None = None
    beams: int = 1
    max_new_tokens: int = LONGEST_SUMMARY

    def __post_init__(self) -> None:
        """Refuse what nothing can be scored with."""
        check_types(self)
        for name, value in asdict(self).items():
            if value is not None and value < 1:
                raise LabError(f"{name} is {value}: use 1 or more")

    def settings(self) -> dict[str, Any]:
        """The dials, ready for JSON."""
        return asdict(self)


def evaluate(
    model: Model | None,
    data: Dialogues,
    evaluation: Evaluation | None = None,
    *,
    run: Run | None = None,
    results: dict[str, Any] | None = None,
    progress: Callable[[int], Any] | None = None,
) -> Scores:
    """Summarize test dialogues and measure ROUGE against all their references.

    Args:
        model: The model, or None for the baseline that copies the first two turns.
        data: Its test split is used.
        evaluation: How; greedy on all rows unless told otherwise.
        run: Where predictions and scores are written, if anywhere.
        results: More to write into the run's scores.json.
        progress: Called with the number of dialogues done.

    Returns:
        ROUGE per dialogue.

    Raises:
        LabError: There are no test rows.
    """
    from labkit.rouge import score

    chosen = evaluation or Evaluation()
    rows = data.head(test=chosen.rows).test
    if not len(rows):
        raise LabError(f"{data.name} has no test rows: name data that has some")
    dialogues = list(rows["dialogue"])
    started = time.perf_counter()
    if model is None:
        summaries = [lead(dialogue) for dialogue in dialogues]
    else:
        summaries = summarize(
            model, dialogues, beams=chosen.beams, max_new_tokens=chosen.max_new_tokens, progress=progress
        )
    seconds = time.perf_counter() - started
    scores = score(list(rows["id"]), summaries, list(rows["summaries"]))
    if run:
        predictions = [{"id": i, "summary": s} for i, s in zip(rows["id"], summaries, strict=True)]
        cut = sum(turns > 0 for turns in turns_cut(model, dialogues)) if model else 0
        run.finish(predictions, scores, {"generation_seconds": round(seconds, 1), "test_cut": cut, **(results or {})})
    return scores
