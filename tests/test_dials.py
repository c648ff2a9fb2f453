"""Dials hold what their type says."""

from typing import Any

import numpy as np
import pytest

import labkit as lk
from labkit.costs.activations import Step
from labkit.errors import LabError


@pytest.mark.parametrize(
    ("kind", "dials", "said"),
    [
        (lk.LoRA, {"rank": "8"}, "rank is '8': use a whole number"),
        (lk.LoRA, {"rank": 8.5}, "rank is 8.5: use a whole number"),
        (lk.LoRA, {"rank": True}, "rank is True: use a whole number"),
        (lk.LoRA, {"rank": None}, "rank is None: use a whole number"),
        (lk.LoRA, {"dora": "no"}, "dora is 'no': use True or False"),
        (lk.AdaLoRA, {"alpha": "16"}, "alpha is '16': use a number"),
        (lk.PromptTuning, {"tokens": 2.5}, "tokens is 2.5: use a whole number"),
        (lk.PTuning, {"hidden": 2.5}, "hidden is 2.5: use a whole number"),
        (lk.MultitaskPromptTuning, {"tasks": "2"}, "tasks is '2': use a whole number"),
        (lk.PrefixTuning, {"mlp": 6.4}, "mlp is 6.4: use a whole number"),
        (lk.LlamaAdapter, {"tokens": "10"}, "tokens is '10': use a whole number"),
        (lk.Bottleneck, {"width": "16"}, "width is '16': use a whole number"),
        (lk.Selective, {"layers": 2}, "layers is 2: use a text"),
        (lk.Training, {"steps": "3"}, "steps is '3': use a whole number"),
        (lk.Training, {"learning_rate": "0.1"}, "learning_rate is '0.1': use a number"),
        (lk.Evaluation, {"rows": 2.5}, "rows is 2.5: use a whole number"),
        (Step, {"batch_size": 2.5}, "batch_size is 2.5: use a whole number"),
    ],
)
def test_a_value_of_another_type_is_refused(kind: Any, dials: dict[str, Any], said: str) -> None:
    with pytest.raises(LabError) as refused:
        kind(**dials)
    assert str(refused.value) == said


def test_whole_numbers_are_numbers_and_numpy_has_them_too() -> None:
    assert lk.LoRA(rank=np.int64(4), alpha=8).alpha == 8


def test_what_is_optional_can_be_left_out() -> None:
    assert (lk.Training(patience=None).patience, lk.LoRA(bits=None).bits) == (None, None)
