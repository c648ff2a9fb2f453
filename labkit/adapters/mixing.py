"""Rows for different adapters in one batch.

soft prompts        each row starts with its own
LoRA                peft's way: W x for all rows at once, and to each the change that is its own
bottleneck          the layer for all rows at once, and to each the change that is its own
LLaMA-Adapter       the same
prefix tuning       each row sees its own prefix
the others          in a changed layer the rows of one adapter after those of another, everything else at once
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

UNCHANGED = "__base__"  # peft's name for a row that no adapter changes


@dataclass
class Mixed:
    """A network with several adapters, told by the first id of each row, which is no token, whose row it is.

    Only `generate` differs from the network's own; so all that sorts rows and makes batches of them can stay as it is.

    Attributes:
        net: Peft's.
        keys: What peft calls the adapter of each number, or `UNCHANGED`.
    """

    net: Any
    keys: list[str]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.net, name)

    def generate(self, input_ids: Any, attention_mask: Any, **settings: Any) -> Any:
        """What transformers' own does, each row with its adapter; greedily, as beams would be rows that nobody told."""
        keys = [self.keys[number] for number in input_ids[:, 0].tolist()]
        ids, mask = input_ids[:, 1:], attention_mask[:, 1:]
        if self.net.active_peft_config.is_prompt_learning:
            return _prompted(self.net, keys, ids, mask, settings)
        with _sorted(self.net, keys):
            return self.net.generate(input_ids=ids, attention_mask=mask, **settings)


def rows_of(names: Sequence[str]) -> dict[str, list[int]]:
    """The rows of each name, in the order in which they come first."""
    return {name: [i for i, each in enumerate(names) if each == name] for name in dict.fromkeys(names)}


def tuner_layers(net: Any) -> list[Any]:
    """The layers of a network that adapters change."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return [layer for layer in net.modules() if isinstance(layer, BaseTunerLayer)]


def turn(layer: Any, key: str) -> None:
    """Switch a layer to an adapter, or to none where it has no part of it: peft would ask trained copies for one."""
    layer.set_adapter([key] if _has(layer, key) else [], inference_mode=True)


def can_mix(net: Any) -> bool:
    """Whether rows of different adapters can share a batch.

    Trained position biases are in the way: T5 looks them up once for all rows.
    """
    from torch import nn

    return not any(isinstance(layer.get_base_layer(), nn.Embedding) for layer in tuner_layers(net))


def _has(layer: Any, key: str) -> bool:
    return any(key in getattr(layer, parts) for parts in layer.adapter_layer_names)


def _prompted(net: Any, keys: list[str], ids: Any, mask: Any, settings: dict[str, Any]) -> Any:
    """Put its own soft prompt in front of each row; peft has but one for a whole batch.

    What is padded is the end of a row, so that no distance changes between what is read, which is all that T5 knows
    of positions.
    """
    import torch
    from torch.nn.utils.rnn import pad_sequence

    rows = [net.word_embeddings(row[seen.bool()]) for row, seen in zip(ids, mask, strict=True)]
    rows = [
        row if key == UNCHANGED else torch.cat([net.prompt_encoder[key].embedding.weight, row])
        for key, row in zip(keys, rows, strict=True)
    ]
    mask = pad_sequence([mask.new_ones(len(row)) for row in rows], batch_first=True)
    return net.base_model.generate(inputs_embeds=pad_sequence(rows, batch_first=True), attention_mask=mask, **settings)


@contextmanager
def _sorted(net: Any, keys: list[str]) -> Iterator[None]:
    """Have every layer compute each row of a batch with its own adapter."""
    import torch

    rows = {key: torch.tensor(each, device=net.device) for key, each in rows_of(keys).items()}
    before = [(layer, layer.active_adapters) for layer in tuner_layers(net)]
    for layer, _ in before:
        layer.forward = _way(layer, keys, rows)
    try:
        yield
    finally:
        for layer, active in before:
            del layer.forward  # which uncovers that of its class
            layer.set_adapter(active, inference_mode=True)


def _way(layer: Any, keys: list[str], rows: dict[str, Any]) -> Any:
    """How a layer computes rows of different adapters."""
    from peft.tuners.lora import Linear

    from labkit.tuners.bottleneck import BottleneckLayer
    from labkit.tuners.llama_adapter import LlamaAdapterLayer
    from labkit.tuners.prefix import PrefixLayer

    if isinstance(layer, BottleneckLayer | LlamaAdapterLayer):
        return partial(_added, layer, rows)
    if isinstance(layer, PrefixLayer):
        return partial(_prefixed, layer, rows)
    if isinstance(layer, Linear) and not any(layer.use_dora.values()):
        return partial(layer.forward, adapter_names=keys)
    return partial(_split, layer, rows)


def _added(layer: Any, rows: dict[str, Any], x: Any, *args: Any, **kwargs: Any) -> Any:
    """What the layer gives without adapters, and to each row what its own adds."""
    out = layer.base_layer(x, *args, **kwargs)
    first, *others = out if isinstance(out, tuple) else (out,)
    for key, chosen in rows.items():
        if _has(layer, key):
            first[chosen] += layer.change(key, x[chosen], first[chosen])
    return (first, *others) if isinstance(out, tuple) else first


def _prefixed(layer: Any, rows: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
    """An attention with a prefix for each row, as long as the longest; what is too much is not seen."""
    import torch

    there = {key: layer.prefix(key) for key in rows if _has(layer, key)}
    if there:
        batch, longest = sum(map(len, rows.values())), max(map(len, there.values()))
        some = next(iter(there.values()))
        kwargs["prefix"] = some.new_zeros(batch, longest, some.shape[1])
        kwargs["seen"] = torch.zeros(batch, longest, dtype=torch.bool, device=some.device)
        for key, vectors in there.items():
            kwargs["prefix"][rows[key], : len(vectors)] = vectors
            kwargs["seen"][rows[key], : len(vectors)] = True
    return layer.base_layer(*args, **kwargs)


def _split(layer: Any, rows: dict[str, Any], x: Any) -> Any:
    """The rows of one adapter after those of another."""
    out: Any = None
    for key, chosen in rows.items():
        turn(layer, key)
        part = type(layer).forward(layer, x[chosen])
        out = part.new_empty(len(x), *part.shape[1:]) if out is None else out
        out[chosen] = part
    return out
