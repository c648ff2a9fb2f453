"""Figures that others published, each with its source, to be laid over one's own."""

import json
from dataclasses import dataclass
from typing import Any

from labkit.errors import LabError
from labkit.paths import DATA


@dataclass(frozen=True)
class Published:
    """One table of others.

    Attributes:
        title: Model and data.
        source: Who published it, and where.
        note: What to bear in mind.
        columns: Titles of its columns; the first is the dial that was turned.
        measures: The columns that say how good it was, and whether "higher" or "lower" is better.
        rows: A value a column.
    """

    title: str
    source: str
    note: str
    columns: list[str]
    measures: dict[str, str]
    rows: list[list[Any]]

    @property
    def dial(self) -> str:
        """What was turned: rank, tokens or method."""
        return self.columns[0]

    @property
    def values(self) -> list[Any]:
        """The values of the dial."""
        return [row[0] for row in self.rows]

    def shares(self, measure: str) -> list[float]:
        """A measure in % of its best value, 0 to 100, so that tables of other scales can be laid over each other.

        Args:
            measure: One of `measures`.

        Returns:
            A share a row; where lower is better, the best value in % of each.

        Raises:
            LabError: The table has no such measure.
        """
        if measure not in self.measures:
            raise LabError(f"{self.title!r} has no measure {measure!r}: it has {', '.join(self.measures) or 'none'}")
        numbers = [row[self.columns.index(measure)] for row in self.rows]
        if self.measures[measure] == "lower":
            return [100 * min(numbers) / number for number in numbers]
        return [100 * number / max(numbers) for number in numbers]


def load_published() -> dict[str, Published]:
    """All published tables that travel with labkit.

    Returns:
        The tables by their names: lora_rank_e2e, lora_rank_dialogsum, prompt_length, lab_dialogsum.
    """
    files = sorted((DATA / "published").glob("*.json"))
    return {file.stem: Published(**json.loads(file.read_text(encoding="utf-8"))) for file in files}
