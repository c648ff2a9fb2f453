from pathlib import Path

import numpy as np
import pytest
import torch
from made_runs import disturb

from labkit.batches import encode_rows
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.inside.hidden import hidden_changes
from labkit.methods import FullFineTuning, LoRA, PromptTuning, attach
from labkit.models import Model, load_model
from labkit.tasks import Task


def test_lora_that_is_not_trained_changes_no_hidden_state(tiny: Model, tiny_data: Dialogues) -> None:
    found = hidden_changes(tiny, attach(tiny, LoRA()), tiny_data.test)
    for stack in ("encoder", "decoder"):
        assert found.change[stack].shape == (3, 6)
        assert found.change[stack].max() == 0
        np.testing.assert_allclose(found.cosine[stack], 1)


@pytest.mark.parametrize(("factor", "change", "cosine"), [(2.0, 1, 1), (-1.0, 2, -1)])
def test_a_final_norm_that_is_scaled_changes_the_last_layer_by_just_that(
    factor: float, change: float, cosine: float, tiny: Model, tiny_data: Dialogues
) -> None:
    model = attach(tiny, FullFineTuning())
    with torch.no_grad():
        model.net.encoder.final_layer_norm.weight *= factor
    found = hidden_changes(tiny, model, tiny_data.test)
    assert found.change["encoder"][:-1].max() == 0
    np.testing.assert_allclose(found.change["encoder"][-1], change, rtol=1e-6)
    np.testing.assert_allclose(found.cosine["encoder"][-1], cosine, rtol=1e-6)
    assert found.change["decoder"][0].max() == 0  # it reads the same words
    assert found.change["decoder"][1].min() > 0  # and attends to other states


def test_virtual_tokens_are_cut_off_so_that_positions_match(tiny: Model, tiny_data: Dialogues) -> None:
    found = hidden_changes(tiny, attach(tiny, PromptTuning(tokens=7)), tiny_data.test)
    assert found.change["encoder"][0].max() == 0
    assert found.change["encoder"][1].min() > 0


def test_padding_does_not_count(tiny: Model, tiny_data: Dialogues) -> None:
    model = disturb(attach(tiny, LoRA()))
    whole, single = (hidden_changes(tiny, model, tiny_data.test, batch_size=size) for size in (6, 1))
    for stack in ("encoder", "decoder"):
        np.testing.assert_allclose(whole.change[stack], single.change[stack], rtol=1e-4)
        np.testing.assert_allclose(whole.cosine[stack], single.cosine[stack], rtol=1e-4)


def test_a_layer_is_averaged_over_the_positions_of_a_dialogue(tiny: Model, tiny_data: Dialogues) -> None:
    model = disturb(attach(tiny, LoRA()))
    (row, _), _ = encode_rows(model, tiny_data.test.select(range(2)))
    ids, labels = (torch.tensor([row[name]]) for name in ("input_ids", "labels"))
    with torch.no_grad():
        outs = [net(input_ids=ids, labels=labels, output_hidden_states=True) for net in (tiny.net, model.net)]
    found = hidden_changes(tiny, model, tiny_data.test.select(range(2)))
    for stack in ("encoder", "decoder"):
        h, new = (out[f"{stack}_hidden_states"][1][0] for out in outs)
        change = ((new - h).norm(dim=-1) / h.norm(dim=-1)).mean()
        cosine = torch.nn.functional.cosine_similarity(h, new, dim=-1).mean()
        assert found.change[stack][1, 0] == pytest.approx(float(change), rel=1e-4)
        assert found.cosine[stack][1, 0] == pytest.approx(float(cosine), rel=1e-4)


def test_rows_and_figure_show_the_means_over_the_dialogues_with_intervals(tiny: Model, tiny_data: Dialogues) -> None:
    found = hidden_changes(tiny, disturb(attach(tiny, LoRA())), tiny_data.test)
    rows = found.rows()
    assert found.ids == tuple(tiny_data.test["id"])
    names = ["embeddings", "layer 0", "layer 1, normed"]
    assert [(row["stack"], row["layer"]) for row in rows] == [(s, n) for s in ("encoder", "decoder") for n in names]
    assert rows[1]["change"] == pytest.approx(found.change["encoder"][1].mean())
    for measure in ("change", "cosine"):
        low, high = rows[1][f"{measure}_interval"]
        assert low < rows[1][measure] < high
    drawn = found.plot().data
    assert [list(trace.y) for trace in drawn[:2]] == [[row["change"] for row in rows[i : i + 3]] for i in (0, 3)]
    assert list(drawn[2].y) == [row["cosine"] for row in rows[:3]]


def test_neither_model_is_changed_by_being_looked_at(tiny_folder: Path, tiny_data: Dialogues) -> None:
    base = load_model(str(tiny_folder), device="cpu")
    first = hidden_changes(base, attach(base, PromptTuning(tokens=3)), tiny_data.test)
    again = hidden_changes(base, attach(base, PromptTuning(tokens=3)), tiny_data.test)
    np.testing.assert_array_equal(first.change["encoder"], again.change["encoder"])
    assert first.change["encoder"].shape == (3, 6)


def test_what_cannot_be_compared_is_refused(tiny: Model, tiny_data: Dialogues) -> None:
    with pytest.raises(LabError, match=r"^no interval from 1 dialogue\(s\): give at least 2 rows$"):
        hidden_changes(tiny, attach(tiny, LoRA()), tiny_data.test.select(range(1)))
    with pytest.raises(
        LabError, match=r"^the models differ in width and layers, .*: give the base of the tuned model$"
    ):
        hidden_changes(load_model("nano", device="cpu"), attach(tiny, LoRA()), tiny_data.test)


def test_takes_tasks_of_the_pre_training_in_place_of_dialogues(tiny: Model) -> None:
    tasks = [Task("question", f"When does {name} come? {name} comes at six.", "at six") for name in ("Anna", "Max")]
    model = attach(tiny, FullFineTuning())
    with torch.no_grad():
        model.net.encoder.final_layer_norm.weight *= 2
    found = hidden_changes(tiny, model, tasks)
    assert found.ids == ("task_0", "task_1")
    np.testing.assert_allclose(found.change["encoder"][-1], 1, rtol=1e-6)
