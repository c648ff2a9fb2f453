"""Load an encoder-decoder with its tokenizer: embedded, from the Hub, or from a folder."""

import hashlib
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from labkit.compute.allocator import keep_few_kernels
from labkit.errors import LabError
from labkit.parameters import Shape, is_gated_t5, shape_of_net
from labkit.paths import embedded_models, model_folder
from labkit.prompts import LIMIT

PRECISIONS = ("auto", "fp32", "bf16")
LOUD = ("transformers", "torchao", "bitsandbytes")  # loggers
# on some processors it tells anybody who imports peft of a kernel to download, which nothing here uses
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


@dataclass(frozen=True, eq=False)
class Model:
    """A network with what is needed to use it.

    Attributes:
        name: The name it was loaded by.
        net: A `transformers` encoder-decoder, or peft's wrapper of one.
        tokenizer: Its tokenizer.
        revision: Commit of the Hub, or digest of the embedded or local weights.
        precision: "fp32", or "bf16" for bfloat16 arithmetic over float32 weights.
        method: What is attached to it; None for the base.
    """

    name: str
    net: Any
    tokenizer: Any
    revision: str
    precision: str = "fp32"
    method: Any = None

    def __repr__(self) -> str:
        """Its name and what is attached to it; the network itself would fill pages."""
        return f'Model("{self.name}"{f", {self.method.label}" if self.method else ""}, {self.precision}, {self.device})'

    @property
    def device(self) -> str:
        """Where the weights are: "cpu", "cuda:0", ..."""
        return str(next(self.net.parameters()).device)

    def arithmetic(self) -> Any:
        """A block in which the network computes in its precision."""
        import torch

        return torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=self.precision == "bf16")

    @property
    def room(self) -> int:
        """Tokens that a prompt may take: the model's limit less the virtual tokens."""
        return LIMIT - getattr(self.method, "virtual_tokens", 0)


def load_model(
    name: str = "nano", *, device: str = "auto", precision: str = "auto", revision: str | None = None
) -> Model:
    """Load a base model; only safetensors, never remote code.

    Args:
        name: An embedded model ("nano"), a Hub id ("google/flan-t5-base"), or a folder.
        device: "cpu", "cuda", "mps", or "auto" for the best that is there.
        precision: "fp32", "bf16", or "auto": LABKIT_PRECISION where that is set, else the one in which a model of
            these widths trains faster on this machine, measured once. (T5 overflows in fp16.)
        revision: Branch, tag or commit of the Hub.

    Returns:
        The model in eval mode.

    Raises:
        LabError: There is no such model, no network, no safetensors, or no such device or precision.
    """
    import torch

    keep_few_kernels()
    with quiet():
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    device = device_here(device)
    check_precision(precision)
    source = _source(name)
    if model_folder(name) is None:
        _ask_hub(name, revision)
    # on a CPU eager attention trains faster: sdpa has no kernel there for a position bias that needs a gradient
    attention = {"attn_implementation": "eager"} if device == "cpu" else {}
    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(source, revision=revision, trust_remote_code=False)
            net = AutoModelForSeq2SeqLM.from_pretrained(
                source,
                revision=revision,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.float32,
                **attention,
            )
        except Exception as error:  # broken off, gated, torn, of another architecture: its first line says which
            raise LabError(_why(name, error)) from error
    digest = revision_of(name) or getattr(net.config, "_commit_hash", None) or "unknown"
    chosen = precision_here(shape_of_net(net, name) if is_gated_t5(net.config) else None, device, precision)
    return Model(name, net.to(device).eval(), tokenizer, digest, chosen)


def revision_of(name: str) -> str | None:
    """Digest of the weights of an embedded or local model.

    Args:
        name: What `load_model` takes.

    Returns:
        The first 16 hex digits of SHA-256; None for a model of the Hub.
    """
    folder = model_folder(name)
    if folder is None:
        return None
    files = ((file, file.stat()) for file in sorted(folder.glob("*.safetensors")))
    return _digest(tuple((file, facts.st_size, facts.st_mtime_ns) for file, facts in files))


@cache
def _digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    """Digest of these files; their sizes and times are there to be told from what they were before."""
    digest = hashlib.sha256()
    for path, *_ in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def _source(name: str) -> str:
    """A folder that holds what is needed, or a Hub id."""
    folder = model_folder(name)
    if folder is None:
        if name.count("/") != 1 or name.startswith(("/", ".")):
            raise LabError(
                f"unknown model {name!r}: use an embedded model ({', '.join(embedded_models())}), "
                "a Hub id such as google/flan-t5-base, or an existing folder"
            )
        return name
    if not (folder / "config.json").is_file():
        raise LabError(f"{name} is no model folder, it has no config.json: name a folder written by save_pretrained")
    if not list(folder.glob("*.safetensors")):
        raise LabError(
            f"{name} holds no .safetensors weights, and pickled ones are never loaded: save the model as safetensors"
        )
    if not any((folder / file).is_file() for file in ("tokenizer.json", "spiece.model")):
        # transformers would make up an empty tokenizer
        raise LabError(f"{name} holds no tokenizer.json: save the tokenizer beside the model")
    return str(folder)


