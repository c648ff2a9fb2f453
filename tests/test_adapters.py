"""Several adapters on one base: each writes what it writes alone, whoever shares its batch."""

from pathlib import Path
from typing import Any

import pytest
import torch
from fewer_bits import needs
from made_runs import made_run
from transformers import T5ForConditionalGeneration

from labkit.adapters.merging import merge
from labkit.adapters.mixing import UNCHANGED, Mixed
from labkit.adapters.together import Adapters, together
from labkit.dialogues import Dialogues
from labkit.errors import LabError
from labkit.generation import summarize
from labkit.methods import (
    IA3,
    AdaLoRA,
    Bottleneck,
    FullFineTuning,
    LayerNormTuning,
    LlamaAdapter,
    LoRA,
    Method,
    MultitaskPromptTuning,
    PrefixTuning,
    PromptTuning,
    PTuning,
    Selective,
    choose_task,
    from_dials,
    restore,
)
from labkit.models import Model
from labkit.parameters import count_parameters
from labkit.runs import Run

KINDS: dict[str, tuple[Method, Method, Method]] = {
    "lora": (LoRA(), LoRA(rank=3, targets=("q", "wo")), LoRA(init="pissa")),
    "dora": (LoRA(dora=True), LoRA(), LoRA(rank=3, targets=("q", "wo"), dora=True)),
    "adalora": (AdaLoRA(), AdaLoRA(rank=2, start=4, targets=("all",)), AdaLoRA()),
    "bottleneck": (Bottleneck(4), Bottleneck(6, place="parallel"), Bottleneck(4)),
    "ia3": (IA3(), IA3(), IA3()),
    "layer norm": (LayerNormTuning(), LayerNormTuning(), LayerNormTuning()),
    "selective": (
        Selective(),
        Selective(part="encoder", layers="all", weights="matrices"),
        Selective(part="head"),
    ),
    "position biases": (Selective(weights="norms"), Selective(part="all", layers="all"), Selective()),
    "prefix": (PrefixTuning(5), PrefixTuning(9, cross=True), PrefixTuning(3, mlp=6)),
    "llama-adapter": (LlamaAdapter(5), LlamaAdapter(9, layers="all", encoder=True), LlamaAdapter(3, layers="last 1")),
    "soft": (PromptTuning(5), PTuning(9, hidden=6), MultitaskPromptTuning(5, tasks=2)),
}
NAMES = ("summaries", "actions", "last.one")
MIXED = ["actions", "base", "last.one", "summaries", "summaries", "actions"]


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def runs(kind: str, tiny: Model, tiny_data: Dialogues, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    return {
        name: made_run(folder / name, tiny, method, tiny_data, seed=seed)
        for seed, (name, method) in enumerate(zip(NAMES, KINDS[kind], strict=True))
    }


@pytest.fixture(scope="module")
def alone(runs: dict[str, Run], tiny: Model) -> dict[str, Model]:
    """Each model by itself, as a run is opened."""
    return {"base": tiny} | {n: restore(tiny, from_dials(r.config["method"]), r.weights) for n, r in runs.items()}


@pytest.fixture(scope="module")
def dialogues(tiny_data: Dialogues) -> list[str]:
    return list(tiny_data.test["dialogue"])


@pytest.fixture(scope="module")
def written(alone: dict[str, Model], dialogues: list[str]) -> dict[str, list[str]]:
    """What each model writes by itself."""
    return {name: summarize(model, dialogues, max_new_tokens=6) for name, model in alone.items()}


@pytest.fixture
def shared(runs: dict[str, Run], tiny: Model) -> Adapters:
    return together(tiny, runs)


def test_the_adapters_of_these_tests_write_different_things(written: dict[str, list[str]]) -> None:
    assert len({tuple(summaries) for summaries in written.values()}) == 4


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_rows_of_one_batch_are_written_as_each_adapter_writes_them_alone(
    shared: Adapters, dialogues: list[str], written: dict[str, list[str]], batch_size: int
) -> None:
    expected = [written[name][i] for i, name in enumerate(MIXED)]
    assert shared.summarize(dialogues, MIXED, max_new_tokens=6, batch_size=batch_size) == expected


def test_only_trained_position_biases_keep_rows_apart(shared: Adapters, kind: str) -> None:
    assert shared.one_batch == (kind != "position biases")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "position biases"], indirect=True)
