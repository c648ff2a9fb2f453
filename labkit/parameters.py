"""Exact parameter counts: of a model that is there, and of one known only by its shape."""

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open

from labkit.errors import LabError
from labkit.paths import embedded_models, model_folder

ATTENTION = ("q", "k", "v", "o")
FEED_FORWARD = ("wi_0", "wi_1", "wo")
PARTS = {  # of a layer, in order, as transformers calls them
    "encoder": ("SelfAttention", "DenseReluDense"),
    "decoder": ("SelfAttention", "EncDecAttention", "DenseReluDense"),
}


class Linear(NamedTuple):
    """One linear layer of a T5 block, which has no bias: `inputs` x `outputs` weights; `path` is its whole name."""

    stack: str
    layer: int
    name: str
    inputs: int
    outputs: int
    path: str


class Count(NamedTuple):
    """Trainable and total parameters."""

    trainable: int
    total: int

    @property
    def percent(self) -> float:
        """Trainable share of the total, 0 to 100."""
        return 100 * self.trainable / self.total


@dataclass(frozen=True)
class Shape:
    """The sizes of a gated T5 (T5 v1.1, FLAN-T5), from which every count follows.

    Attributes:
        d_model: Width of the hidden states.
        d_kv: Width of one attention head.
        d_ff: Width inside the feed-forward blocks.
        heads: Attention heads in each attention layer.
        layers: Encoder layers.
        decoder_layers: Decoder layers.
        vocabulary: Rows of the embedding table.
        tied_head: Whether the output head is the embedding table itself; in FLAN-T5 it is not.
        buckets: Relative distances told apart by the position bias.
    """

    d_model: int
    d_kv: int
    d_ff: int
    heads: int
    layers: int
    decoder_layers: int
    vocabulary: int
    tied_head: bool = False
    buckets: int = 32

    def linears(self) -> tuple[Linear, ...]:
        """Every linear layer of encoder and decoder, the output head left out."""
        return _linears(self)

    @property
    def stacks(self) -> dict[str, int]:
        """Layers of encoder and decoder."""
        return {"encoder": self.layers, "decoder": self.decoder_layers}

    @property
    def position_biases(self) -> int:
        """Weights of the relative position biases: the first layer of each stack holds its stack's."""
        return 2 * self.buckets * self.heads

    @property
    def total(self) -> int:
        """All parameters, each counted once."""
        embeddings = self.vocabulary * self.d_model * (1 if self.tied_head else 2)
        norms = self.d_model * (2 * self.layers + 1 + 3 * self.decoder_layers + 1)
        return embeddings + norms + self.position_biases + sum(one.inputs * one.outputs for one in self.linears())


@cache  # a panel asks for them many times whenever a dial is turned
def _linears(shape: Shape) -> tuple[Linear, ...]:
    inner = shape.d_kv * shape.heads
    sizes = dict.fromkeys(("q", "k", "v"), (shape.d_model, inner)) | {"o": (inner, shape.d_model)}
    sizes |= dict.fromkeys(("wi_0", "wi_1"), (shape.d_model, shape.d_ff)) | {"wo": (shape.d_ff, shape.d_model)}
    return tuple(
        Linear(stack, layer, name, *sizes[name], f"{stack}.block.{layer}.layer.{number}.{part}.{name}")
        for stack, layers in shape.stacks.items()
        for layer in range(layers)
        for number, part in enumerate(PARTS[stack])
        for name in (FEED_FORWARD if part == "DenseReluDense" else ATTENTION)
    )


def _flan(d_model: int, d_ff: int, heads: int, layers: int) -> Shape:
    return Shape(d_model, 64, d_ff, heads, layers, layers, vocabulary=32128)


FLAN_T5 = {
    "google/flan-t5-small": _flan(512, 1024, 6, 8),
    "google/flan-t5-base": _flan(768, 2048, 12, 12),
    "google/flan-t5-large": _flan(1024, 2816, 16, 24),
    "google/flan-t5-xl": _flan(2048, 5120, 32, 24),
    "google/flan-t5-xxl": _flan(4096, 10240, 64, 24),
}


