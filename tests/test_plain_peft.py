"""Exports without labkit: in a process that cannot import it, each does by its card what it does here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from made_runs import made_run
from safetensors.torch import load_file
from test_methods import CASES

from labkit.adapters.exporting import export
from labkit.dialogues import Dialogues
from labkit.generation import summarize
from labkit.methods import Method, MultitaskPromptTuning, restore
from labkit.models import Model
from labkit.prompts import encode_prompts
from labkit.runs import Run

# what was learned over fewer bits goes on the base as it is: see test_foreign.py
EXPORTED = {name: method for name, method in CASES.items() if not getattr(method, "bits", None)}
EXPORTED["multitask prompt tuning 3 tasks"] = MultitaskPromptTuning(tokens=5, tasks=3)
DIALOGUE = "#Person1#: Are you coming?\n#Person2#: At six."  # of the cards
Found = tuple[dict[str, str], dict[str, torch.Tensor]]


@pytest.fixture(scope="module")
def runs(tiny: Model, tiny_data: Dialogues, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    return {name: made_run(folder / name, tiny, method, tiny_data) for name, method in EXPORTED.items()}


@pytest.fixture(scope="module")
def elsewhere(runs: dict[str, Run], tiny: Model, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What the cards' own lines print in a process without labkit, and the scores of what is written there."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for name, run in runs.items():
        export(run, folder / "exports" / name)
    stranger = [sys.executable, Path(__file__).with_name("stranger.py"), tiny.name, folder / "exports"]
    done = subprocess.run(stranger, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "printed.json").read_text()), load_file(folder / "scores.safetensors")


def scores(model: Model) -> torch.Tensor:
    """Of the first tokens of the summary."""
    ids = torch.tensor(encode_prompts(model.tokenizer, [DIALOGUE], model.room).ids)
    asked = {"max_new_tokens": 5, "output_logits": True, "return_dict_in_generate": True}
    return torch.cat(model.net.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **asked).logits)


@pytest.mark.parametrize("name", EXPORTED)
def test_what_is_exported_does_without_labkit_what_it_does_here(
    name: str, runs: dict[str, Run], elsewhere: Found, tiny: Model
) -> None:
    method: Method = EXPORTED[name]
    model, (printed, found) = restore(tiny, method, runs[name].weights), elsewhere
    expected = scores(model)
    assert printed[name].strip() == summarize(model, [DIALOGUE])[0]
    torch.testing.assert_close(found[name], expected, rtol=0, atol=1e-4)
    assert (expected[0] - scores(tiny)[0]).abs().max() > 0.01
