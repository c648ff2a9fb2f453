"""What is peculiar to soft prompts that are more than a table: P-tuning with its network, and multitask tuning."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from made_runs import disturb
from outputs import batch, logits
from safetensors.torch import load_file
from test_methods import train_steps

from labkit.batches import encode_rows
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.inside.neighbours import soft_prompt
from labkit.methods import LoRA, Method, MultitaskPromptTuning, PTuning, attach, choose_task, restore
from labkit.models import Model
from labkit.parameters import shape_of
from labkit.runs import Run
from labkit.training import Training, save, train


@pytest.fixture(scope="module")
def two_tasks(tiny_data: Dialogues) -> Dialogues:
    """Summaries, and drinks as the second task."""

    def drinks(rows: Dataset) -> Dataset:
        return Dataset.from_dict(rows.to_dict() | {"summaries": [["tea or coffee"]] * len(rows)}, rows.features)

    splits = (drinks(rows) for rows in (tiny_data.train, tiny_data.validation, tiny_data.test))
    return tiny_data.with_task(Dialogues("drinks", *splits))


def kept(model: Model, folder: Path) -> tuple[Run, dict[str, torch.Tensor]]:
    run = Run(folder)
    run.start({"method": model.method.dials()})
    save(model, run)
    return run, load_file(run.weights / "adapter_model.safetensors")


@pytest.mark.parametrize(
    ("method", "trainable", "stored"),
    [
        # 20 x 768; 768 x 128 + 128; 128 x 128 + 128; 128 x 768 + 768
        (PTuning(), 15_360 + 98_432 + 16_512 + 99_072, 15_360),
        # 20 x 768; a task 20 x 3 + 3 x 768
        (MultitaskPromptTuning(tasks=2, num_ranks=3), 15_360 + 2 * (60 + 2_304), 20_088),
        (MultitaskPromptTuning(), 15_360 + 20 + 768, 16_148),
    ],
    ids=lambda value: getattr(value, "label", None),
)
def test_flan_t5_base_has_the_count_that_a_hand_comes_to(method: Method, trainable: int, stored: int) -> None:
    shape = shape_of("google/flan-t5-base")
    assert (method.trainable(shape), method.stored(shape)) == (trainable, stored)


# --- P-tuning ---


def test_what_is_kept_of_p_tuning_is_what_its_network_writes(tiny: Model, tmp_path: Path) -> None:
    model = disturb(attach(tiny, PTuning(tokens=5, hidden=6)))
    encoder = model.net.prompt_encoder["default"]
    x = encoder.embedding.weight
    for number in (0, 2, 4):
        linear = encoder.mlp_head[number]
        x = x @ linear.weight.T + linear.bias
        x = x.clamp(min=0) if number < 4 else x
    run, weights = kept(model, tmp_path / "run")
    assert list(weights) == ["prompt_embeddings"]
    torch.testing.assert_close(weights["prompt_embeddings"], x.detach(), rtol=0, atol=1e-6)
    assert list(restore(tiny, model.method, run.weights).net.prompt_encoder["default"].state_dict()) == [
        "embedding.weight"
    ]


def test_the_virtual_tokens_of_p_tuning_have_neighbours(tiny: Model) -> None:
    found = soft_prompt(attach(tiny, PTuning(tokens=5, hidden=6), seed=3), seed=3).nearest(2)
    assert [token.moved for token in found.tokens] == pytest.approx([0] * 5)
    assert {token.start for token in found.tokens} == {""}  # none starts as a word


# --- multitask prompt tuning ---


def test_every_task_starts_as_the_same_words(tiny: Model) -> None:
    net = attach(tiny, MultitaskPromptTuning(tokens=5, tasks=2, num_ranks=2)).net
    with torch.no_grad():
        first, second = (net.get_prompt(1, task_ids=torch.tensor([task]))[0] for task in (0, 1))
    assert torch.equal(first, second)
    table = tiny.net.shared.weight.detach()
    assert all((table == row).all(dim=1).sum() == 1 for row in first)


def test_a_prompt_is_the_shared_one_times_the_two_matrices_of_its_task(tiny: Model) -> None:
    model = disturb(attach(tiny, MultitaskPromptTuning(tokens=5, tasks=3, num_ranks=2)))
    prompt = {name: p.detach() for name, p in model.net.prompt_encoder["default"].named_parameters()}
    for task in range(3):
        matrix = prompt["prefix_task_cols"][task] @ prompt["prefix_task_rows"][task]
        choose_task(model, task)
        with torch.no_grad():
            found = model.net.get_prompt(1)[0]
        torch.testing.assert_close(found, prompt["embedding.weight"] * matrix, rtol=0, atol=1e-6)


def test_every_row_of_every_task_gets_a_gradient(tiny: Model, two_tasks: Dialogues) -> None:
    model = attach(tiny, MultitaskPromptTuning(tokens=5, tasks=2, num_ranks=2))
    assert batch(model, two_tasks)["task_ids"].tolist() == [0, 1] * 4
    assert all(mask.all() for mask in train_steps(model, two_tasks, 2).values())


def test_generation_is_of_the_task_that_was_chosen(tiny: Model, two_tasks: Dialogues, tmp_path: Path) -> None:
    model = disturb(attach(tiny, MultitaskPromptTuning(tokens=5, tasks=2)))
    rows = batch(model, two_tasks)
    asked: dict[str, Any] = {name: rows[name] for name in ("input_ids", "attention_mask")}
    asked |= {"max_new_tokens": 1, "output_logits": True, "return_dict_in_generate": True}
    trained = logits(model, two_tasks)[:, 0]
    run, _ = kept(model, tmp_path / "run")
    for used in (model, restore(tiny, model.method, run.weights)):
        for task in (0, 1):
            choose_task(used, task)
            first = used.net.generate(**asked).logits[0]
            torch.testing.assert_close(first[task::2], trained[task::2], rtol=0, atol=1e-5)
            assert (first[1 - task :: 2] - trained[1 - task :: 2]).abs().max() > 1e-3


def test_two_tasks_are_trained_at_once(tiny: Model, two_tasks: Dialogues, tmp_path: Path) -> None:
    method = MultitaskPromptTuning(tokens=5, tasks=2)
    model, run = attach(tiny, method), Run(tmp_path / "run")
    run.start({"method": method.dials()})
    result = train(model, two_tasks, run, Training(steps=2, batch_size=4, validations=1))
    assert result["validation_loss"] > 0


def test_rows_of_too_few_tasks_are_refused(tiny: Model, tiny_data: Dialogues, two_tasks: Dialogues) -> None:
    for tasks, rows, there in ((2, tiny_data.train, 1), (3, two_tasks.train, 2)):
        model = attach(tiny, MultitaskPromptTuning(tokens=5, tasks=tasks))
        with pytest.raises(LabError, match=f"learns {tasks} tasks, and the rows are of {there}: join as many with"):
            encode_rows(model, rows)


def test_joined_tasks_take_turns_and_are_scored_on_the_first(tiny_data: Dialogues, two_tasks: Dialogues) -> None:
    assert two_tasks.name == "tiny + drinks"
    assert (len(two_tasks.train), len(two_tasks.validation)) == (48, 12)
    assert two_tasks.train["task"][:4] == [0, 1, 0, 1]
    assert two_tasks.train["summaries"][1::2] == [["tea or coffee"]] * 24
    assert two_tasks.train["dialogue"][::2] == two_tasks.train["dialogue"][1::2] == tiny_data.train["dialogue"][:]
    assert two_tasks.test is tiny_data.test
    assert two_tasks.with_task(tiny_data).train["task"][:].count(2) == 24


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (lambda: PTuning(tokens=0), "0 virtual tokens are none"),
        (lambda: PTuning(hidden=0), "hidden 0 is no width: use 1 or more"),
        (lambda: MultitaskPromptTuning(tasks=0), "0 tasks are none: use 1 or more"),
        (lambda: MultitaskPromptTuning(tokens=257), "257 virtual tokens leave no room"),
        (lambda: MultitaskPromptTuning(num_ranks=21), "num_ranks 21 is no rank of 20 tokens: use 1 to 20"),
    ],
)
def test_a_bad_dial_is_refused(ask: Any, expected: str) -> None:
    with pytest.raises(LabError, match=expected):
        ask()


def test_a_task_that_is_not_there_is_refused(tiny: Model) -> None:
    for method, task in ((MultitaskPromptTuning(tasks=2), 2), (MultitaskPromptTuning(), -1)):
        with pytest.raises(LabError, match=f"no number {task}: count from 0 on"):
            choose_task(attach(tiny, method), task)
    for model, label in ((tiny, tiny.name), (attach(tiny, LoRA(rank=3)), "lora rank=3")):
        with pytest.raises(LabError, match=f"^{label} has no tasks to choose from: give a model with mul"):
            choose_task(model, 0)


def test_the_fingerprint_tells_tasks_apart(two_tasks: Dialogues, tiny_data: Dialogues) -> None:
    assert "task" not in tiny_data.train.column_names
    numbers = [1 - number for number in two_tasks.train["task"]]
    turned = two_tasks.train.remove_columns("task").add_column("task", numbers)
    assert replace(two_tasks, train=turned).fingerprint != two_tasks.fingerprint
