"""Memory by part, against sums done by hand from the published sizes of FLAN-T5-base."""

import subprocess
import sys

import pytest

from labkit.costs.activations import Step
from labkit.costs.budget import MemoryBudget, base_bytes, plot_memory, predict_memory, readable
from labkit.errors import LabError
from labkit.methods import FullFineTuning, LoRA, Method, PrefixTuning, PromptTuning, PTuning
from labkit.parameters import shape_of

TOTAL = 247_577_856  # parameters of flan-t5-base
STEP = Step(batch_size=1, source_tokens=64, target_tokens=16)
EXAMPLE = MemoryBudget(weights=2**20, copies=0, gradients=2**20, optimizer=2**21, activations=2**22, adapter=2**20)


def test_full_fine_tuning_stores_12_bytes_a_parameter_beside_the_weights_and_activations() -> None:
    budget = predict_memory("google/flan-t5-base", FullFineTuning(), STEP)
    assert budget.weights == budget.gradients == 4 * TOTAL
    assert budget.optimizer == 8 * TOTAL
    assert budget.copies == 0
    assert budget.times == pytest.approx(3 + budget.activations / (4 * TOTAL))


def test_lora_stores_gradients_and_states_of_its_own_weights_only() -> None:
    budget = predict_memory("google/flan-t5-base", LoRA(rank=8), STEP)
    assert budget.weights == 4 * (TOTAL + 884_736)
    assert (budget.gradients, budget.optimizer, budget.adapter) == (4 * 884_736, 8 * 884_736, 4 * 884_736)


def test_fewer_bits_shrink_the_matrices_of_encoder_and_decoder_and_nothing_else() -> None:
    full, few = (predict_memory("google/flan-t5-base", LoRA(rank=8, bits=bits), STEP) for bits in (None, 8))
    # a layer's attention has 4 matrices of 768 rows, its feed-forward block 2 of 2,048 and 1 of 768
    rows = 12 * 4 * 768 + 12 * 8 * 768 + 24 * (2 * 2048 + 768)
    numbers = 12 * 4 * 768**2 + 12 * 8 * 768**2 + 24 * 3 * 768 * 2048
    assert full.weights - few.weights == 3 * numbers - 5 * rows
    assert (few.gradients, few.optimizer, few.activations) == (full.gradients, full.optimizer, full.activations)


def test_the_base_is_told_by_part() -> None:
    parts = base_bytes(shape_of("google/flan-t5-base"), LoRA(bits=8))
    assert list(parts) == ["matrices", "embeddings and head", "norms and position biases"]
    assert parts["embeddings and head"] == 2 * 4 * 32_128 * 768
    assert parts["norms and position biases"] == 4 * (62 * 768 + 2 * 32 * 12)
    assert sum(base_bytes(shape_of("google/flan-t5-base"), LoRA()).values()) == 4 * TOTAL


def test_bf16_makes_no_copy_of_what_is_stored_in_fewer_bits() -> None:
    step = Step(1, 64, 16, precision="bf16")
    head_and_lora = 32_128 * 768 + 884_736
    assert predict_memory("google/flan-t5-base", LoRA(rank=8, bits=8), step).copies == 2 * head_and_lora


def test_bf16_adds_a_copy_of_every_matrix_that_the_backward_pass_needs() -> None:
    step = Step(1, 64, 16, precision="bf16")
    # all but the embeddings, 62 norms (2 and 3 a layer, and one a stack) and the position biases
    matrices = TOTAL - 32_128 * 768 - 62 * 768 - 2 * 32 * 12
    assert predict_memory("google/flan-t5-base", FullFineTuning(), step).copies == 2 * matrices
    # q, k and v of the first block of encoder and decoder read what has no gradient, so their copies go at once; those
    # of A and B, 884,736 weights, stay
    lora = 2 * (matrices - 6 * 768**2 + 884_736)
    assert predict_memory("google/flan-t5-base", LoRA(rank=8), step).copies == lora
    # soft prompts have gradients, and the decoder's first self-attention and the next queries have none
    assert predict_memory("google/flan-t5-base", PromptTuning(), step).copies == 2 * (matrices - 5 * 768**2)


@pytest.mark.parametrize(
    ("method", "stored"),
    [
        (PTuning(tokens=20), 20 * 768),  # without its network
        (PrefixTuning(tokens=20, mlp=64), 24 * 20 * 2 * 768),
        (LoRA(init="pissa"), 2 * 884_736),  # with what it started from
        (FullFineTuning(), TOTAL),
    ],
    ids=lambda value: value.name if isinstance(value, Method) else "",
)
def test_the_file_is_as_large_as_what_is_kept_and_no_part_of_the_memory(method: Method, stored: int) -> None:
    budget = predict_memory("google/flan-t5-base", method, STEP)
    assert budget.adapter == 4 * stored
    assert budget.total == (budget.weights + budget.copies + budget.gradients + budget.optimizer + budget.activations)


def test_with_checkpointing_bf16_copies_the_head_and_one_block_at_a_time() -> None:
    step = Step(1, 64, 16, precision="bf16", checkpointing=True)
    block = 8 * 768 * 768 + 3 * 768 * 2048  # a decoder block: two attentions, and the feed-forward block
    copies = predict_memory("google/flan-t5-base", FullFineTuning(), step).copies
    assert copies == 2 * (32_128 * 768 + block)


def test_total_and_times_follow_from_the_parts() -> None:
    assert EXAMPLE.total == 8 * 2**20
    assert EXAMPLE.times == 7


def test_rows_are_in_mib_and_percent_with_the_total_last() -> None:
    assert EXAMPLE.rows() == [
        ("weights", 1, 12.5),
        ("bf16 copies", 0, 0),
        ("gradients", 1, 12.5),
        ("optimiser states", 2, 25),
        ("activations", 4, 50),
        ("total", 8, 100),
    ]


def test_a_rank_that_does_not_fit_is_refused() -> None:
    with pytest.raises(LabError, match="rank 500 is above 192"):
        predict_memory("nano", LoRA(rank=500))


def test_predicts_without_torch() -> None:
    code = """
import sys
from labkit.costs.budget import predict_memory
from labkit.methods import LoRA
assert predict_memory("google/flan-t5-xxl", LoRA()).total > 40 * 2**30
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("size", "text"), [(512, "0.5 KiB"), (2**20, "1.0 MiB"), (3.45 * 2**20, "3.5 MiB"), (1500 * 2**30, "1,500.0 GiB")]
)
def test_readable_chooses_the_unit(size: float, text: str) -> None:
    assert readable(size) == text


def test_plot_stacks_the_parts_of_each_budget() -> None:
    figure = plot_memory({"predicted": EXAMPLE, "measured": EXAMPLE})
    assert [bar.name for bar in figure.data] == [
        "weights", "bf16 copies", "gradients", "optimiser states", "activations"
    ]  # fmt: skip
    assert [sum(bar.x[i] for bar in figure.data) for i in (0, 1)] == [8, 8]
    assert figure.data[0].y == ("predicted", "measured")
    assert figure.layout.barmode == "stack"
    assert figure.layout.xaxis.title.text == "memory (MiB)"


def test_plot_of_a_large_model_is_in_gib() -> None:
    figure = plot_memory({"xxl": MemoryBudget(2**32, 0, 0, 0, 0, 0)})
    assert figure.layout.xaxis.title.text == "memory (GiB)"
    assert figure.data[0].x == (4.0,)


def test_plot_shows_a_label_as_text() -> None:
    assert plot_memory({"<b>": EXAMPLE}).data[0].y == ("&lt;b&gt;",)
