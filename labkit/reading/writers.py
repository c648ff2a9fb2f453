"""The models of a comparison, opened once, to summarize what they were not scored on."""

from collections.abc import Iterator
from typing import NamedTuple

from labkit.comparison import Comparison, Entry
from labkit.dialogues import lead
from labkit.errors import LabError
from labkit.evaluation import LEAD
from labkit.generation import summarize, turns_cut
from labkit.models import Model
from labkit.opening import open_run


class Written(NamedTuple):
    """A model's summary of a dialogue, and how many of its oldest turns the model had no room for."""

    label: str
    summary: str
    turns_cut: int


class Writers:
    """The models of a comparison, the first seed of each; they are opened when first needed, and kept.

    Args:
        table: The comparison.
        base: Its base model, if it is loaded already.
    """

    def __init__(self, table: Comparison, base: Model | None = None):
        self._table, self._base = table, base
        self._models: dict[str, Model] = {}

    def summarize(self, dialogue: str) -> Iterator[Written]:
        """Summarize one dialogue with each model, in the way in which it was scored.

        Args:
            dialogue: One turn a line.

        Returns:
            One summary a line of the comparison, each when it is ready.

        Raises:
            LabError: The dialogue is empty, or a model cannot be opened.
        """
        if not dialogue.strip():
            raise LabError("the dialogue is empty: write at least one turn, such as #Person1#: Are you coming?")
        for entry in self._table.entries:
            if entry.method == LEAD:
                yield Written(entry.label, lead(dialogue), 0)
                continue
            model, asked = self._open(entry), entry.runs[0].config.get("evaluation", {})
            how = {name: asked[name] for name in ("beams", "max_new_tokens") if name in asked}
            (summary,) = summarize(model, [dialogue], **how)
            yield Written(entry.label, summary, turns_cut(model, [dialogue])[0])

    def _open(self, entry: Entry) -> Model:
        if self._base is None and self._table.base:
            self._base = open_run(self._table.base.runs[0])  # once, and not once a model
        if entry.label not in self._models:
            self._models[entry.label] = open_run(entry.runs[0], self._base)
        return self._models[entry.label]
