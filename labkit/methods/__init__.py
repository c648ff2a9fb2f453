"""The fine-tuning methods, one file each, and how they are attached to a model."""

import copy
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from labkit.errors import LabError
from labkit.methods.adalora import AdaLoRA as AdaLoRA
from labkit.methods.base import Method as Method
from labkit.methods.bottleneck import Bottleneck as Bottleneck
from labkit.methods.full import FullFineTuning as FullFineTuning
from labkit.methods.ia3 import IA3 as IA3
from labkit.methods.layer_norm import LayerNormTuning as LayerNormTuning
from labkit.methods.llama_adapter import LlamaAdapter as LlamaAdapter
from labkit.methods.lora import LoRA as LoRA
from labkit.methods.multitask_prompt_tuning import MultitaskPromptTuning as MultitaskPromptTuning
from labkit.methods.multitask_prompt_tuning import choose_task as choose_task
from labkit.methods.p_tuning import PTuning as PTuning
from labkit.methods.prefix_tuning import PrefixTuning as PrefixTuning
from labkit.methods.prompt_tuning import PromptTuning as PromptTuning
from labkit.methods.selective import Selective as Selective
from labkit.models import Model, quiet
from labkit.parameters import shape_of_net

FAMILY: tuple[type[Method], ...] = (
    FullFineTuning,
    Selective,
    LoRA,
    AdaLoRA,
    Bottleneck,
    IA3,
    LayerNormTuning,
    PrefixTuning,
    LlamaAdapter,
    PromptTuning,
    PTuning,
    MultitaskPromptTuning,
)
METHODS = {method.name: method for method in FAMILY}
OWN_WEIGHTS = (FullFineTuning, Selective, LayerNormTuning)  # are what these train


def make_method(name: str, **dials: Any) -> Method:
    """The method of this name with these dials.

    Args:
        name: Its name on the command line.
        **dials: Values for its fields; one that is None keeps its default.

    Returns:
        The method.

    Raises:
        LabError: There is no such method, or it has no such dial, or the dial's value is refused.

    Example:
        >>> make_method("lora", rank=16)
        LoRA(rank=16, ...)
    """
    if name not in METHODS:
        raise LabError(f"unknown method {name!r}: use one of {', '.join(METHODS)}")
    given = {dial: value for dial, value in dials.items() if value is not None}
    known = [field.name for field in fields(METHODS[name])]
    for dial in given:
        if dial not in known:
            check_bits(name, dial)
            raise LabError(f"{name} has no dial {dial!r}: it has {', '.join(known) or 'none'}")
    return METHODS[name](**given)


def check_bits(name: str, dial: str) -> None:
    """Raise LabError if the dial is `bits` and the method trains what it would have stored in fewer."""
    if dial == "bits" and METHODS[name] in OWN_WEIGHTS:
        raise LabError(
            f"{name} trains weights of the model itself, and in fewer bits its small steps would be rounded away: "
            "use lora with bits"
        )


def from_dials(dials: Mapping[str, Any]) -> Method:
    """The method that `Method.dials` described."""
    rest = dict(dials)
    return make_method(str(rest.pop("method")), **rest)


def label(dials: Mapping[str, Any]) -> str:
    """What the method that `Method.dials` described is called; one that is not known here goes by its name."""
    name = str(dials.get("method", "base"))
    try:
        return from_dials(dials).label if name in METHODS else name
    except LabError:  # a run of another version, with dials that are not known here
        return name


def attach(base: Model, method: Method, *, seed: int = 0) -> Model:
    """Put a method on a copy of a model; the model itself is left as it was.

    Args:
        base: A model without a method.
        method: What to attach.
        seed: For the start values of what is new.

    Returns:
        A new model, ready to train, in eval mode until then.

    Raises:
        LabError: A dial does not fit this model, or the model has a method already.
    """
    import torch

    _check(base, method)
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(seed)
        net = method.apply(method.prepare(copy.deepcopy(base.net)), base.tokenizer, seed)
    return replace(base, net=net.eval(), method=method)


def restore(base: Model, method: Method, folder: Path) -> Model:
    """Put trained weights, as a run keeps them, on a copy of a base model.

    Args:
        base: The model that was trained from.
        method: What was attached to it.
        folder: `Run.weights`.

    Returns:
        The trained model, in eval mode.

    Raises:
        LabError: There are no trained weights, they are damaged, or the model has a method already.
    """
    import torch
    from safetensors import SafetensorError

    _check(base, method)
    if not list(folder.glob("*.safetensors")):
        raise LabError(f"{folder} holds no trained .safetensors weights: train first, or name a run's own folder")
    try:
        with quiet():
            net = _open(base, method, folder)
    except (LabError, torch.OutOfMemoryError):  # no fault of the file: a library or memory is wanting
        raise
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise LabError(f"the weights in {folder} are damaged ({error}): train again".replace("\n", " ")) from error
    return replace(base, net=net.eval(), method=method)


def in_full_precision(model: Model, base: Model) -> Model:
    """Put what a LoRA learned over a base in fewer bits on a copy of the base as it was.

    Args:
        model: With such a LoRA; it is left as it was.
        base: The model that it was trained from.

    Returns:
        A new model, in eval mode; a model whose base is in full precision is returned as it is.

    Raises:
        LabError: The base is another one.
    """
    from peft import get_peft_model_state_dict, set_peft_model_state_dict

    if not isinstance(model.method, LoRA) or not model.method.bits:
        return model
    if (base.name, base.revision) != (model.name, model.revision):
        raise LabError(f"{model.method.label} was trained from {model.name}, not from {base.name}: give that base")
    whole = attach(base, replace(model.method, bits=None))
    with quiet():
        name = model.net.active_adapter
        learned = get_peft_model_state_dict(model.net, adapter_name=name, save_embedding_layers=False)
        set_peft_model_state_dict(whole.net, learned)
    return whole


def _open(base: Model, method: Method, folder: Path) -> Any:
    from peft import PeftModel
    from transformers import AutoModelForSeq2SeqLM

    import labkit.tuners.all  # noqa: F401  so that peft knows our methods by their names

    if isinstance(method, FullFineTuning):
        how = {"dtype": base.net.dtype, "attn_implementation": base.net.config._attn_implementation}
        return AutoModelForSeq2SeqLM.from_pretrained(folder, use_safetensors=True, **how).to(base.device)
    return PeftModel.from_pretrained(method.prepare(copy.deepcopy(base.net)), folder)


def _check(base: Model, method: Method) -> None:
    if not isinstance(method, Method):
        raise LabError(f"{method!r} is no method: give one with its dials, such as LoRA(rank=8)")
    if base.method is not None:
        raise LabError(f"{base.name} already has {base.method.label}: attach to the base model instead")
    method.check(shape_of_net(base.net, base.name))
