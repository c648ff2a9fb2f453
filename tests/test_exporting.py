"""An export: all that somebody else needs, and nothing of this machine; test_plain_peft.py uses it without labkit."""

import json
from pathlib import Path

import pytest
from fewer_bits import eight_bits
from made_runs import made_run, scores

from labkit.adapters.cards import public_name
from labkit.adapters.exporting import export
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.methods import (
    AdaLoRA,
    Bottleneck,
    FullFineTuning,
    LlamaAdapter,
    LoRA,
    Method,
    MultitaskPromptTuning,
    PromptTuning,
)
from labkit.models import Model
from labkit.runs import Run

METHODS = {"lora": LoRA(rank=4), "bottleneck": Bottleneck(), "soft": PromptTuning(tokens=5), "full": FullFineTuning()}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


@pytest.fixture
def run(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> Run:
    return made_run(tmp_path / "run", tiny, LoRA(rank=4), tiny_data, value=0.4)


@every_method
def test_an_export_holds_weights_configs_and_card_and_names_no_folder_of_this_machine(
    method: Method, tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    run = made_run(tmp_path / "run", tiny, method, tiny_data)
    (run.weights / "training_args.bin").write_bytes(b"a pickle")
    folder = export(run, tmp_path / "export")
    names = {file.name for file in folder.iterdir()}
    if method.name == "full":
        assert {"model.safetensors", "config.json", "tokenizer.json", "README.md"} <= names
    else:
        code = {"bottleneck.py"} if method.name == "bottleneck" else set()
        assert names == {"adapter_model.safetensors", "adapter_config.json", "README.md"} | code
    assert "training_args.bin" not in names
    here = Path(tiny.name).parent
    for file in folder.iterdir():
        content = file.read_bytes()
        assert str(here).encode() not in content
        assert str(tmp_path).encode() not in content


def test_the_config_names_the_base_and_the_weights_are_copied_bit_by_bit(run: Run, tmp_path: Path) -> None:
    folder = export(run, tmp_path / "export")
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny"
    assert config["r"] == 4
    file = "adapter_model.safetensors"
    assert (folder / file).read_bytes() == (run.weights / file).read_bytes()


def test_a_whole_model_is_exported_as_one_with_a_head_of_its_own(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    folder = export(made_run(tmp_path / "run", tiny, FullFineTuning(), tiny_data), tmp_path / "export")
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"] is False


def test_the_card_tells_base_data_dials_training_seed_and_versions(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    run = made_run(tmp_path / "run", tiny, LoRA(rank=4, dropout=0.5), tiny_data)
    card = (export(run, tmp_path / "export") / "README.md").read_text()
    for line in (
        "library_name: peft",
        "# lora on tiny",
        f"| base model | tiny, revision {tiny.revision}, fp32 |",
        f"| data | tiny, fingerprint {tiny_data.fingerprint} |",
        "| licence of the data | not known here: look it up before you share this |",
        "| lora: rank | 4 |",
        "| lora: alpha | 8 |",
        "| lora: targets | q, v |",
        "| lora: dropout | 0.5 |",
        "| training: dropout | 0.0 |",
        "| training: steps | 3 |",
        "| training: learning rate | 0.01 |",
        "| seed | 1 |",
        "| took | 3 steps, 5.5 s, 67 MiB at most |",
        "| validation loss | 2.5 |",
        "1,234 trained numbers",
        'It was trained on the dialogues "tiny".',
        f"torch {run.config['environment']['versions']['torch']}",
    ):
        assert line in card
    assert "base_model:" not in card  # it is on no hub


@eight_bits
def test_the_card_tells_that_the_base_was_in_fewer_bits(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    run = made_run(tmp_path / "run", tiny, LoRA(bits=8), tiny_data)
    card = (export(run, tmp_path / "export") / "README.md").read_text()
    assert "In training and for the scores its matrices were in 8 bits; below they are in 32." in card
    assert "| lora: bits | 8 |" in card


def test_the_card_shows_scores_with_intervals_beside_base_and_lead(
    run: Run, tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    base = made_run(tmp_path / "base", tiny, None, tiny_data, value=0.15)
    lead = made_run(tmp_path / "lead", tiny, None, tiny_data, value=0.3)
    card = (export(run, tmp_path / "export", base, lead) / "README.md").read_text()
    low, high = scores(tiny_data, 0.4).interval("rouge1")
    rows = [line for line in card.splitlines() if line.startswith(("| this", "| untouched", "| first two"))]
    assert [row.split(" | ")[1].split()[0] for row in rows] == ["0.300", "0.150", "0.400"]
    assert f"| this | 0.400 [{low:.3f}, {high:.3f}] |" in card
    assert "| 7.0 |" in card
    assert "Mean over the references of 6 test dialogues, greedy search, with 95 % intervals" in card
    # every dialogue gains the same, so the interval has no width
    assert "ROUGE-1 over untouched base: +0.250 [+0.250, +0.250]" in card
    assert "ROUGE-1 over first two turns (lead-2): +0.100 [+0.100, +0.100]" in card


def test_the_card_of_a_hub_model_names_it_with_its_revision(run: Run, tmp_path: Path) -> None:
    config = run.config | {
        "model": {"name": "google/flan-t5-base", "revision": "main", "precision": "bf16"},
        "loaded": {"revision": "0123abcd", "device": "cuda:0"},
        "data": {"name": "knkarthick/dialogsum (actions)", "fingerprint": "f"},
    }
    (run.folder / "config.json").write_text(json.dumps(config))
    card = (export(Run(run.folder), tmp_path / "export") / "README.md").read_text()
    assert "\nbase_model: google/flan-t5-base\n" in card
    assert 'base, adapter = "google/flan-t5-base", "path/to/this/folder"' in card
    assert card.count('from_pretrained(base, revision="0123abcd"') == 2
    assert "| licence of the data | CC BY-NC-SA 4.0 |" in card


@pytest.mark.parametrize(
    ("method", "told"),
    [
        (Bottleneck(), "`bottleneck.py` in this folder adds the method to peft; it is a program, so read it before"),
        (LlamaAdapter(), "there it was for LLaMA, which is a decoder alone"),
        (AdaLoRA(rank=2), "Its trained numbers are counted before ranks were cut"),
        (MultitaskPromptTuning(tokens=5, tasks=3), "the task of each dialogue, a number below 3"),
    ],
    ids=lambda value: getattr(value, "label", None),
)
def test_the_card_says_what_else_a_method_needs(
    method: Method, told: str, run: Run, tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    needing = made_run(tmp_path / "needing", tiny, method, tiny_data)
    assert told in (export(needing, tmp_path / "export") / "README.md").read_text()
    assert told not in (export(run, tmp_path / "of lora") / "README.md").read_text()


def test_text_of_a_learner_stays_text_in_the_card(tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    method = PromptTuning(tokens=5, init="text", text="Sum | it\nup <img src=x onerror=alert(1)>")
    card = (export(made_run(tmp_path / "run", tiny, method, tiny_data), tmp_path / "export") / "README.md").read_text()
    assert "| prompt-tuning: text | Sum \\| it up &lt;img src=x onerror=alert(1)&gt; |" in card
    assert "<img" not in card


@pytest.mark.parametrize(
    ("name", "public"),
    [
        ("nano", "nano"),
        ("google/flan-t5-base", "google/flan-t5-base"),
        ("/home/me/models/mine", "mine"),
        ("./mine", "mine"),
        ("../models/mine", "mine"),
    ],
)
def test_a_public_name_has_no_folder_in_it(name: str, public: str) -> None:
    assert public_name(name) == public


def test_an_empty_folder_is_taken_and_a_used_one_refused_and_left_alone(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    assert export(run, folder) == folder
    before = {file: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(LabError, match="is in use: name a new or an empty folder"):
        export(run, folder)
    assert {file: file.read_bytes() for file in folder.iterdir()} == before
    with pytest.raises(LabError, match="is in use"):
        export(run, folder / "README.md")


def test_a_refusal_leaves_nothing_behind(run: Run, tiny: Model, tiny_data: Dialogues, tmp_path: Path) -> None:
    base = made_run(tmp_path / "base", tiny, None, tiny_data)
    other = made_run(tmp_path / "other", tiny, None, tiny_data.head(test=4))
    for refused, beside, why in (
        (base, None, "holds no trained weights: export a run of a method"),
        (run, other, r"scores of different dialogues \(6 and 4\)"),
    ):
        with pytest.raises(LabError, match=why):
            export(refused, tmp_path / "new" / "export", beside)
    (run.folder / "scores.json").unlink()
    with pytest.raises(LabError, match="the run is not finished"):
        export(Run(run.folder), tmp_path / "new" / "export")
    assert not (tmp_path / "new").exists()


def test_an_export_that_fails_half_way_leaves_nothing_behind(run: Run, tmp_path: Path) -> None:
    (run.weights / "adapter_config.json").write_text("{")
    with pytest.raises(LabError, match=r"adapter_config\.json is damaged: train again"):
        export(run, tmp_path / "new" / "export")
    assert not list((tmp_path / "new").iterdir())
