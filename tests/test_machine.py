"""What is measured of a machine: once, kept in one file, and decided by."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from labkit.compute import compiling, machine, precision
from labkit.compute.allocator import keep_few_kernels, keep_freed_memory
from labkit.doctor import examine
from labkit.errors import LabError
from labkit.models import precision_here
from labkit.parameters import Shape

NARROW = Shape(d_model=16, d_kv=8, d_ff=24, heads=2, layers=3, decoder_layers=3, vocabulary=50)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path))
    for name in ("LABKIT_PRECISION", "LABKIT_COMPILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def figures(monkeypatch: pytest.MonkeyPatch, **steps: float) -> None:
    monkeypatch.setattr(precision, "_steps", lambda *_: steps)


def test_measures_once_and_reads_afterwards(cache: Path) -> None:
    taken = list[int]()

    def measure() -> dict[str, Any]:
        taken.append(1)
        return {"fp32": 2.0}

    assert [machine.remembered("one", "step", measure) for _ in range(3)] == [{"fp32": 2.0}] * 3
    machine.remembered("another", "step", measure)
    assert len(taken) == 2
    assert json.loads((cache / "machine.json").read_text())["one"] == {"step": {"fp32": 2.0}}
    assert [file.name for file in cache.iterdir()] == ["machine.json"]


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00"])
def test_a_damaged_file_is_measured_over(cache: Path, text: str) -> None:
    (cache / "machine.json").write_text(text)
    assert machine.remembered("one", "step", lambda: {"fp32": 1.0}) == {"fp32": 1.0}
    assert json.loads((cache / "machine.json").read_text()) == {"one": {"step": {"fp32": 1.0}}}


@pytest.mark.parametrize(("fp32", "bf16", "chosen"), [(10, 4, "bf16"), (10, 9.5, "fp32"), (4, 10, "fp32")])
def test_takes_bf16_where_it_is_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, fp32: float, bf16: float, chosen: str
) -> None:
    figures(monkeypatch, fp32=fp32, bf16=bf16)
    assert precision_here(NARROW, "cpu") == chosen


def test_measures_a_step_in_both_precisions() -> None:
    steps = precision.step_figures(NARROW, "cpu")
    assert set(steps) == {"fp32", "bf16"}
    assert all(0 < milliseconds < 5000 for milliseconds in steps.values())


def test_the_environment_says_which_precision_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_PRECISION", "bf16")
    assert precision_here(NARROW, "cpu") == "bf16"
    assert precision_here(NARROW, "cpu", "fp32") == "fp32"
    monkeypatch.setenv("LABKIT_PRECISION", "fp8")
    with pytest.raises(LabError, match="unknown precision 'fp8': use one of auto, fp32, bf16"):
        precision_here(NARROW, "cpu")


def test_compiles_what_takes_longer_than_a_quarter_of_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling.shutil, "which", lambda _: "/usr/bin/g++")
    figures(monkeypatch, fp32=1000.0, bf16=500.0)  # of 2 layers and 1,280 tokens; the model has 6
    second = 1280  # tokens that take 3 s in fp32, 1.5 s in bf16
    assert not compiling.pays(NARROW, "cpu", "fp32", 299 * second)
    assert compiling.pays(NARROW, "cpu", "fp32", 301 * second)
    assert not compiling.pays(NARROW, "cpu", "bf16", 301 * second)
    monkeypatch.setenv("LABKIT_COMPILE", "always")
    assert compiling.pays(NARROW, "cpu", "bf16", 1)
    monkeypatch.setenv("LABKIT_COMPILE", "never")
    assert not compiling.pays(NARROW, "cpu", "fp32", 10**9)


def test_compiles_nothing_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling.shutil, "which", lambda _: None)
    monkeypatch.setenv("LABKIT_COMPILE", "always")
    assert not compiling.pays(NARROW, "cpu", "fp32", 10**9)
    assert "no C++ compiler" in compiling.why_not("cpu")


def test_the_doctor_tells_what_was_chosen_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    figures(monkeypatch, fp32=12.25, bf16=3.5)
    found = examine("nano")
    assert found["precision"].startswith("bf16 for nano")
    assert "12.25" in found["precision"]
    assert {"machine", "threads", "memory", "products", "compiled steps", "cache", "versions"} < set(found)


@pytest.mark.skipif("sys.platform != 'linux'")
def test_freed_memory_is_kept_where_glibc_is() -> None:
    assert keep_freed_memory()


def test_the_environment_says_first_how_many_kernels_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    keep_few_kernels()
    assert (os.environ["LRU_CACHE_CAPACITY"], os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"]) == ("7", "128")
