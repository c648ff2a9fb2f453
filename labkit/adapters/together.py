"""Several adapters on one base: one network in memory, and a task is a switch or, row by row, a name.

dialogue 1  "summaries"  --+                   +--  + B1 A1 x
dialogue 2  "actions"    --+--  one batch  W x +--  + B2 A2 x
dialogue 3  "base"       --+                   +--
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labkit.adapters.several import BASE, Adapters
from labkit.errors import LabError
from labkit.methods import METHODS, FullFineTuning, Method, PromptTuning, choose_task, from_dials, label
from labkit.models import Model, quiet
from labkit.opening import open_run
from labkit.runs import Run


def together(base: Model, runs: Mapping[str, Run | str | Path], tasks: Mapping[str, int] | None = None) -> Adapters:
    """Load the adapters of several runs onto one copy of their base.

    Args:
        base: The model that all of them were trained from; it is left as it was.
        runs: A name for each adapter, such as its task, to its run or that run's folder: all of one method, with any
            dials. Prompt tuning, P-tuning and multitask prompt tuning go together, since all of them are plain soft
            prompts in the end.
        tasks: Which of the tasks of multitask prompt tuning an adapter is for, by its name; the first unless given.

    Returns:
        The adapters, none of them in use yet.

    Raises:
        LabError: A run fits neither the base nor the other runs, or is of a method that shares no network; or `tasks`
            names no run, or no task of it.

    Example:
        >>> both = together(base, {"summaries": run, "actions": other})
        >>> both.summarize([dialogue] * 3, ["summaries", "actions", "base"])
    """
    if not isinstance(runs, Mapping):
        raise LabError("runs have no names here: give each one, such as {'summaries': run}")
    if not runs or BASE in runs:
        raise LabError(f"adapters named {', '.join(runs) or 'nothing'}: name one or more, and none of them {BASE}")
    if unknown := [name for name in tasks or {} if name not in runs]:
        raise LabError(
            f"tasks names {', '.join(unknown)}, which is no run: use names of runs, such as {next(iter(runs))}"
        )
    methods: dict[str, Method] = {}
    opened = {name: Run.open(run) for name, run in runs.items()}
    for name, run in opened.items():
        methods[name] = _checked(name, run.config.get("method") or {}, list(methods.values()))
    keys, net = {name: _key(number) for number, name in enumerate(runs)}, None
    for name, run in opened.items():
        model = open_run(run, base)  # refuses what does not fit this base
        if tasks and name in tasks:
            choose_task(model, tasks[name])
        with quiet():
            if methods[name].virtual_tokens:
                net = _with_prompt(net, keys[name], model)
            elif net is None:
                net = model.net
            else:
                net.load_adapter(run.weights, keys[name], torch_device=base.device)
    return Adapters(base, net, {name: _as_loaded(method) for name, method in methods.items()}, keys)


def _key(number: int) -> str:
    """What peft calls an adapter: any name of a learner's might clash with a name that it or torch uses."""
    return f"adapter{number}" if number else "default"


def _checked(name: str, dials: Mapping[str, Any], others: list[Method]) -> Method:
    """The method of a run, if it can share a base with the others."""
    method = from_dials(dials) if dials.get("method") in METHODS else None
    if method is None or isinstance(method, FullFineTuning):
        raise LabError(f"{name} is {label(dials)}, which is no part beside a base: open it alone, with open_run")
    if getattr(method, "bits", None):
        raise LabError(
            f"{name} is {method.label}, over matrices that the base does not have: open it alone, with open_run"
        )
    for other in others:
        if type(other) is not type(method) and not (method.virtual_tokens and other.virtual_tokens):
            raise LabError(f"{name} is {method.label}, but another adapter is {other.label}: put one kind together")
    return method


def _as_loaded(method: Method) -> Method:
    """A network that writes a soft prompt, and the parts of one, are not needed any more: it is plain prompt tuning."""
    written = method.virtual_tokens and not isinstance(method, PromptTuning)
    return PromptTuning(method.virtual_tokens) if written else method


def _with_prompt(net: Any, key: str, model: Model) -> Any:
    """Add what virtual tokens became, as prompt tuning: of the other kinds, peft holds no several rightly."""
    from peft import PromptTuningConfig, get_peft_model

    prompt = model.net.get_prompt(1)[0].detach()
    config = PromptTuningConfig(
        task_type="SEQ_2_SEQ_LM", num_virtual_tokens=len(prompt), num_transformer_submodules=1, inference_mode=True
    )
    if net is None:
        net = get_peft_model(model.net.get_base_model(), config, key)
    else:
        net.add_adapter(key, config)
    net.prompt_encoder[key].embedding.weight.data = prompt
    return net
