"""A sweep trains a method once a value, reuses what is there, and refuses what makes no sweep."""

from pathlib import Path
from typing import Any

import pytest
from made import made_comparison, made_entry

import labkit.sweeps
from labkit.comparison import Comparison
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.evaluation import Evaluation
from labkit.methods import FullFineTuning, LoRA, Method, PromptTuning
from labkit.models import Model
from labkit.sweeps import seeds_interval, sweep
from labkit.training import Training


def test_trains_each_value_once_and_never_again(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    news: list[str] = []
    options: dict[str, Any] = {
        "model": tiny,
        "data": tiny_data,
        "training": Training(steps=2, batch_size=4, validations=1),
        "evaluation": Evaluation(max_new_tokens=8),
        "root": tmp_path,
        "report": lambda label, _: news.append(label),
    }
    found = sweep(PromptTuning(), "tokens", [3, 1], **options)
    assert [(row["value"], row["trainable"]) for row in found.rows] == [(1, 32), (3, 96)]
    assert found.method == {"method": "prompt-tuning", "init": "vocabulary", "text": PromptTuning().text}
    assert found.settings["training"]["steps"] == 2
    assert found.settings["data"]["fingerprint"] == tiny_data.fingerprint
    assert found.settings["dialogues"] == 6
    assert {"prompt-tuning tokens=1 seed=0", "prompt-tuning tokens=3 seed=0"} <= set(news)
    assert str(tmp_path) not in str(found.to_json())
    news.clear()
    assert sweep(PromptTuning(), "tokens", [1, 3], **options) == found
    assert not news


def faked(monkeypatch: pytest.MonkeyPatch, root: Path, levels: list[list[float]]) -> list[Method]:
    """Let `compare` tell of these means a seed, and note the methods it was asked for."""
    asked: list[Method] = []

    def compare(methods: list[Method], *_: Any, **__: Any) -> Comparison:
        asked.extend(methods)
        lead, base, *_rest = made_comparison(root).entries
        pairs = enumerate(levels)
        # the highest is uneven, so that its differences have a width
        entries = [
            made_entry(root, f"v{i}", each, bend=0.05 * (i == len(levels) - 1), trainable=i) for i, each in pairs
        ]
        return Comparison("nano", "made up", (lead, base, *entries))

    monkeypatch.setattr(labkit.sweeps, "compare", compare)
    return asked


def test_turns_one_dial_and_leaves_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = faked(monkeypatch, tmp_path, [[0.2], [0.3], [0.3]])
    sweep(LoRA(targets=("all",)), "rank", [8, 2, 4])
    assert asked == [LoRA(rank=rank, targets=("all",)) for rank in (2, 4, 8)]


def test_gives_mean_seeds_and_difference_to_the_best_of_each_value(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    faked(monkeypatch, tmp_path, [[0.20, 0.22], [0.30, 0.32], [0.31, 0.33]])
    low, middle, high = sweep(LoRA(), "rank", [1, 2, 4]).rows
    assert low["rouge1"] == pytest.approx(0.21, abs=1e-5)
    assert low["rouge1_seeds"] == pytest.approx([0.20, 0.22], abs=1e-5)
    # two seeds .02 apart: 12.706 times .01 on either side
    assert low["rouge1_seeds_interval"] == pytest.approx([0.21 - 0.12706, 0.21 + 0.12706], abs=1e-4)
    assert low["rouge1_gain"] == pytest.approx(0.21 - 0.15, abs=1e-5)
    assert low["rouge1_behind"] == pytest.approx(-0.11, abs=1e-5)
    assert low["rouge1_behind_interval"][1] < 0
    assert middle["rouge1_behind"] == pytest.approx(-0.01, abs=1e-5)
    assert middle["rouge1_behind_interval"][0] < 0 < middle["rouge1_behind_interval"][1]
    assert (high["rouge1_behind"], high["rouge1_behind_interval"]) == (0, [0, 0])


@pytest.mark.parametrize(
    ("means", "half"),
    [  # quantiles of Student's t from printed tables: 12.706 for 1 degree of freedom, 4.303 for 2, 2.228 for 10
        ([0.1, 0.3], 12.706 * 0.1),
        ([0.1, 0.2, 0.3], 4.303 * 0.1 / 3**0.5),
        ([0.0, 1.0] * 5 + [0.5], 2.228 * 0.5 / 11**0.5),
    ],
)
def test_has_a_t_interval_over_seeds(means: list[float], half: float) -> None:
    found = seeds_interval(means)
    middle = sum(means) / len(means)
    assert found == pytest.approx([middle - half, middle + half], rel=1e-3)


def test_has_no_interval_over_one_seed() -> None:
    assert seeds_interval([0.3]) is None


@pytest.mark.parametrize(
    ("method", "dial", "values", "message"),
    [
        (LoRA(), "tokens", [1, 2], "lora has no dial 'tokens' to sweep: it has rank, alpha, dropout"),
        (LoRA(), "targets", [1, 2], "lora has no dial 'targets'"),
        (LoRA(), "dora", [0, 1], "lora has no dial 'dora'"),
        (FullFineTuning(), "rank", [1, 2], "full has no dial 'rank' to sweep: it has none"),
        (LoRA(), "rank", [1, 2.5], "rank 2.5 is no whole number"),
        (LoRA(), "rank", [1, "8"], "rank '8' is no whole number"),
        (LoRA(), "dropout", [0, "much"], "dropout 'much' is no number"),
        (LoRA(), "rank", [4], "rank 4 makes no sweep: give two or more values, each once"),
        (LoRA(), "rank", [4, 4, 8], "rank 4, 4, 8 makes no sweep"),
        (LoRA(), "rank", [0, 4], "rank 0 is no rank"),
    ],
)
def test_refuses_what_makes_no_sweep(method: Method, dial: str, values: list[Any], message: str) -> None:
    with pytest.raises(LabError, match=message):
        sweep(method, dial, values)


def test_refuses_a_rank_that_does_not_fit_before_anything_is_written(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    with pytest.raises(LabError, match="rank 25 is above 24"):
        sweep(LoRA(), "rank", [2, 25], model=tiny, data=tiny_data, root=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
