"""Panel: which of two summaries is better, without knowing whose they are."""

from collections.abc import Callable
from functools import partial
from typing import Any

from labkit.comparison import Comparison
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.reading.agreement import Tally
from labkit.reading.judging import Judging, Pair, Result, Vote, rouge_vote
from labkit.widgets.parts import Column, Panel, Table, button, choice, html, note, row, say
from labkit.widgets.texts import boxes, dialogue_lines, marked

ANSWERS: dict[Vote, str] = {"left": "Left is better", "tie": "Equal", "right": "Right is better"}


class Judge(Panel):
    """Vote blindly between the summaries of two models of a comparison, the first seed of each.

    The votes are kept in the folder of B's run; run the cell again, on another day too, and judging goes on.

    Args:
        table: The comparison.
        data: The dialogues it was made on.
        first: Label of the one model, A; the table's second last unless given.
        second: Label of the other, B; the table's last unless given.

    Raises:
        LabError: The table has no such label.
    """

    def __init__(self, table: Comparison, data: Dialogues, first: str = "", second: str = ""):
        self._table, self._data = table, data
        self._judging: Judging | None = None
        self._pair: Pair | None = None
        labels = [entry.label for entry in table.entries]
        self._first = choice("model A", labels, table[first or labels[-2:][0]].label)
        self._second = choice("model B", labels, table[second or labels[-1]].label)
        self._votes = {vote: button(text, partial(self._vote, vote)) for vote, text in ANSWERS.items()}
        self._undo = button("Undo last", self._take_back)
        self._reveal = button("Show result", self._result, main=True)
        self._status, self._text, self._said = note(""), html(""), note("")
        self._tallies, self._each = (
            Table(caption="How often", file="win_rate.csv"),
            Table(caption="Each vote", file="votes.csv"),
        )
        self._shown = (self._said, self._tallies, self._each)
        super().__init__(
            "Which summary is better?",
            note("One of the two summaries is A's, one is B's; which is on the left is drawn for each dialogue."),
            row(self._first, self._second, self._status),
            self._text,
            row(*self._votes.values(), self._undo, self._reveal),
            *self._shown,
        )
        for control in (self._first, self._second):
            control.observe(lambda _: self._open(), "value")
        self._open()

    def _open(self) -> None:
        """Take up the votes on the chosen two."""
        self._judging = self._pair = None
        try:
            first, second = (self._table[label.value].runs[0] for label in (self._first, self._second))
            self._judging = Judging(first, second, self._data)
            self._show()
        except LabError as error:
            say(self._status, str(error))
            self._text.value = ""
            self._enable(pair=False, votes=False)
            self._hide()

    def _show(self) -> None:
        """The next pair, and no result: it would tell what the votes so far lead to."""
        assert self._judging
        votes, self._pair = self._judging.votes, self._judging.next_pair()
        total, same = len(self._judging.cases), self._judging.identical
        passed = f"; passed over: {same} of {total} dialogues, where both summaries are the same" if same else ""
        done = "" if self._pair else "; there are no more"
        say(self._status, f"{len(votes)} of {total - same} pairs judged{passed}{done}")
        self._text.value = _view(self._pair) if self._pair else ""
        self._enable(pair=bool(self._pair), votes=bool(votes))
        self._hide()

    def _vote(self, vote: Vote) -> None:
        if self._judging and self._pair:
            self._do(partial(self._judging.vote, self._pair, vote))

    def _take_back(self) -> None:
        if self._judging:
            self._do(self._judging.undo)

    def _do(self, change: Callable[[], None]) -> None:
        try:
            change()
            self._show()
        except LabError as error:
            say(self._status, str(error))

    def _result(self) -> None:
        assert self._judging
        try:
            result, votes = self._judging.result(), self._judging.votes
        except LabError as error:
            say(self._status, str(error))
            return
        a, b = self._first.value, self._second.value
        names = {1: b, -1: a, 0: "equal"}
        cases = [self._judging.cases[each] for each in votes]
        rows = [
            [case.id, names[votes[case.id]], names[rouge_vote(case)], *(rouge["rouge1"] for rouge in case.rouge)]
            for case in cases
        ]
        say(self._said, _sentence(result, a, b))
        rate = Column(f"win rate of {b}", "{:.2f}")
        self._tallies.show(
            ("by", f"{b} better", f"{a} better", "equal", rate, Column("95 % from", "{:.2f}"), Column("to", "{:.2f}")),
            [_row("you", result.votes), _row("ROUGE-1", result.rouge)],
        )
        scores = [Column(f"ROUGE-1 of {label}", "{:.3f}") for label in (a, b)]
        self._each.show(("dialogue", "you say", "ROUGE-1 says", *scores), rows)
        for part in self._shown:
            part.layout.display = None

    def _hide(self) -> None:
        for part in self._shown:
            part.layout.display = "none"

    def _enable(self, *, pair: bool, votes: bool) -> None:
        for each in self._votes.values():
            each.disabled = not pair
        self._undo.disabled = self._reveal.disabled = not votes


def _view(pair: Pair) -> str:
    dialogue = boxes([(f"Dialogue {pair.id}", dialogue_lines(pair.dialogue))])
    sides = boxes([("Left", marked(pair.left)), ("Right", marked(pair.right))])
    return f"{dialogue}<div style='height: 8px'></div>{sides}"


def _row(by: str, tally: Tally) -> list[Any]:
    return [by, tally.wins, tally.losses, tally.ties, tally.rate, *tally.interval()]


def _sentence(result: Result, a: str, b: str) -> str:
    same = f" {result.identical} identical pairs met on the way count as equal." if result.identical else ""
    kappa = "" if result.kappa is None else f", Cohen's kappa {result.kappa:.2f}"
    return (
        f"A is {a}, B is {b}. The win rate counts equal ones half; its interval is Wilson's.{same} "
        f"You and ROUGE-1 agree on {result.agreement:.0%} of the {result.judged} pairs that you judged{kappa}."
    )
