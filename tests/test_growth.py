"""How time and memory grow: the fit finds the law that is there, and what was measured keeps to it."""

import json
from pathlib import Path

import numpy as np
import pytest
from growth import GROWTH, Corpus, fitted
from growth_picture import picture

from labkit.dialogues import Dialogues

ROOT = Path(__file__).parent.parent
FOUND = json.loads((ROOT / "benchmarks" / "growth.json").read_text(encoding="utf-8"))["growth"]


@pytest.mark.parametrize(("law", "expected"), [("flat", [3]), ("linear", [3, 2]), ("quadratic", [3, 2, 0.5])])
def test_finds_the_law_of_exact_points(law: str, expected: list[float]) -> None:
    points = [{"x": x, "mib": sum(c * x**power for power, c in enumerate(expected))} for x in (1.0, 2.0, 5.0, 9.0)]
    found = fitted(points, "mib", law)
    assert found["coefficients"] == pytest.approx(expected)
    assert found["departure"] == 0


def test_tells_how_far_the_worst_point_is_from_a_law_that_does_not_hold() -> None:
    falling = [{"x": x, "mib": 10 - x} for x in (1.0, 2.0, 4.0)]
    found = fitted(falling, "mib", "linear")
    assert min(found["coefficients"]) >= 0  # nothing costs less, the more there is of it
    assert found["departure"] > 0.1


def test_the_corpus_repeats_rows_and_none_is_like_another(tiny_data: Dialogues) -> None:
    many = Corpus(tiny_data.train.select_columns(["dialogue", "summaries"]), range(100))
    assert len(set(many[0:100]["dialogue"])) == 100
    assert many.select(np.array([30, 5]))[0:2]["summaries"] == [tiny_data.train[n]["summaries"] for n in (6, 5)]


def test_ten_times_the_rows_take_less_than_a_tenth_more_memory() -> None:
    memory = {point["x"]: point["mib"] for point in FOUND["rows"]["points"]}
    assert memory[100_000] < 1.1 * memory[10_000]


@pytest.mark.parametrize("what", GROWTH)
def test_what_was_measured_keeps_to_its_law(what: str) -> None:
    for name, most in (("seconds", 0.15), ("mib", 0.05)):  # other work on the machine shows in the time
        assert FOUND[what][name] == fitted(FOUND[what]["points"], name, getattr(GROWTH[what], name))
        assert FOUND[what][name]["departure"] < most


def test_the_picture_shows_what_was_measured() -> None:
    assert (ROOT / "docs" / "growth.svg").read_text(encoding="utf-8") == picture(FOUND)
