"""Open an adapter from elsewhere: a folder that `export` wrote, or peft's own save_pretrained.

adapter_config.json -> a method with its dials -> the config that this method makes itself -> the same? -> weights
"""

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safetensors import SafetensorError, safe_open

from labkit.errors import LabError
from labkit.methods import AdaLoRA, Method, attach, restore
from labkit.methods.configs import matched, read_method
from labkit.models import Model, quiet
from labkit.parameters import shape_of_net
from labkit.runs import write_json

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
# what says nothing of the method: which base it is for, what it started from, how it was trained
NO_DIALS = {
    *("base_model_name_or_path", "revision", "peft_version", "auto_mapping", "task_type", "inference_mode"),
    *("prompt_tuning_init", "prompt_tuning_init_text", "tokenizer_name_or_path", "tokenizer_kwargs"),
    *("encoder_reparameterization_type", "encoder_num_layers", "encoder_dropout"),  # of a network that is not kept
    *("total_step", "tinit", "tfinal", "deltaT", "beta1", "beta2", "orth_reg_weight"),
}
STARTS = (True, False, "gaussian", "orthogonal")  # of LoRA; with any other the base has other weights, too


def open_adapter(folder: str | Path, base: Model) -> Model:
    """A model with an adapter that no run of this machine trained.

    Args:
        folder: With adapter_config.json and adapter_model.safetensors. Of a soft prompt in peft's default form, the
            second half is left out, which nothing uses.
        base: The model that it was trained from; it is left as it was.

    Returns:
        The model, in eval mode, with the method and the dials that the folder tells.

    Raises:
        LabError: The folder holds no adapter or a damaged one, it is for another base, or it is of no method here, or
            of one with an option that is no dial here.

    Example:
        >>> open_adapter("my_adapter", load_model("nano"))
    """
    folder = Path(folder)
    config = _read(folder)
    _check_name(config, folder, base)
    told = _with_defaults(config, folder)
    try:
        method = read_method(told, shape_of_net(base.net, base.name))
    except (KeyError, TypeError) as error:  # an option without which there is no such adapter
        raise LabError(f"{folder / CONFIG} is damaged: export or download the adapter again") from error
    with TemporaryDirectory() as scratch:
        if told.get("num_transformer_submodules") == 2 and config["peft_type"] in ("PROMPT_TUNING", "P_TUNING"):
            told["num_transformer_submodules"] = 1
            folder = _first_half(folder, config | {"num_transformer_submodules": 1}, Path(scratch))
        _check_dials(method, told, base)
        _check_size(method, folder, base)
        return restore(base, method, folder)


def base_of(folder: Path) -> str:
    """The name of the model that an adapter says it is for; empty if it does not."""
    return _read(folder).get("base_model_name_or_path") or ""


def _check_name(config: dict[str, Any], folder: Path, base: Model) -> None:
    """Compare the last parts of two names, as a model of the Hub may lie in a folder of its name."""
    named = config.get("base_model_name_or_path") or base.name
    if Path(named).name != Path(base.name).name:
        raise LabError(
            f"{folder} is for {named}, and this is {base.name}: open it on that base, or, if it is the same, name it "
            f"so in {CONFIG}"
        )


def _read(folder: Path) -> dict[str, Any]:
    if not all((folder / file).is_file() for file in (CONFIG, WEIGHTS)):
        raise LabError(f"{folder} holds no {CONFIG} with {WEIGHTS}: name a folder that export or save_pretrained wrote")
    try:
        with safe_open(folder / WEIGHTS, "numpy"):  # compares the file's length with its header
            config: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        return config | {"peft_type": str(config["peft_type"])}
    except (ValueError, TypeError, KeyError, SafetensorError) as error:
        file = WEIGHTS if isinstance(error, SafetensorError) else CONFIG
        raise LabError(f"{folder / file} is damaged: export or download the adapter again") from error


def _first_half(folder: Path, config: dict[str, Any], fresh: Path) -> Path:
    """A copy with the vectors that are in front of the encoder, and not those that peft makes for the decoder."""
    from safetensors.torch import load_file, save_file

    write_json(fresh / CONFIG, config)
    used, both = config["num_virtual_tokens"], load_file(folder / WEIGHTS)
    save_file({name: vectors[:used].clone() for name, vectors in both.items()}, fresh / WEIGHTS)
    return fresh


def _with_defaults(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A config with peft's defaults for what it does not say, as older releases wrote less."""
    with quiet():  # what peft imports complains of what is not there
        from peft import PeftConfig

        import labkit.tuners.all  # noqa: F401  so that peft knows our methods by their names

    try:
        return dict(PeftConfig.from_peft_type(**config).to_dict())
    except (KeyError, TypeError, ValueError) as error:
        raise LabError(f"the peft that is here cannot read {folder / CONFIG} ({error}): install a newer one") from error


def _check_dials(method: Method, told: dict[str, Any], base: Model) -> None:
    """Compare a config, option by option, with the one that the method makes itself."""
    made = attach(base, method).net.peft_config["default"].to_dict()
    paths = [path for path, _ in base.net.named_modules()]
    left_out = NO_DIALS | ({"r", "rank_pattern"} if isinstance(method, AdaLoRA) else set())  # ignored, and the outcome
    for name in (name for name in told if name not in left_out):
        there, here = (_comparable(name, config[name], paths) for config in (told, made))
        if there != here and not (name == "init_lora_weights" and there in STARTS):
            raise LabError(
                f"{name} is {str(told[name])[:80]} there and would be {str(made[name])[:80]} for {method.label}: "
                "use the adapter with peft alone, or load the base that it is for"
            )


def _comparable(name: str, value: Any, paths: list[str]) -> Any:
    if name == "target_modules" and value:
        return matched(value, paths)
    return sorted(value) if isinstance(value, list | set) else value


def _check_size(method: Method, folder: Path, base: Model) -> None:
    """Count what the file holds; AdaLoRA leaves out what it cut."""
    with safe_open(folder / WEIGHTS, "numpy") as file:
        held = sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    expected = method.stored(shape_of_net(base.net, base.name))
    if held > expected or (held < expected and not isinstance(method, AdaLoRA)):
        raise LabError(
            f"{folder / WEIGHTS} holds {held:,} numbers, and {method.label} on {base.name} has {expected:,}: "
            "load the base that it was trained from"
        )
