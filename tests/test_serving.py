"""Throughput: the same work one way and another, in turns."""

from pathlib import Path
from typing import Any

import pytest
import torch
from made_runs import made_run
from transformers import T5ForConditionalGeneration

from labkit.adapters import merging, serving
from labkit.adapters.serving import throughput
from labkit.adapters.several import Adapters
from labkit.adapters.together import together
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.methods import Bottleneck, LoRA, Method, Selective
from labkit.models import Model
from labkit.parameters import count_parameters

NAMES = ["a", "base", "b", "a", "a", "b"]


@pytest.fixture
def shared(tiny: Model, tiny_data: Dialogues, tmp_path: Path, request: pytest.FixtureRequest) -> Adapters:
    """Two adapters of LoRA, or of the method that a test is parametrised with."""
    method: Method = getattr(request, "param", LoRA())
    runs = {name: made_run(tmp_path / name, tiny, method, tiny_data, seed=seed) for seed, name in enumerate("ab")}
    return together(tiny, runs)


@pytest.fixture
def dialogues(tiny_data: Dialogues) -> list[str]:
    return list(tiny_data.test["dialogue"])


def test_every_way_writes_the_same_and_as_many_tokens(
    shared: Adapters, dialogues: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, written = T5ForConditionalGeneration.generate, []

    def listen(net: Any, **asked: Any) -> Any:
        written.append(plain(net, **asked))
        return written[-1]

    monkeypatch.setattr(T5ForConditionalGeneration, "generate", listen)
    rows = throughput(shared, dialogues, NAMES, repeats=1, tokens=4)
    assert [row["label"] for row in rows] == ["one batch", "swapping", "merged copies"]
    # a batch for all; one for each of a, base and b, by swapping and by copies; and all of that twice, to warm up first
    assert [len(batch) for batch in written] == 2 * [6, 3, 1, 2, 3, 1, 2]
    assert {batch.shape[1] for batch in written} == {1 + 4}
    mixed, a, base, b, *copies = written[:7]
    assert torch.equal(torch.cat([mixed[[0, 3, 4]], mixed[[1]], mixed[[2, 5]]]), torch.cat([a, base, b]))
    assert all(torch.equal(one, other) for one, other in zip((a, base, b), copies, strict=True))


def test_rows_tell_of_the_rate_beside_swapping(
    shared: Adapters, dialogues: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that slows down steadily: each way takes a second longer than the one before it."""
    calls: list[int] = []
    monkeypatch.setattr(serving, "_seconds", lambda way, tokens: calls.append(len(way)) or float(len(calls)))
    rows = throughput(shared, dialogues, NAMES, repeats=2)
    assert calls == [1, 3, 3, 1, 3, 3, 3, 3, 1]  # one batch or three; the second round is turned round
    one_batch, swapping, merged = rows
    # 4 and 9 seconds, 5 and 8, 6 and 7, for 6 summaries
    assert (one_batch["summaries"], swapping["summaries"]) == (pytest.approx((6 / 4 + 6 / 9) / 2), pytest.approx(0.975))
    assert one_batch["times"] == pytest.approx((5 / 4 + 8 / 9) / 2)
    assert (swapping["times"], merged["times"]) == (1, pytest.approx((5 / 6 + 8 / 7) / 2))
    assert all(row["low"] < row["summaries"] < row["high"] for row in rows)


def test_a_merged_copy_takes_all_weights_once_more(shared: Adapters, dialogues: list[str]) -> None:
    rows = throughput(shared, dialogues, NAMES, repeats=1, tokens=1)
    base, both = count_parameters(shared.base).total, count_parameters(shared.net).total
    assert [row["weights"] for row in rows] == [both, both + base, 3 * base]


@pytest.mark.parametrize(
    ("shared", "ways"),
    [
        (Bottleneck(4), ["one batch", "swapping"]),
        (Selective(part="all", layers="all"), ["swapping", "merged copies"]),
    ],
    indirect=["shared"],
    ids=["bottleneck", "position biases"],
)
def test_a_way_that_a_method_does_not_have_is_left_out(shared: Adapters, dialogues: list[str], ways: list[str]) -> None:
    shared.use("b")
    assert [row["label"] for row in throughput(shared, dialogues, NAMES, repeats=1, tokens=1)] == ways
    assert shared.active == "b"


def test_a_copy_that_would_write_something_else_is_not_left_out_in_silence(
    shared: Adapters, dialogues: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "TOLERANCE", -1.0)
    shared.use("b")
    with pytest.raises(LabError, match=r"merged lora differs by .*: keep it unmerged"):
        throughput(shared, dialogues, NAMES, repeats=1, tokens=1)
    assert shared.active == "b"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"dialogues": [], "names": []}, "0 adapters for 0 dialogues: name one for each, of one or more"),
        ({"names": ["a"]}, "1 adapters for 6 dialogues: name one for each"),
        ({"names": ["a"] * 5 + ["c"]}, "no adapter 'c' is loaded"),
        ({"repeats": 0}, "repeats is 0: use 1 or more"),
        ({"tokens": 0}, "tokens is 0: use 1 or more"),
    ],
)
def test_refuses_what_cannot_be_timed(
    changed: dict[str, Any], why: str, shared: Adapters, dialogues: list[str]
) -> None:
    with pytest.raises(LabError, match=why):
        throughput(**({"adapters": shared, "dialogues": dialogues, "names": NAMES} | changed))
    assert shared.active == "base"
