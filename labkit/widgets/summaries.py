"""Panel: a dialogue, its references and what each model made of it, side by side."""

import threading
from typing import Any

import ipywidgets as widgets

from labkit.comparison import Comparison
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.models import Model
from labkit.reading.cases import Case, by_rouge, find, read_cases
from labkit.reading.overlap import overlap, words
from labkit.reading.writers import Writers
from labkit.widgets.parts import AS_WIDE_AS_A_DIAL, Column, Dial, Panel, Table, button, choice, html, note, row, say
from labkit.widgets.texts import MARK, boxes, dialogue_lines, lines, marked

ORDERS = ("as they are", "worst first", "best first")
MARKED = [("single words", 1), ("pairs of words", 2), ("longest common subsequence", "lcs")]
MEASURES = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}
COLUMNS: tuple[str | Column, ...] = (
    "model",
    *(Column(title, "{:.3f}") for title in MEASURES.values()),
    "words",
    "marked",
)
LEGEND = (
    f"<p style='margin: 4px 0'>{MARK.format('marked')}: a reference has it, too, as ROUGE counts: "
    "in lower case, by the word's stem, and not more often than one reference has it.</p>"
)


class Summaries(Panel):
    """Read what the models of a comparison wrote, the first seed of each; search, sort, and try a dialogue of your own.

    Args:
        table: The comparison.
        data: The dialogues it was made on.
        base: Its base model, if it is loaded already; it is needed for dialogues of your own only.

    Raises:
        LabError: The data are not those of the comparison.
    """

    def __init__(self, table: Comparison, data: Dialogues, base: Model | None = None):
        self._cases = read_cases([entry.runs[0] for entry in table.entries], data)
        self._found = self._cases
        self._labels = [entry.label for entry in table.entries]
        self._writers, self._thread = Writers(table, base), threading.Thread()
        models = [(label, place) for place, label in enumerate(self._labels)]
        self._search = widgets.Text(description="search", placeholder="any words in it", **AS_WIDE_AS_A_DIAL)
        self._order = choice("order", ORDERS)
        self._by = choice("by ROUGE-1 of", models, len(models) - 1)
        self._marking = choice("mark", MARKED)
        self._dial = Dial("dialogue", 1, 1, len(self._cases))
        steps = [button("Previous", lambda: self._step(-1)), button("Next", lambda: self._step(1))]
        self._count, self._text, self._scores = note(""), html(""), Table(file="summaries.csv")
        self._own = widgets.Textarea(
            description="your own dialogue",
            placeholder="#Person1#: Are you coming?\n#Person2#: At six.",
            rows=5,
            style={"description_width": "auto"},
            layout=widgets.Layout(width="100%"),
        )
        self._status, self._written = note(""), html("")
        super().__init__(
            "Summaries",
            row(self._search, self._order, self._by, self._marking),
            row(self._dial, *steps, self._count),
            self._text,
            html(LEGEND),
            self._scores,
            row(self._own, button("Summarize", self._start, main=True), self._status),
            self._written,
        )
        for control in (self._search, self._order, self._by):
            control.observe(lambda _: self._select(), "value")
        for control in (self._dial, self._marking):
            control.observe(lambda _: self._show(), "value")
        self._select()

    def _step(self, by: int) -> None:
        self._dial.value += by

    def _select(self) -> None:
        """Search and sort anew, and start from the first."""
        self._found = find(self._cases, self._search.value)
        if self._order.value != ORDERS[0]:
            self._found = by_rouge(self._found, self._by.value, best_first=self._order.value == ORDERS[2])
        say(self._count, f"{len(self._found)} of {len(self._cases)} dialogues found")
        with self._dial.hold_sync():
            self._dial.value = 1
            self._dial.high = max(1, len(self._found))
            self._dial.disabled = not self._found
        self._show()

    def _show(self) -> None:
        if not self._found:
            self._text.value = ""
            self._scores.show(COLUMNS, [])
            return
        case = self._found[int(self._dial.number) - 1]
        found = [overlap(summary, case.references, self._marking.value) for summary in case.summaries]
        top = boxes([(f"Dialogue {case.id}", dialogue_lines(case.dialogue)), ("References", lines(case.references))])
        written = [marked(*each) for each in zip(case.summaries, found, strict=True)]
        self._text.value = f"{top}<div style='height: 8px'></div>{boxes(list(zip(self._labels, written, strict=True)))}"
        self._scores.caption = f"Dialogue {case.id}; ROUGE is the mean over its references ({len(case.references)})"
        self._scores.show(COLUMNS, self._rows(case, list(map(len, found))))

    def _rows(self, case: Case, found: list[int]) -> list[list[Any]]:
        return [
            [label, *(rouge[measure] for measure in MEASURES), len(words(summary)), count]
            for label, rouge, summary, count in zip(self._labels, case.rouge, case.summaries, found, strict=True)
        ]

    def _start(self) -> None:
        """Let all models summarize the learner's dialogue, in a thread: opening them takes a while."""
        if self._thread.is_alive():
            return
        self._written.value = ""
        say(self._status, "opening the models ...")
        self._thread = threading.Thread(target=self._write, args=(self._own.value,), daemon=True)
        self._thread.start()

    def _write(self, dialogue: str) -> None:
        written = []
        try:
            for label, summary, cut in self._writers.summarize(dialogue):
                missed = f" (too long: its first {cut} turns were not read, or not whole)" if cut else ""
                written.append((label + missed, marked(summary)))
                self._written.value = boxes(written)
                say(self._status, f"{len(written)} of {len(self._labels)} models are done")
        except LabError as error:
            say(self._status, str(error))
        except Exception as error:  # nobody would see a thread's traceback
            say(self._status, f"{type(error).__name__}: {error}")
