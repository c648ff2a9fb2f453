"""The command line: results on standard output, one line for a mistake, and nothing written before it is told."""

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer.main

import labkit.comparison
from labkit.cli import app, main
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.generation import summarize, turns_cut
from labkit.models import Model

SHORT = ["--steps", "2", "--batch-size", "2"]
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


class Said(NamedTuple):
    """What a command line came to."""

    code: int
    out: str
    err: str


Say = Callable[..., Said]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Say:
    """Runs a command line in an empty folder."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def run(*arguments: str, stdin: bytes = b"") -> Said:
        monkeypatch.setattr(sys, "argv", ["labkit", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8"))
        with pytest.raises(SystemExit) as end:
            main()
        return Said(int(end.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def data_folder(tiny_data: Dialogues, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tiny data as files that a user might have."""
    folder = tmp_path_factory.mktemp("data") / "meetings"
    folder.mkdir()
    for split in ("train", "validation", "test"):
        lines = [json.dumps(row) for row in getattr(tiny_data, split).to_list()]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return str(folder)


@pytest.fixture(scope="module")
def stored(tiny: Model, data_folder: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with lead-2, base and one LoRA in it."""
    out = tmp_path_factory.mktemp("cli") / "runs"
    command = ["train", "--model", tiny.name, "--data", data_folder, *SHORT, "--out", str(out), "--json"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["labkit", *command])
        with pytest.raises(SystemExit, match="0"):
            main()
    return out


@pytest.fixture(scope="session")
def pickled(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model folder as it was before safetensors."""
    import torch
    from safetensors.torch import load_file

    folder = tmp_path_factory.mktemp("old") / "pickled"
    shutil.copytree(tiny_folder, folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return str(folder)


def one_object(said: Said) -> dict[str, Any]:
    assert said.code == 0
    assert said.err == ""
    assert said.out.count("\n") == 1
    found = json.loads(said.out)
    assert isinstance(found, dict)
    return found


def run_folder(out: Path, method: str) -> str:
    (folder,) = out.glob(f"{method}-*")
    return str(folder)


def test_the_doctor_tells_the_precision_in_words_and_as_json(say: Say) -> None:
    assert "fp32 for nano: LABKIT_PRECISION says so" in say("doctor").out
    assert json.loads(say("doctor", "--json").out)["precision"].startswith("fp32 for nano")
    assert say("doctor", "--model", "unknown").code == 2


def test_counts_parameters_exactly_without_weights(say: Say) -> None:
    said = say("params", "--method", "lora", "--rank", "32", "--model", "google/flan-t5-base", "--json")
    found = one_object(said)
    # published with the lab that everybody copies: 3,538,944 of 251,116,800
    assert (found["trainable"], found["total"]) == (3_538_944, 251_116_800)
    assert found["percent"] == pytest.approx(100 * 3_538_944 / 251_116_800)
    assert found["rank"] == 32
    assert found["adapter_bytes"] == 4 * 3_538_944


def test_says_parameters_in_a_line(say: Say) -> None:
    said = say("params", "--method", "lora", "--rank", "32", "--model", "google/flan-t5-base")
    assert said.out == ("lora rank=32 on google/flan-t5-base trains 3,538,944 of 251,116,800 parameters, 1.409 %\n")


def test_says_what_the_base_takes_in_fewer_bits(say: Say) -> None:
    command = ["params", "--bits", "8", "--model", "google/flan-t5-base"]
    found = one_object(say(*command, "--json"))
    assert (found["trainable"], found["total"], found["bits"]) == (884_736, 247_577_856 + 884_736, 8)
    assert f"The base takes {found['base_bytes']:,} bytes, with its matrices in 8 bits" in say(*command).out


def test_compares_as_one_json_object(say: Say, tiny: Model, data_folder: str, tmp_path: Path) -> None:
    command = ["compare", "--model", tiny.name, "--data", data_folder, *SHORT, "--rank", "2", "--tokens", "3"]
    found = one_object(say(*command, "--seeds", "2", "--lora-dropout", "0.1", "--json"))
    assert [row["method"] for row in found["rows"]] == ["lead-2", "base", "full", "lora", "prompt-tuning"]
    assert [row["seeds"] for row in found["rows"]] == [1, 1, 2, 2, 2]
    assert found["rows"][3]["label"] == "lora rank=2 dropout=0.1"
    assert len(found["differences"]) == 10
    assert {"label", "against", "rouge1", "interval", "real"} == found["differences"][0].keys()
    assert len(list((tmp_path / "work" / "runs").iterdir())) == 2 + 3 * 2


def test_trains_as_one_json_object(say: Say, tiny: Model, data_folder: str) -> None:
    command = ["train", "--method", "prompt-tuning", "--model", tiny.name, "--data", data_folder, *SHORT, "--seed", "3"]
    found = one_object(say(*command, "--tokens", "5", "--json"))
    assert found["method"] == "prompt-tuning"
    assert found["trainable"] == 5 * 32
    config = json.loads((Path(found["runs"][0]) / "config.json").read_text())
    assert config["seed"] == 3
    assert config["training"]["batch_size"] == 2


@pytest.mark.parametrize("method", ["lora", "base"])
def test_evaluates_a_run_as_it_was_scored(say: Say, data_folder: str, stored: Path, method: str) -> None:
    found = one_object(say("evaluate", run_folder(stored, method), "--data", data_folder, "--json"))
    kept = one_object(say("runs", "--out", str(stored), "--json"))["runs"]
    assert found["rows"] == 6
    assert found["data"] == "meetings"
    assert found["rouge1"] == pytest.approx(next(r["rouge1"] for r in kept if r["method"] == method), abs=1e-6)
    low, high = found["rouge1_interval"]
    assert low <= found["rouge1"] <= high <= 1
    assert found["rouge1"] <= found["rouge1_max"]


def test_evaluates_lead_and_base(say: Say, tiny: Model, data_folder: str, stored: Path) -> None:
    lead = one_object(say("evaluate", "--lead", "--data", data_folder, "--json"))
    base = one_object(say("evaluate", "--model", tiny.name, "--data", data_folder, "--json"))
    kept = {run["method"]: run for run in one_object(say("runs", "--out", str(stored), "--json"))["runs"]}
    assert lead["rouge1"] == pytest.approx(kept["lead-2"]["rouge1"], abs=1e-6)
    assert base["rouge1"] == pytest.approx(kept["base"]["rouge1"], abs=1e-6)


def test_evaluates_the_handwritten_dialogues(say: Say) -> None:
    found = one_object(say("evaluate", "--lead", "--data", "handwritten", "--json"))
    assert found["rows"] >= 60
    assert 0.1 < found["rouge1"] < 0.5


def test_reads_a_file_whose_columns_have_other_names(say: Say, tiny_data: Dialogues, tmp_path: Path) -> None:
    rows = [{"text": row["dialogue"], "short": row["summaries"][0]} for row in tiny_data.train.to_list()]
    (tmp_path / "chats.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    command = ["evaluate", "--lead", "--data", str(tmp_path / "chats.jsonl")]
    found = one_object(say(*command, "--columns", "dialogue=text", "--columns", "summary=short", "--json"))
    assert found["data"] == "chats.jsonl"


def test_lists_runs_the_newest_first(say: Say, stored: Path, tiny: Model) -> None:
    found = one_object(say("runs", "--out", str(stored), "--json"))["runs"]
    assert {run["method"] for run in found} == {"lora", "base", "lead-2"}
    assert found[0]["method"] == "lora"
    assert found[0]["model"] == tiny.name
    assert found[0]["data"] == "meetings"
    assert all(run["finished"] for run in found)
    shown = say("runs", "--out", str(stored)).out
    assert all(Path(run["run"]).name in shown for run in found)  # whole, to be copied, on 80 columns
    assert one_object(say("runs", "--json")) == {"runs": []}


def test_lists_a_run_of_another_version_by_the_name_of_its_method(say: Say, stored: Path, tmp_path: Path) -> None:
    newer = shutil.copytree(run_folder(stored, "lora"), tmp_path / "lora-newer")
    config = json.loads((newer / "config.json").read_text())
    config["method"]["new dial"] = 3
    (newer / "config.json").write_text(json.dumps(config))
    (run,) = one_object(say("runs", "--out", str(tmp_path), "--json"))["runs"]
    assert run["label"] == "lora"


def test_lists_no_model_folder_as_a_run_although_it_has_a_config_json(say: Say, tiny_folder: Path) -> None:
    assert (tiny_folder / "config.json").is_file()
    assert one_object(say("runs", "--out", str(tiny_folder.parent), "--json")) == {"runs": []}
    assert "is no run" in say("evaluate", str(tiny_folder)).err


def test_summarizes_what_standard_input_gives(say: Say, tiny: Model) -> None:
    dialogue = "#Person1#: Hello Anna, can we meet?\n#Person2#: On Monday."
    said = say("summarize", "--model", tiny.name, "--json", stdin=dialogue.encode())
    assert one_object(said) == {"summary": summarize(tiny, [dialogue])[0], "turns_cut": 0}


def test_says_how_many_turns_of_a_dialogue_were_not_read(say: Say, tiny: Model) -> None:
    turns = [f"#Person{1 + i % 2}#: On Monday we meet Anna and talk." for i in range(200)]
    kept = len(turns) - turns_cut(tiny, ["\n".join(turns)])[0]
    assert 0 < kept < 200
    said = say("summarize", "\n".join(turns), "--model", tiny.name)
    assert f"its first {200 - kept} turns were not read" in said.err


def test_a_run_does_not_go_onto_a_base_whose_weights_have_changed(
    say: Say, stored: Path, tiny: Model, tmp_path: Path
) -> None:
    moved = shutil.copytree(run_folder(stored, "lora"), tmp_path / "lora-of-another")
    config = json.loads((moved / "config.json").read_text())
    assert config["loaded"] == {"revision": tiny.revision, "device": "cpu"}
    config["loaded"]["revision"] = "0" * 16
    (moved / "config.json").write_text(json.dumps(config))
    said = say("summarize", "#Person1#: Hello.", "--run", str(moved))
    assert said.code == 2
    assert f"was trained on another {tiny.name}, {'0' * 16}, than the one here, {tiny.revision}: train it" in said.err


def test_an_adapter_from_elsewhere_is_opened_on_the_base_that_it_names(say: Say, stored: Path, tiny: Model) -> None:
    run, turns = Path(run_folder(stored, "lora")), "#Person1#: Hello Anna.\n#Person2#: Bye."
    adapter = ("summarize", turns, "--run", str(run / "adapter"))
    said = say("summarize", turns, "--run", str(run))
    assert said == say(*adapter) == say(*adapter, "--model", tiny.name)
    assert said.code == 0
    assert "open it on that base" in say(*adapter, "--model", "nano").err


def test_a_run_knows_its_model_and_takes_no_other(say: Say, stored: Path) -> None:
    said = say("summarize", "#Person1#: Hello.", "--run", run_folder(stored, "lora"), "--model", "nano")
    assert said.code == 2
    assert "--model nano has no effect beside" in said.err


def test_summarizes_an_argument_with_written_line_breaks(say: Say, tiny: Model, stored: Path) -> None:
    run, turns = ("--run", run_folder(stored, "lora")), "#Person1#: Hello Anna.\n#Person2#: Bye."
    said = say("summarize", turns.replace("\n", r"\n"), *run)
    assert said == say("summarize", *run, stdin=turns.encode())
    assert said.code == 0
    assert said.err == ""


def test_prints_tables_that_fit_a_terminal(
    say: Say, tiny: Model, data_folder: str, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    same = ["--model", tiny.name, "--data", data_folder, *SHORT, "--out", str(stored)]
    said = say("compare", *same, "--methods", "lora")
    assert said.code == 0
    for word in ("lead-2", "base", "lora", "ROUGE-1", "peak memory", "lora minus base"):
        assert word in said.out
    assert all(len(line) <= 100 for line in said.out.splitlines())
    assert "lora" in say("train", *same).out
    assert "ROUGE-Lsum" in say("evaluate", "--lead", "--data", data_folder).out
    assert "lead-2" in say("runs", "--out", str(stored)).out
    assert "There are no runs" in say("runs").out


def test_says_its_version(say: Say) -> None:
    assert say("--version").out.strip() == version("labkit")


def test_lists_a_run_with_the_dials_that_were_turned(
    say: Say, tiny: Model, data_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    made = ["--model", tiny.name, "--data", data_folder, *SHORT, "--rank", "2", "--out", str(tmp_path)]
    assert say("train", *made, "--beams", "2", "--lr", "0.01").code == 0
    assert "lora rank=2" in say("runs", "--out", str(tmp_path)).out
    (told,) = [run for run in one_object(say("runs", "--out", str(tmp_path), "--json"))["runs"] if run["seed"] == 0]
    assert told["turned"] == {"batch_size": 2, "learning_rate": 0.01, "beams": 2}


@pytest.fixture(scope="session")
def broken_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Data files with one mistake each."""
    folder = tmp_path_factory.mktemp("broken")
    sound = b'{"dialogue": "#Person1#: Hello.", "summary": "A greeting."}\n'
    files = {
        "EMPTY": b"",
        "LATIN": sound + b'{"dialogue": "#Person1#: Caf\xe9.", "summary": "A word."}\n',
        "NO_SUMMARY": b'{"dialogue": "#Person1#: Hello."}\n',
        "EMPTY_DIALOGUE": sound + b'{"dialogue": " ", "summary": "Nothing."}\n',
        "FEW": sound,
    }
    for name, content in files.items():
        (folder / f"{name.lower()}.jsonl").write_bytes(content)
    return {name: str(folder / f"{name.lower()}.jsonl") for name in [*files, "MISSING"]}


@pytest.fixture(scope="module")
def broken_folders(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path, stored: Path) -> dict[str, str]:
    """Models and runs with one mistake each."""
    folder = tmp_path_factory.mktemp("broken_folders")
    for name, text in (("no_object", "[]"), ("no_layers", '{"model_type": "t5", "feed_forward_proj": "gated-gelu"}')):
        shutil.copytree(tiny_folder, folder / name)
        (folder / name / "config.json").write_text(text)
    shutil.copytree(run_folder(stored, "lora"), folder / "torn_run")
    weights = folder / "torn_run" / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    shutil.copytree(run_folder(stored, "lora"), folder / "own_run")
    config = json.loads((folder / "own_run" / "config.json").read_text())
    del config["model"]
    (folder / "own_run" / "config.json").write_text(json.dumps(config))
    return {path.name.upper(): str(path) for path in folder.iterdir()}


@pytest.mark.parametrize(
    "line",
    [
        "compare --model TINY --data DATA --methods lora,unknown",
        "compare --model unknown --data DATA",
        "compare --model unknown --data DATA --methods full",
        "compare --model TINY --data DATA --rank 0",
        "compare --model TINY --data DATA --rank 25",
        "compare --model TINY --data DATA --bits 3",
        "compare --model TINY --data DATA --methods lora --bits 8 --init pissa",
        "train --model TINY --data DATA --method full --bits 8",
        "compare --model TINY --data DATA --tokens 0",
        "compare --model TINY --data DATA --tokens 300",
        "compare --model TINY --data DATA --methods full --rank 4",
        "compare --model TINY --data DATA --methods lora --tokens 4",
        "compare --model TINY --data DATA --seeds 0",
        "compare --model TINY --data DATA --methods lora,lora",
        "compare --model TINY --data DATA --seeds -1",
        "compare --model TINY --data DATA --steps 0",
        "compare --model TINY --data DATA --lr inf",
        "compare --model TINY --data DATA --alpha inf",
        "compare --model TINY --data DATA --methods full --lora-dropout 0.1",
        "compare --model TINY --data handwritten --columns dialogue=text",
        "compare --model NO_OBJECT --data DATA",
        "compare --model NO_LAYERS --data DATA",
        "compare --model TINY --data ~nobody/x.csv",
        "train --model TINY --data DATA --seed -1",
        "train --model TINY --data DATA --seed 4294967296",
        "compare --model TINY --data DATA --lr -1",
        "compare --model TINY --data DATA --dropout 1",
        "compare --model TINY --data DATA --patience 0",
        "compare --model TINY --data DATA --rows 0",
        "compare --model TINY --data DATA --rows 1",
        "compare --model TINY --data DATA --beams 0",
        "compare --model TINY --data DATA --targets x",
        "compare --model TINY --data DATA --bias x",
        "compare --model TINY --data DATA --init x",
        "compare --model TINY --data DATA --device tpu",
        "compare --model TINY --data DATA --precision fp16",
        "compare --model TINY --data DATA --columns dialogue",
        "compare --model TINY --data handwritten",
        "compare --model TINY --data DATA --out FEW",
        "compare --model TINY --data unknown",
        "compare --model TINY --data MISSING",
        "compare --model TINY --data EMPTY",
        "compare --model TINY --data LATIN",
        "compare --model TINY --data NO_SUMMARY",
        "compare --model TINY --data EMPTY_DIALOGUE",
        "compare --model TINY --data FEW",
        "compare --model PICKLED --data DATA",
        "train --model TINY --data DATA --method unknown",
        "train --model TINY --data DATA --method full --rank 4",
        "train --model PICKLED --data DATA",
        "evaluate DATA --data DATA",
        "evaluate MISSING --data DATA",
        "evaluate LEAD_RUN --data DATA",
        "evaluate BASE_RUN --lead --data DATA",
        "evaluate OWN_RUN --data DATA",
        "evaluate TORN_RUN --data DATA",
        "evaluate --lead --data EMPTY",
        "evaluate --lead --data DATA --rows 1",
        "evaluate --lead --data DATA --beams 0",
        "evaluate --lead --data DATA --beams 4",
        "evaluate --model PICKLED --data DATA",
        "summarize Hello --model unknown",
        "summarize Hello --model PICKLED",
        "summarize Hello --model DATA",
        "summarize Hello --model TINY --beams 0",
        "summarize Hello --run DATA",
        "summarize FEW --model TINY",
        "summarize nofile.txt --model TINY",
        "evaluate --lead --model TINY --data DATA",
        "summarize",
        "params --model unknown",
        "params --model NO_OBJECT",
        "params --model NO_LAYERS",
        "params --model TINY --rank 25",
        "params --model TINY --rank 0",
        "params --model TINY --method unknown",
        "params --model TINY --method full --rank 4",
        "params --model TINY --method prompt-tuning --tokens 300",
    ],
)
def test_tells_a_mistake_in_one_line_and_writes_nothing(
    say: Say,
    line: str,
    tiny: Model,
    data_folder: str,
    pickled: str,
    broken_files: dict[str, str],
    broken_folders: dict[str, str],
    stored: Path,
    tmp_path: Path,
) -> None:
    places = {"TINY": tiny.name, "DATA": data_folder, "PICKLED": pickled, **broken_files}
    places |= {"BASE_RUN": run_folder(stored, "base"), "LEAD_RUN": run_folder(stored, "lead-2")}
    places |= broken_folders
    said = say(*(places.get(word, word) for word in line.split()))
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("labkit: ")
    assert said.err.count("\n") == 1
    assert ": " in said.err.removeprefix("labkit: ")  # what is wrong, then what to do
    assert "Traceback" not in said.err
    assert not list((tmp_path / "work").iterdir())


def test_tells_of_a_dialogue_that_is_not_utf_8(say: Say, tiny: Model) -> None:
    said = say("summarize", "--model", tiny.name, stdin=b"#Person1#: Caf\xe9.")
    assert said == Said(2, "", "labkit: the dialogue is not UTF-8 text: save it again as UTF-8\n")
    assert say("summarize", "Caf\udce9", "--model", tiny.name) == said


@pytest.mark.parametrize(
    "line", ["compare --unknown", "compare --rank x", "unknown", "summarize a b", "params --method", "--rank 3"]
)
def test_tells_a_wrong_option_in_a_few_lines(say: Say, line: str, tmp_path: Path) -> None:
    said = say(*line.split())
    assert said.code == 2
    assert said.out == ""
    assert said.err.count("\n") <= 6
    assert "Traceback" not in said.err
    assert not list((tmp_path / "work").iterdir())


def test_shows_the_traceback_only_when_it_is_asked_for(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["labkit", "--debug", "params", "--rank", "0"])
    with pytest.raises(LabError, match="rank 0"):
        main()


@pytest.mark.parametrize("debug", [False, True])
def test_is_the_same_when_called_as_a_program(debug: bool, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "labkit.cli", *(["--debug"] if debug else []), "params", "--rank", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert ("Traceback" in done.stderr) == debug
    assert "rank 0 is no rank" in done.stderr.splitlines()[-1]
    if not debug:
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1


def test_says_nothing_but_its_result_when_called_as_a_program(tiny: Model, data_folder: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "labkit.cli", "train", "--model", tiny.name, "--data", data_folder, *SHORT]
    done = subprocess.run([*command, "--json"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert json.loads(done.stdout)["method"] == "lora"


def test_says_how_to_go_on_after_ctrl_c(
    say: Say, monkeypatch: pytest.MonkeyPatch, tiny: Model, data_folder: str
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(labkit.comparison, "compare", stop)
    said = say("compare", "--model", tiny.name, "--data", data_folder)
    assert said == Said(130, "", "labkit: stopped; the same command goes on from a checkpoint if there is one\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_explains_every_option_in_help(say: Say, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = say(command, "--help")
    assert said.code == 0
    for option in COMMANDS[command].params:
        assert option.help, option.name
        name = option.opts[0]
        assert name in said.out if name.startswith("-") else name.upper() in said.out.upper()


def test_shows_help_when_called_with_nothing(say: Say) -> None:
    said = say()
    assert all(command in said.out + said.err for command in COMMANDS)
