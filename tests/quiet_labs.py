"""A pytest plugin: a lab that nbmake runs fails, too, when a cell writes to stderr, which a learner sees in red."""

import pytest
from nbmake.nb_result import NotebookError, NotebookResult
from nbmake.nb_run import NotebookRun


def pytest_configure() -> None:
    """Look at what the cells wrote, each time nbmake has run a notebook."""
    watch(pytest.MonkeyPatch())


def watch(patch: pytest.MonkeyPatch) -> None:
    """Make nbmake report stderr as an error, until the patch is undone."""
    execute = NotebookRun.execute

    def looked_at(run: NotebookRun) -> NotebookResult:
        result = execute(run)
        for place, cell in enumerate(result.nb.cells if result.error is None else ()):
            told = "".join(each["text"] for each in cell.get("outputs", ()) if each.get("name") == "stderr")
            if told:
                summary = f"cell {place} writes to stderr"
                return NotebookResult(result.nb, NotebookError(summary, f"{summary}:\n{cell.source}\n\n{told}", place))
        return result

    patch.setattr(NotebookRun, "execute", looked_at)
