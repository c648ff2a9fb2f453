"""What several models made of each test dialogue, side by side, read from the folders of their runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.runs import Run


@dataclass(frozen=True)
class Case:
    """One test dialogue and what is made of it.

    Attributes:
        id: Of the dialogue.
        dialogue: One turn a line.
        references: One or more summaries by people.
        summaries: One a run.
        rouge: F-measures in 0..1 by measure, averaged over the references, one dict a run.
    """

    id: str
    dialogue: str
    references: tuple[str, ...]
    summaries: tuple[str, ...]
    rouge: tuple[dict[str, float], ...]


def read_cases(runs: Sequence[Run], data: Dialogues) -> list[Case]:
    """The test dialogues that all of these runs have summarized.

    Args:
        runs: Finished runs.
        data: What they were scored on, whole and unchanged.

    Returns:
        A case a dialogue, in the order of the data.

    Raises:
        LabError: There is no run, one is not finished or is of other data, or they share no dialogue.
    """
    if not runs:
        raise LabError("there is no run to read: give one or more")
    made = [_made(run, data) for run in runs]
    cases = [
        Case(row["id"], row["dialogue"], tuple(row["summaries"]), summaries, rouge)
        for row in data.test.select_columns(["id", "dialogue", "summaries"]).to_list()
        if all(row["id"] in each for each in made)
        for summaries, rouge in [zip(*(each[row["id"]] for each in made), strict=True)]
    ]
    if not cases:
        raise LabError(f"no test dialogue of {data.name} is summarized by every run: give what they were scored on")
    return cases


def find(cases: Sequence[Case], text: str) -> list[Case]:
    """Those with a text somewhere in the dialogue, a reference or a summary, in upper or lower case."""
    sought = text.strip().casefold()
    return [
        case
        for case in cases
        if any(sought in each.casefold() for each in (case.dialogue, *case.references, *case.summaries))
    ]


def by_rouge(cases: Sequence[Case], run: int, best_first: bool = False) -> list[Case]:
    """Sorted by the ROUGE-1 of one run's summaries, the worst first unless told otherwise.

    Args:
        cases: What to sort.
        run: Its place among the runs that were read.
        best_first: Turn the order round.
    """
    return sorted(cases, key=lambda case: case.rouge[run]["rouge1"], reverse=best_first)


def _made(run: Run, data: Dialogues) -> dict[str, tuple[str, dict[str, float]]]:
    """Summary and ROUGE by the id of a dialogue."""
    # by the texts and not by name and ids: a file that was changed since keeps those
    if (run.config.get("data") or {}).get("fingerprint") != data.fingerprint:
        raise LabError(f"{run.folder.name} was scored on other dialogues than this {data.name}: give those unchanged")
    scores = run.scores
    rouge = [dict(zip(scores.mean, map(float, each), strict=True)) for each in zip(*scores.mean.values(), strict=True)]
    by_id = dict(zip(scores.ids, rouge, strict=True))
    return {row["id"]: (row["summary"], by_id[row["id"]]) for row in run.predictions}
