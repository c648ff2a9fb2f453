"""Which method, with which dials, an adapter_config.json of peft's describes."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from labkit.errors import LabError
from labkit.methods import (
    IA3,
    AdaLoRA,
    Bottleneck,
    LayerNormTuning,
    LlamaAdapter,
    LoRA,
    Method,
    MultitaskPromptTuning,
    PrefixTuning,
    PromptTuning,
    PTuning,
    Selective,
    places,
)
from labkit.methods.layer_norm import NORMS
from labkit.methods.lora import LINEARS
from labkit.methods.selective import KINDS, PARTS
from labkit.parameters import Shape

Config = Mapping[str, Any]


def read_method(config: Config, shape: Shape) -> Method:
    """The method that comes nearest to a config; whether it is just that, only the config that it makes itself says.

    Args:
        config: What adapter_config.json holds, and peft's defaults for what it does not say.
        shape: Of the model that the adapter is for.

    Returns:
        The method. What a soft prompt started from is not in the file, nor how PiSSA did: its file is a LoRA.

    Raises:
        LabError: There is no such method here, or a dial's value is refused.
    """
    read, modules = READERS.get(config["peft_type"]), config.get("target_modules")
    method = read(config, shape) if read and not isinstance(modules, str) else None  # a text is a pattern
    if method is None:
        kind = getattr(config["peft_type"], "value", config["peft_type"])
        which = f" with target_modules {str(modules)[:80]}" if kind in READERS else ""
        raise LabError(f"no method of labkit is peft's {kind}{which}: use the adapter with peft alone")
    return method


def matched(modules: Iterable[str], paths: Iterable[str]) -> list[str]:
    """The paths that target_modules names by whole paths or by their ends, to which peft shortens many of them."""
    ends = tuple(f".{module}" for module in modules)
    return [path for path in paths if f".{path}".endswith(ends)]


def _lora(config: Config, shape: Shape) -> Method:
    adapted = _linears(config, shape)
    return LoRA(
        rank=config["r"],
        alpha=config["lora_alpha"],
        targets=_names(adapted),
        dropout=config["lora_dropout"],
        bias=config["bias"],
        rslora=config["use_rslora"],
        dora=config["use_dora"],
        layers=places.read_layers(adapted, shape),
    )


def _adalora(config: Config, shape: Shape) -> Method:
    usual = AdaLoRA(rank=config["target_r"], alpha=config["lora_alpha"], targets=_names(_linears(config, shape)))
    return usual if config["init_r"] == usual.initial_rank else replace(usual, start=config["init_r"])


def _linears(config: Config, shape: Shape) -> list[str]:
    return matched(config["target_modules"], [one.path for one in shape.linears()])


def _names(paths: list[str]) -> tuple[str, ...]:
    """The last parts, in the order of a layer."""
    ends = {path.rpartition(".")[2] for path in paths}
    return ("all",) if ends == set(LINEARS) else tuple(name for name in LINEARS if name in ends)


def _copies(config: Config, shape: Shape) -> Method | None:
    if set(config["target_modules"]) == set(NORMS):
        return LayerNormTuning()
    copied = matched(config["target_modules"], _paths(Selective(part="all", layers="all"), shape))
    layers = places.read_layers(copied, shape)
    every = (Selective(*dials) for dials in itertools.product(PARTS, dict.fromkeys(("all", layers)), KINDS))
    return next((one for one in every if copied and _paths(one, shape) == copied), None)


def _paths(method: Selective, shape: Shape) -> list[str]:
    return [module.name for module in method.chosen(shape)]


def _bottleneck(config: Config, shape: Shape) -> Method:
    behind = "houlsby" if "SelfAttention" in config["target_modules"] else "pfeiffer"
    return Bottleneck(width=config["width"], place="parallel" if config["parallel"] else behind)


def _prefix_tuning(config: Config, shape: Shape) -> Method:
    cross = "EncDecAttention" in config["target_modules"]
    return PrefixTuning(tokens=config["tokens"], cross=cross, mlp=config["mlp"])


def _llama_adapter(config: Config, shape: Shape) -> Method:
    adapted = matched(config["target_modules"], LlamaAdapter(layers="all", encoder=True).adapted(shape))
    encoder = any(path.startswith("encoder") for path in adapted)
    return LlamaAdapter(tokens=config["tokens"], layers=places.read_layers(adapted, shape), encoder=encoder)


def _p_tuning(config: Config, shape: Shape) -> Method:
    return PTuning(tokens=config["num_virtual_tokens"], hidden=config["encoder_hidden_size"])


def _multitask_prompt_tuning(config: Config, shape: Shape) -> Method:
    tokens, tasks, ranks = (config[name] for name in ("num_virtual_tokens", "num_tasks", "num_ranks"))
    return MultitaskPromptTuning(tokens=tokens, tasks=tasks, num_ranks=ranks)


READERS: dict[str, Callable[[Config, Shape], Method | None]] = {
    "LORA": _lora,
    "ADALORA": _adalora,
    "IA3": lambda config, shape: IA3(),
    "LN_TUNING": _copies,
    "BOTTLENECK": _bottleneck,
    "KEY_VALUE_PREFIX": _prefix_tuning,
    "LLAMA_ADAPTER": _llama_adapter,
    "PROMPT_TUNING": lambda config, shape: PromptTuning(tokens=config["num_virtual_tokens"]),
    "P_TUNING": _p_tuning,
    "MULTITASK_PROMPT_TUNING": _multitask_prompt_tuning,
}
