"""What the terminal shows of a comparison."""

from itertools import combinations
from types import SimpleNamespace

import pytest

from labkit.intervals import Difference
from labkit.recordings import read
from labkit.terminal import print_comparison


def shown(lines: int, capsys: pytest.CaptureFixture[str], dialogues: int = 500) -> str:
    rows = read("family")["rows"][:lines]
    pairs = combinations([row["label"] for row in rows], 2)
    told = [(later, earlier, Difference(0.01, 0.0, 0.02)) for earlier, later in pairs]
    entries = [SimpleNamespace(scores=SimpleNamespace(ids=range(dialogues)))]
    print_comparison(SimpleNamespace(rows=lambda: rows, differences=lambda: told, entries=entries))
    return capsys.readouterr().out


def test_six_lines_are_shown_with_all_their_fifteen_differences(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(6, capsys).count(" minus ") == 15


def test_of_more_lines_only_the_differences_to_the_first_method_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(8, capsys)
    assert said.count(" minus ") == said.count(" minus full") == 5
    assert "23 more pairs are in --json. At 95 %, 5 of 100 are called real by luck" in said


def test_few_test_dialogues_are_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert "29 test dialogues are few, and say little however the intervals look: take 30 or more." in shown(
        3, capsys, dialogues=29
    )
    assert "are few" not in shown(3, capsys, dialogues=30)