def _ask_hub(name: str, revision: str | None) -> None:
    """Ask for the config of a model that was never fetched: transformers would retry for a minute without network."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache

    try:
        if not try_to_load_from_cache(name, "config.json", revision=revision):
            get_hf_file_metadata(hf_hub_url(name, "config.json", revision=revision))
    except Exception as error:
        raise LabError(_unfetched(name, error)) from error


def device_here(device: str = "auto") -> str:
    """The device that "auto" stands for on this machine.

    Args:
        device: As `load_model` takes it.

    Returns:
        "cpu", "cuda" or "mps".

    Raises:
        LabError: There is no such device.
    """
    import torch

    there = [
        "cpu",
        *(["cuda"] if torch.cuda.is_available() else []),
        *(["mps"] if torch.backends.mps.is_available() else []),
    ]
    if device == "auto":
        return there[-1]
    if device not in there:
        raise LabError(f"device {device!r} is not on this machine: use {' or '.join(there)}")
    return device


def precision_here(shape: Shape | None, device: str, precision: str = "auto") -> str:
    """The precision that "auto" stands for, for a model of this shape on this machine.

    Args:
        shape: Of the model; None if it is no gated T5, which is computed with in float32.
        device: What `device_here` gave.
        precision: As `load_model` takes it.

    Returns:
        "fp32" or "bf16".

    Raises:
        LabError: There is no such precision.
    """
    from labkit.compute.precision import precision_for

    asked = check_precision(precision)
    if asked != "auto":
        return asked
    return precision_for(shape, device) if shape else "fp32"


def check_precision(precision: str) -> str:
    """The precision that is asked for, "auto" among them; LabError if there is none such."""
    asked = os.environ.get("LABKIT_PRECISION", "auto") if precision == "auto" else precision
    if asked not in PRECISIONS:
        raise LabError(f"unknown precision {asked!r}: use one of {', '.join(PRECISIONS)}")
    return asked


def _why(name: str, error: Exception) -> str:
    """One line for what transformers and the Hub say in many."""
    text = str(error)
    if "Unrecognized configuration class" in text:
        return (
            f"{name} is no encoder-decoder: use nano or a google/flan-t5 model, "
            "or open it with transformers' AutoModelForCausalLM if it is causal, as lab 7 does"
        )
    signs = ("couldn't connect", "offline", "Can't load", "Connection")
    if model_folder(name) is None and any(sign in text for sign in signs):
        return _unfetched(name, error)
    if "safetensors" in text.replace(name, ""):
        return (
            f"{name} holds no .safetensors weights, and pickled ones are never loaded: use another model, such as nano"
        )
    return f"{name} could not be loaded ({_first_line(error)}): use nano or a google/flan-t5 model"


def _unfetched(name: str, error: Exception) -> str:
    return (
        f"{name} could not be fetched from the Hub ({_first_line(error)}): "
        "check the name and the network, or use the embedded model nano"
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


@contextmanager
def quiet() -> Iterator[None]:
    """Hide what a learner can do nothing about: progress bars of files, and false alarms.

    A T5 with a head of its own is said to be tied by transformers 5, which warns at loading, and so does peft where
    the head is trained; peft 0.21 also asks for an attribute by its old name, is surprised by T5's layer norms, takes
    what AdaLoRA cut for a fault, and tells of a merge into 8 bits, which nobody asks it for.
    """
    from transformers.utils import logging as transformers_logging

    loggers = [logging.getLogger(name) for name in LOUD]
    levels, bars = [logger.level for logger in loggers], transformers_logging.is_progress_bar_enabled()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
            warnings.filterwarnings("ignore", "Unsupported layer type .*T5LayerNorm", UserWarning)
            warnings.filterwarnings("ignore", "Model has `tie_word_embeddings=True` and a tied layer", UserWarning)
            warnings.filterwarnings("ignore", "The following rank_pattern keys did not match", RuntimeWarning)
            warnings.filterwarnings("ignore", ".* LoRA tensor.* have invalid shape", UserWarning)
            warnings.filterwarnings("ignore", "TorchaoLoraLinear was instantiated without", UserWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars:
            transformers_logging.enable_progress_bar()
