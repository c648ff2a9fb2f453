"""Labs are quiet."""

from pathlib import Path

import nbformat
import pytest
from nbmake.nb_run import NotebookRun
from quiet_labs import watch


@pytest.mark.parametrize(("stream", "fails"), [("stdout", False), ("stderr", True)])
def test_a_lab_that_writes_to_stderr_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: str, fails: bool
) -> None:
    watch(monkeypatch)
    lab, cell = tmp_path / "lab.ipynb", nbformat.v4.new_code_cell(f"import sys\nprint('told', file=sys.{stream})")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), lab)
    error = NotebookRun(lab, default_timeout=60).execute().error
    assert (error is not None) == fails
    assert error is None or error.trace.endswith("told\n")