def test_the_logits_of_a_mixed_batch_are_those_of_each_adapter_alone(
    shared: Adapters, alone: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, seen = T5ForConditionalGeneration.generate, []

    def listen(net: Any, **asked: Any) -> Any:
        out = plain(net, **asked, output_logits=True, return_dict_in_generate=True)
        seen.append(out.logits)
        return out.sequences

    monkeypatch.setattr(T5ForConditionalGeneration, "generate", listen)
    rows = [torch.arange(3, 3 + length) for length in (30, 12, 40, 25, 30)]
    batch = torch.zeros(len(rows), 41, dtype=torch.long)
    mask = torch.zeros(len(rows), 41, dtype=torch.long)
    for i, row in enumerate(rows):
        batch[i, : 1 + len(row)] = torch.cat([torch.tensor([i % 4]), row])
        mask[i, : 1 + len(row)] = 1
    models = [*alone.values(), alone["base"]]
    with torch.no_grad():
        net = Mixed(shared.net, [UNCHANGED, *shared.keys.values()])
        net.generate(batch, mask, do_sample=False, max_new_tokens=3)
        for row, model in zip(rows, models, strict=True):
            model.net.generate(
                input_ids=row[None], attention_mask=torch.ones_like(row[None]), do_sample=False, max_new_tokens=3
            )
    mixed, *by_itself = seen
    for i, logits in enumerate(by_itself):
        for token, expected in enumerate(logits):  # the first ones of a row, until it ends
            torch.testing.assert_close(mixed[token][i], expected[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["summaries", "actions", "last.one", "base"])
def test_one_adapter_for_all_rows_is_that_adapter(
    shared: Adapters, dialogues: list[str], written: dict[str, list[str]], name: str
) -> None:
    assert shared.summarize(dialogues, name, max_new_tokens=6) == written[name]
    assert shared.active == "base"


def test_switching_gives_that_adapter_and_base_the_base_itself(
    shared: Adapters, dialogues: list[str], written: dict[str, list[str]], tiny: Model
) -> None:
    for name in ("actions", "summaries", "base", "actions"):
        model = shared.use(name)
        assert shared.active == name
        assert summarize(model, dialogues, max_new_tokens=6) == written[name]
        assert shared.summarize(dialogues, max_new_tokens=6) == written[name]
    assert shared.use("base") is tiny


def test_a_switch_knows_the_room_that_its_virtual_tokens_take(shared: Adapters) -> None:
    for name, method in shared.methods.items():
        assert shared.use(name).room == 512 - method.virtual_tokens
    long = "\n".join(["#Person1#: Hello Anna, can we meet on Monday?"] * 60)
    assert {name: len(shared._ids(long, name)) <= shared.use(name).room for name in MIXED} == dict.fromkeys(MIXED, True)


def test_what_is_unloaded_is_gone_and_the_others_write_as_before(
    shared: Adapters, dialogues: list[str], written: dict[str, list[str]]
) -> None:
    shared.use("summaries")
    before = count_parameters(shared.net).total
    shared.unload("actions")
    assert shared.names == ["summaries", "last.one"]
    assert shared.active == "summaries"
    assert count_parameters(shared.net).total < before
    assert shared.summarize(dialogues, max_new_tokens=6) == written["summaries"]
    with pytest.raises(LabError, match=r"no adapter 'actions' is loaded: use one of base, summaries, last\.one"):
        shared.use("actions")
    shared.unload("summaries")
    assert shared.active == "base"
    assert shared.summarize(dialogues[:2], ["last.one", "base"], max_new_tokens=6) == [
        written["last.one"][0],
        written["base"][1],
    ]
    shared.unload("last.one")
    assert shared.names == []
    assert count_parameters(shared.net).total == count_parameters(shared.base).total
    assert shared.summarize(dialogues, max_new_tokens=6) == written["base"]


def test_putting_adapters_together_leaves_the_base_as_it_was(
    runs: dict[str, Run], tiny: Model, dialogues: list[str]
) -> None:
    before = {name: weight.clone() for name, weight in tiny.net.state_dict().items()}
    trainable = count_parameters(tiny).trainable
    together(tiny, runs).summarize(dialogues, MIXED, max_new_tokens=2)
    after = tiny.net.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert count_parameters(tiny).trainable == trainable


def test_a_batch_that_was_broken_off_leaves_nothing_behind(
    shared: Adapters, dialogues: list[str], written: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(T5ForConditionalGeneration, "generate", interrupt)
        with pytest.raises(KeyboardInterrupt):
            shared.summarize(dialogues, MIXED)
    assert summarize(shared.use("actions"), dialogues[:2], max_new_tokens=6) == written["actions"][:2]
    assert shared.summarize(dialogues, MIXED[::-1], max_new_tokens=6) == [
        written[name][i] for i, name in enumerate(MIXED[::-1])
    ]


def test_nothing_is_written_for_nothing(shared: Adapters) -> None:
    assert shared.summarize([], "actions") == []


@pytest.mark.parametrize(
    ("asked", "adapter", "why"),
    [
        (2, ["actions"], "1 adapters for 2 dialogues: name one, or one a dialogue"),
        (2, ["actions", "none"], "no adapter 'none' is loaded: use one of base, summaries, actions, last.one"),
        (1, "none", "no adapter 'none' is loaded: use one of base"),
    ],
)
def test_refuses_names_that_do_not_fit(
    shared: Adapters, dialogues: list[str], asked: int, adapter: Any, why: str
) -> None:
    with pytest.raises(LabError, match=why):
        shared.summarize(dialogues[:asked], adapter)
    with pytest.raises(LabError, match="no adapter 'none' is loaded"):
        shared.unload("none")


@pytest.mark.parametrize("adapter", ["actions", "base"])
def test_refuses_an_empty_dialogue(shared: Adapters, adapter: str) -> None:
    with pytest.raises(LabError, match="dialogue 2 of 2 is empty: give it at least one turn"):
        shared.summarize(["#Person1#: Hello.", " \n"], adapter)


def test_one_text_instead_of_a_list_is_refused(shared: Adapters) -> None:
    with pytest.raises(LabError, match="dialogues is one text: give a list of them"):
        shared.summarize("#Person1#: Hello.", "actions")  # type: ignore[arg-type]


def test_the_base_cannot_be_unloaded(shared: Adapters) -> None:
    with pytest.raises(LabError, match=r"base is no adapter: unload one of summaries, actions, last\.one"):
        shared.unload("base")


@pytest.mark.parametrize(
    ("methods", "why"),
    [
        ({}, "adapters named nothing: name one or more"),
        ({"base": LoRA()}, "adapters named base: name one or more, and none of them base"),
        (
            {"a": None},
            "a is base, which is no part beside a base: open it alone, with open_run",
        ),
        ({"a": FullFineTuning()}, "a is full, which is no part beside a base: open it"),
        ({"a": IA3(), "b": LoRA()}, "b is lora, but another adapter is ia3: put one kind together"),
        pytest.param(
            {"a": LoRA(bits=8)}, "a is lora bits=8, over matrices that the base does not have: open it", marks=needs(8)
        ),
        (
            {"a": LoRA(), "b": PromptTuning(5)},
            "b is prompt-tuning tokens=5, but another adapter is lora: put one kind together",
        ),
    ],
)
def test_refuses_what_cannot_share_a_base_before_anything_is_opened(
    methods: dict[str, Method | None],
    why: str,
    tiny: Model,
    tiny_data: Dialogues,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = {name: made_run(tmp_path / name, tiny, method, tiny_data) for name, method in methods.items()}
    monkeypatch.delattr("labkit.adapters.together.open_run")
    with pytest.raises(LabError, match=why) as caught:
        together(tiny, runs)
    assert "\n" not in str(caught.value)


def test_refuses_a_line_of_a_comparison_that_was_never_trained(tiny: Model, tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.start({"method": {"method": "lead-2"}})
    with pytest.raises(LabError, match="a is lead-2, which is no part beside a base: open it alone"):
        together(tiny, {"a": run})


def test_refuses_runs_without_names_and_a_model_in_the_place_of_a_run(tiny: Model) -> None:
    with pytest.raises(LabError, match="runs have no names here: give each one"):
        together(tiny, [tiny])  # type: ignore[arg-type]
    with pytest.raises(LabError, match="is no run: give one of a table"):
        together(tiny, {"a": tiny})  # type: ignore[dict-item]


def test_the_tasks_of_one_run_are_adapters_of_their_own(
    tiny: Model, tiny_data: Dialogues, dialogues: list[str], tmp_path: Path
) -> None:
    run = made_run(tmp_path, tiny, MultitaskPromptTuning(5, tasks=2), tiny_data)
    both = together(tiny, {"first": run, "second": run}, tasks={"second": 1})
    model = restore(tiny, MultitaskPromptTuning(5, tasks=2), run.weights)
    first = summarize(model, dialogues[:3], max_new_tokens=6)
    choose_task(model, 1)
    second = summarize(model, dialogues[:3], max_new_tokens=6)
    assert first != second
    names = ["first"] * 3 + ["second"] * 3
    assert both.summarize(dialogues[:3] * 2, names, max_new_tokens=6) == [*first, *second]
    with pytest.raises(LabError, match="has 2 tasks to choose from, and no number 2"):
        together(tiny, {"first": run}, tasks={"first": 2})
    with pytest.raises(LabError, match="tasks names frist, which is no run: use names of runs, such as first"):
        together(tiny, {"first": run}, tasks={"frist": 1})


def test_adapters_of_one_network_are_merged_into_copies_with_different_revisions(
    tiny: Model, tiny_data: Dialogues, dialogues: list[str], tmp_path: Path
) -> None:
    runs = {name: made_run(tmp_path / name, tiny, LoRA(), tiny_data, seed=seed) for seed, name in enumerate("ab")}
    shared = together(tiny, runs)
    copies = {name: merge(shared.use(name)) for name in shared.names}
    assert copies["a"].revision != copies["b"].revision
    for name, merged in copies.items():
        assert summarize(merged, dialogues, max_new_tokens=6) == shared.summarize(dialogues, name, max_new_tokens=6)


def test_a_layer_that_an_adapter_leaves_alone_computes_as_the_base_does(
    tiny: Model, tiny_data: Dialogues, tmp_path: Path
) -> None:
    """Where peft asks for a copy that is not there."""
    methods = {"head": Selective(part="head"), "norms": Selective(weights="norms")}
    runs = {name: made_run(tmp_path / name, tiny, method, tiny_data) for name, method in methods.items()}
    shared, x = together(tiny, runs), torch.randn(2, 3, 32)
    shared.use("norms")
    with torch.no_grad():
        assert torch.equal(shared.net.get_base_model().lm_head(x), tiny.net.lm_head(x))