def shape_of(name: str) -> Shape:
    """The shape of a model by its name, without its weights and without the network.

    Args:
        name: An embedded model (as "nano"), a FLAN-T5 of the Hub, or a folder with a T5 `config.json`.

    Returns:
        Widths, layers and vocabulary.

    Raises:
        LabError: The name is none of these, or the folder holds another architecture.
    """
    if name in FLAN_T5:
        return FLAN_T5[name]
    folder = model_folder(name)
    if not folder or not (folder / "config.json").is_file():
        raise LabError(
            f"no shape is known for model {name!r}: name an embedded model ({', '.join(embedded_models())}), "
            f"one of {', '.join(FLAN_T5)}, or a folder with a config.json"
        )
    try:
        shape = shape_of_config(json.loads((folder / "config.json").read_text(encoding="utf-8")), name)
        files = list(folder.glob("*.safetensors"))
        # transformers 5 writes that the head is tied whether it is or not: the weights know better
        return replace(shape, tied_head=not any(_holds_head(file) for file in files)) if files else shape
    except (UnicodeDecodeError, json.JSONDecodeError, SafetensorError):
        raise LabError(f"the config.json or the weights of {name} are torn: save or download the model again") from None


def shape_of_net(net: Any, name: str = "this model") -> Shape:
    """The shape of a T5 that is loaded; `name` is what an error calls it."""
    # transformers 5 says in every config that the head is tied: whether it is, the weights know
    tied = net.get_output_embeddings().weight is net.get_input_embeddings().weight
    return replace(shape_of_config(net.config.to_dict(), name), tied_head=tied)


def _holds_head(file: Path) -> bool:
    with safe_open(file, framework="numpy") as weights:
        return "lm_head.weight" in weights.keys()  # noqa: SIM118


def is_gated_t5(config: Any) -> bool:
    """Whether a config of transformers is that of a T5 with gated feed-forward blocks."""
    return config.model_type == "t5" and bool(config.is_gated_act)


def shape_of_config(config: dict[str, Any], name: str = "this model") -> Shape:
    """The shape that a T5 `config.json` describes.

    Args:
        config: Its object.
        name: What an error calls the model.

    Returns:
        Widths, layers and vocabulary.

    Raises:
        LabError: It is not a T5 with gated feed-forward blocks.
    """
    if not isinstance(config, dict):
        raise LabError(f"the config.json of {name} is no JSON object: save or download the model again")
    if config.get("model_type") != "t5" or "gated" not in str(config.get("feed_forward_proj")):
        raise LabError(
            f"{name} is a {config.get('model_type', 'model of unknown type')}, not a T5 with gated feed-forward "
            "blocks: use nano or a google/flan-t5 model"
        )
    for key in ("d_model", "d_kv", "d_ff", "num_heads", "num_layers", "vocab_size"):
        if not isinstance(config.get(key), int) or config[key] < 1:
            raise LabError(
                f"the config.json of {name} says {key} is {config.get(key)}: save or download the model again"
            )
    layers = config["num_layers"]
    return Shape(
        d_model=config["d_model"],
        d_kv=config["d_kv"],
        d_ff=config["d_ff"],
        heads=config["num_heads"],
        layers=layers,
        decoder_layers=config.get("num_decoder_layers") or layers,
        vocabulary=config["vocab_size"],
        tied_head=config.get("tie_word_embeddings", True),
        buckets=config.get("relative_attention_num_buckets", 32),
    )


def count_parameters(model: Any) -> Count:
    """Count the parameters of a model that is in memory, tied ones once.

    Args:
        model: A `labkit.Model` or any `torch.nn.Module`.

    Returns:
        Trainable and total parameters.
    """
    parameters = list(getattr(model, "net", model).parameters())  # torch lists a shared tensor once
    return Count(sum(_numbers(p) for p in parameters if p.requires_grad), sum(_numbers(p) for p in parameters))


def _numbers(weight: Any) -> int:
    """How many numbers a weight has; bitsandbytes keeps two of 4 bits as one."""
    state = getattr(weight, "quant_state", None)
    return int(state.shape.numel() if state else weight.numel())
