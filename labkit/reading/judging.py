"""Blind votes between the summaries of two models, kept in a run's folder, and how they go with ROUGE."""

import json
import random
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal, NamedTuple

from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.reading.agreement import Tally, cohen_kappa
from labkit.reading.cases import Case, read_cases
from labkit.runs import Run

Vote = Literal["left", "right", "tie"]


class Pair(NamedTuple):
    """A dialogue with two summaries whose authors are not told."""

    id: str
    dialogue: str
    left: str
    right: str


@dataclass(frozen=True)
class Result:
    """What the votes say of the second model against the first, and what ROUGE-1 says of the same dialogues.

    Attributes:
        votes: Wins, losses and ties by vote, with the identical pairs as ties.
        rouge: The same by the higher ROUGE-1.
        judged: Pairs with a vote.
        identical: Pairs passed on the way because both summaries are the same.
        agreement: Share of the judged pairs where vote and ROUGE-1 say the same, 0 to 1.
        kappa: Cohen's kappa of the two, 1 for agreement everywhere, 0 for as much as by chance; None where both
            always say one and the same.
    """

    votes: Tally
    rouge: Tally
    judged: int
    identical: int
    agreement: float
    kappa: float | None


class Judging:
    """The test dialogues of two runs, in a drawn order and with drawn sides, and the votes on them.

    Votes are lines of `votes-<first run>.jsonl` in the folder of the second run, and are read from there, so that
    judging goes on where it stopped. Pairs with identical summaries are passed over.

    Args:
        first: A finished run.
        second: Another one, scored on the same data.
        data: What they were scored on.
        seed: Of order and sides.

    Raises:
        LabError: It is one and the same run, or as for `read_cases`.
    """

    def __init__(self, first: Run, second: Run, data: Dialogues, seed: int = 0):
        if first.folder.resolve() == second.folder.resolve():
            raise LabError(f"{first.folder.name} is set against itself: choose two different runs")
        self._names = (first.folder.name, second.folder.name)
        self._file = second.folder / f"votes-{first.folder.name}.jsonl"
        cases, draw = read_cases([first, second], data), random.Random(seed)
        draw.shuffle(cases)
        self.cases = {case.id: case for case in cases}
        self._second_is_left = {case.id: draw.random() < 0.5 for case in cases}

    @property
    def identical(self) -> int:
        """How many of all pairs are identical."""
        return sum(map(_identical, self.cases.values()))

    @property
    def votes(self) -> dict[str, int]:
        """Votes by dialogue, the last one last: 1 where the second model is better, -1 the first, 0 neither."""
        votes: dict[str, int] = {}
        for line in self._lines():
            votes.pop(line["id"], None)
            if line["vote"] != "undo" and line["id"] in self.cases:
                left = 1 if line["left"] == self._names[1] else -1
                votes[line["id"]] = {"left": left, "right": -left, "tie": 0}[line["vote"]]
        return votes

    def next_pair(self) -> Pair | None:
        """The next pair without a vote; None when all have one."""
        votes = self.votes
        for case in self.cases.values():
            if case.id not in votes and not _identical(case):
                left, right = reversed(case.summaries) if self._second_is_left[case.id] else case.summaries
                return Pair(case.id, case.dialogue, left, right)
        return None

    def vote(self, pair: Pair, better: Vote) -> None:
        """Keep a vote.

        Args:
            pair: What was judged.
            better: "left", "right" or "tie".

        Raises:
            LabError: It is none of these, or the vote cannot be written.
        """
        if better not in ("left", "right", "tie"):
            raise LabError(f"{better!r} is no vote: use left, right or tie")
        # with the run that stood on the left a line can be read without knowing the seed
        self._append({"id": pair.id, "vote": better, "left": self._names[self._second_is_left[pair.id]]})

    def undo(self) -> None:
        """Take back the last vote; its pair comes again.

        Raises:
            LabError: There is none.
        """
        if not (votes := self.votes):
            raise LabError("there is no vote to take back: vote first")
        self._append({"id": list(votes)[-1], "vote": "undo"})

    def result(self) -> Result:
        """What the votes come to so far.

        Raises:
            LabError: There are none.
        """
        if not (votes := self.votes):
            raise LabError("there is no vote yet: judge at least one pair")
        passed = takewhile(lambda case: case.id in votes or _identical(case), self.cases.values())
        identical = sum(_identical(case) for case in passed)
        by_vote, by_rouge = list(votes.values()), [rouge_vote(self.cases[each]) for each in votes]
        return Result(
            votes=_tally(by_vote, identical),
            rouge=_tally(by_rouge, identical),
            judged=len(votes),
            identical=identical,
            agreement=sum(a == b for a, b in zip(by_vote, by_rouge, strict=True)) / len(votes),
            kappa=cohen_kappa(by_vote, by_rouge),
        )

    def _lines(self) -> list[dict[str, Any]]:
        """What is in the file; a line without its end was torn, and does not count."""
        whole = self._file.read_bytes().rpartition(b"\n")[0] if self._file.is_file() else b""
        lines = []
        for number, text in enumerate(whole.splitlines(), 1):
            try:
                line = json.loads(text)
                known = line["vote"] == "undo" or (line["vote"] in ("left", "right", "tie") and line["left"])
                if not (known and isinstance(line["id"], str)):
                    raise ValueError
            except (ValueError, KeyError, TypeError):
                raise LabError(f"{self._file} is damaged in line {number}: delete that line") from None
            lines.append(line)
        return lines

    def _append(self, line: dict[str, Any]) -> None:
        try:
            with self._file.open("a+b") as file:
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)  # a torn line would spoil the one that follows
                file.write(json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise LabError(f"{self._file} cannot be written ({error.strerror}): make it writable") from error


def rouge_vote(case: Case) -> int:
    """Which of two summaries has the higher ROUGE-1: 1 for the second, -1 for the first, 0 for neither."""
    first, second = (rouge["rouge1"] for rouge in case.rouge)
    return (second > first) - (second < first)


def _identical(case: Case) -> bool:
    return case.summaries[0] == case.summaries[1]


def _tally(votes: list[int], identical: int) -> Tally:
    return Tally(votes.count(1), votes.count(-1), votes.count(0) + identical)
