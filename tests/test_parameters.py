"""Parameter counts, against published totals, against peft's figures, and against networks that are really built."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from labkit.errors import LabError
from labkit.methods import IA3, FullFineTuning, LayerNormTuning, LoRA, Method, PromptTuning
from labkit.models import Model, load_model
from labkit.parameters import FLAN_T5, Count, Shape, count_parameters, shape_of, shape_of_config

BASE = FLAN_T5["google/flan-t5-base"]


@pytest.mark.parametrize(
    ("size", "total"),
    [  # of the published checkpoints
        ("small", 76_961_152),
        ("base", 247_577_856),
        ("large", 783_150_080),
        ("xl", 2_849_757_184),
        ("xxl", 11_135_332_352),
    ],
)
def test_total_of_a_flan_t5_is_that_of_its_checkpoint(size: str, total: int) -> None:
    assert shape_of(f"google/flan-t5-{size}").total == total


@pytest.mark.parametrize(
    ("method", "trainable"),
    [
        # 12 encoder and 2 x 12 decoder attentions, q and v, 768 to 768: 72 layers x 8 x (768 + 768)
        (LoRA(rank=8), 884_736),
        (LoRA(rank=32), 3_538_944),
        # 144 attention layers of 1,536; 24 blocks x (2 x (768 + 2,048) + (2,048 + 768)): 8 x (221,184 + 202,752)
        (LoRA(rank=8, targets=("all",)), 3_391_488),
        # and one length for each of the 768 outputs of the 72 layers
        (LoRA(rank=8, dora=True), 940_032),
        # T5's linear layers have no biases
        (LoRA(rank=8, bias="all"), 884_736),
        # a factor for each of the 768 outputs of k and v, and for each of the 2,048 inputs of wo: 72 x 768 + 24 x 2,048
        (IA3(), 104_448),
        # 12 x 2 + 12 x 3 norms in the layers and one at the end of each stack: 62 x 768
        (LayerNormTuning(), 47_616),
        # 20 vectors of 768
        (PromptTuning(tokens=20), 15_360),
        (FullFineTuning(), 247_577_856),
    ],
    ids=lambda value: value.label if isinstance(value, Method) else "",
)
def test_trainable_parameters_on_flan_t5_base_are_those_that_peft_reports(method: Method, trainable: int) -> None:
    assert method.count(BASE).trainable == trainable


def test_total_counts_what_a_method_adds() -> None:
    assert LoRA(rank=32).count(BASE) == Count(3_538_944, 251_116_800)
    assert PromptTuning(tokens=20).count(BASE).total == 247_577_856 + 15_360
    assert FullFineTuning().count(BASE) == Count(247_577_856, 247_577_856)


def test_percent_is_the_trainable_share_of_the_total() -> None:
    assert LoRA(rank=32).count(BASE).percent == pytest.approx(1.41, abs=0.005)  # as the course prints it
    assert FullFineTuning().count(BASE).percent == 100


def test_loras_worked_example_of_a_512_by_64_layer_at_rank_8() -> None:
    shape = Shape(d_model=512, d_kv=64, d_ff=1, heads=1, layers=1, decoder_layers=0, vocabulary=0)
    (layer,) = LoRA(rank=8, targets=("q",)).adapted(shape)
    assert layer.inputs * layer.outputs == 32_768
    assert LoRA(rank=8, targets=("q",)).trainable(shape) == 4_608  # 8 x 512 + 64 x 8


def built(shape: Shape) -> Any:
    """A T5 of this shape as transformers builds it, without memory for its weights; its head is tied."""
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=shape.vocabulary,
        d_model=shape.d_model,
        d_kv=shape.d_kv,
        d_ff=shape.d_ff,
        num_heads=shape.heads,
        num_layers=shape.layers,
        feed_forward_proj="gated-gelu",
    )
    with torch.device("meta"):
        return T5ForConditionalGeneration(config)


@pytest.mark.parametrize("size", ["small", "base"])
def test_total_agrees_with_a_t5_that_transformers_builds(size: str) -> None:
    shape = shape_of(f"google/flan-t5-{size}")
    net = built(shape)
    net.lm_head = torch.nn.Linear(shape.d_model, shape.vocabulary, bias=False, device="meta")
    assert count_parameters(net) == Count(shape.total, shape.total)


def test_a_tied_head_is_counted_once() -> None:
    net = built(BASE)
    tied = shape_of_config(net.config.to_dict())
    assert net.lm_head.weight is net.shared.weight
    # without the head's 32,128 x 768
    assert count_parameters(net).total == tied.total == 247_577_856 - 24_674_304 == 222_903_552


def test_only_what_needs_a_gradient_is_counted_as_trainable() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 5))
    net[1].requires_grad_(False)
    assert count_parameters(net) == Count(3 * 2 + 2, 3 * 2 + 2 + 2 * 5 + 5)


def test_shape_of_a_folder_is_that_of_the_model_in_it(tiny: Model, tiny_folder: Path) -> None:
    shape = shape_of(str(tiny_folder))
    assert not shape.tied_head
    assert shape.total == count_parameters(tiny).total


def test_the_weights_say_whether_the_head_is_tied_and_not_the_config(
    tiny: Model, tiny_folder: Path, tmp_path: Path
) -> None:
    # transformers 5 writes "tie_word_embeddings": true for every T5
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "again"))
    tiny.net.save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"] is True
    assert shape_of(str(folder)).total == count_parameters(tiny).total


def test_nano_has_the_shape_that_it_loads_with() -> None:
    assert shape_of("nano").total == count_parameters(load_model("nano", device="cpu")).total


def test_a_name_without_a_known_shape_is_refused_with_those_there_are(tmp_path: Path) -> None:
    for name in ("google/flan-t5-huge", str(tmp_path)):
        with pytest.raises(LabError, match=r"no shape is known for model .*: name an embedded model") as caught:
            shape_of(name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("config", [{"model_type": "bart"}, {"model_type": "t5", "feed_forward_proj": "relu"}, {}])
def test_another_architecture_is_refused(config: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(LabError, match="not a T5 with gated feed-forward blocks: use nano") as caught:
        shape_of(str(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("torn", ["config.json", "model.safetensors"])
def test_a_torn_file_is_refused(torn: str, tiny_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "torn"))
    (folder / torn).write_text("{")
    with pytest.raises(LabError, match=r"the config\.json or the weights of .* are torn: save or download") as caught:
        shape_of(str(folder))
    assert "\n" not in str(caught.value)
