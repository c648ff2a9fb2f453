"""Prefix tuning in peft's manner: learned keys and values in front of those that an attention computes.

hidden states -> k, v -> cache -> [prefix | keys], [prefix | values] -> attention
                                  behind the cache, so that it is there once, however many tokens have been written

T5 looks its attention function up by the name that stands in its config; ours puts the prefix in front, and then calls
the one that the model uses. Each attention gets a config of its own for that: the model's stays as it is.

This file is handed on beside trained weights, so that peft knows what they are: it imports nothing of ours.
"""

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from peft.config import PeftConfig
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch import nn
from transformers import AttentionInterface
from transformers.models.t5.modeling_t5 import ALL_ATTENTION_FUNCTIONS, eager_attention_forward

NAME = "with_prefix"


@dataclass
class PrefixConfig(PeftConfig):  # type: ignore[misc]
    """What adapter_config.json holds beside the usual.

    Attributes:
        target_modules: Names of the attentions that get a prefix.
        tokens: Keys, and as many values, in each of them.
        mlp: Width of the network that they are trained through, and that is not kept.
    """

    target_modules: list[str] | None = None
    tokens: int = 20
    mlp: int | None = None
    modules_to_save: list[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = "KEY_VALUE_PREFIX"  # peft's own prefix tuning is PREFIX_TUNING


def attend(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    mask: Any,
    *,
    position_bias: Any,
    prefix: Any = None,
    seen: Any = None,
    **kwargs: Any,
) -> Any:
    """The attention that the model uses, over a prefix and what is there without it.

    Args:
        module: A T5Attention.
        query: Shape (batch, heads, queries, d_kv).
        key: Shape (batch, heads, keys, d_kv), the cached ones among them.
        value: Shape (batch, heads, keys, d_kv).
        mask: Added to the scores, or True where a key may be seen; None where all may be.
        position_bias: Added to the scores; a prefix has no place in the text, so it gets none.
        prefix: Shape (tokens, 2 x heads x d_kv), a row its key and its value; or one for each row of the batch.
        seen: Shape (batch, tokens), where of prefixes of different lengths there is something; everywhere unless given.
        **kwargs: Passed on.

    Returns:
        What the model's own function gives.
    """
    used = module.config.of_model._attn_implementation
    attention = ALL_ATTENTION_FUNCTIONS.get_interface(used, eager_attention_forward)
    if prefix is not None:
        batch, heads, queries, _ = query.shape
        if mask is None and module.is_causal and queries > 1:  # sdpa would take the prefix for the first tokens
            mask = torch.full_like(position_bias, torch.finfo(key.dtype).min).triu(1)
        tokens = prefix.shape[-2]
        if mask is not None:
            mask = nn.functional.pad(mask, (tokens, 0), value=mask.dtype == torch.bool)
        position_bias = nn.functional.pad(position_bias, (tokens, 0))
        if seen is not None:
            hidden = nn.functional.pad(~seen, (0, key.shape[2]))[:, None, None]
            position_bias = torch.where(hidden, torch.finfo(position_bias.dtype).min, position_bias)
        rows = prefix.to(key.dtype).expand(batch, -1, -1)
        keys, values = rows.unflatten(2, (2, heads, -1)).permute(2, 0, 3, 1, 4)
        key, value = torch.cat([keys, key], dim=2), torch.cat([values, value], dim=2)
    return attention(module, query, key, value, mask, position_bias=position_bias, **kwargs)


AttentionInterface.register(NAME, attend)


class PrefixLayer(nn.Module, BaseTunerLayer):  # type: ignore[misc]
    """A T5Attention with prefixes, of which the active ones are seen."""

    adapter_layer_names = ("prefix_vectors", "prefix_network")

    base_layer: Any
    active_adapters: Any
    disable_adapters: Any
    set_adapter: Any

    def __init__(self, base_layer: Any, adapter: str, config: PrefixConfig):
        super().__init__()
        self.base_layer = base_layer
        of_model, base_layer.config = base_layer.config, copy.copy(base_layer.config)
        base_layer.config.of_model, base_layer.config._attn_implementation = of_model, NAME
        self.prefix_vectors, self.prefix_network = nn.ModuleDict(), nn.ModuleDict()
        self.update_layer(adapter, config)

    def update_layer(self, adapter: str, config: PrefixConfig) -> None:
        """Add a prefix, with the network that it is trained through."""
        k = self.base_layer.k
        width = 2 * k.out_features
        if config.mlp and not config.inference_mode:
            network = nn.Sequential(nn.Linear(k.in_features, config.mlp), nn.Tanh(), nn.Linear(config.mlp, width))
            self.prefix_network[adapter] = network.to(k.weight.device)
            width = k.in_features
        self.prefix_vectors[adapter] = nn.Embedding(config.tokens, width, device=k.weight.device)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def prefix(self, adapter: str) -> Any:
        """Keys and values of an adapter, as `attend` takes them."""
        vectors = self.prefix_vectors[adapter].weight
        return self.prefix_network[adapter](vectors) if adapter in self.prefix_network else vectors

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the attention gives, with the prefixes in front."""
        active = [adapter for adapter in self.active_adapters if adapter in self.prefix_vectors]
        if active and not self.disable_adapters:
            kwargs["prefix"] = torch.cat([self.prefix(adapter) for adapter in active])
        return self.base_layer(*args, **kwargs)


class PrefixModel(BaseTuner):  # type: ignore[misc]
    """A network whose target attentions have prefixes."""

    prefix = "prefix_"
    tuner_layer_cls = PrefixLayer
    target_module_mapping: ClassVar[dict[str, list[str]]] = {}

    def _create_and_replace(
        self,
        peft_config: Any,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        **_: Any,
    ) -> None:
        if isinstance(target, PrefixLayer):
            target.update_layer(adapter_name, peft_config)
        else:
            setattr(parent, target_name, PrefixLayer(target, adapter_name, peft_config))

    def _replace_module(self, parent: nn.Module, name: str, attention: Any, layer: nn.Module) -> None:
        """Give an attention back as it was found; peft calls this when it takes everything off."""
        attention.config = attention.config.of_model
        setattr(parent, name, attention)

    @classmethod
    def _get_adapter_state_dict(cls, model: nn.Module, config: Any, adapter_name: str, *_: Any, **__: Any) -> Any:
        """What is kept: the prefixes themselves, and not the network."""
        layers = ((name, layer) for name, layer in model.named_modules() if isinstance(layer, PrefixLayer))
        return {
            f"{name}.prefix_vectors.{adapter_name}.weight": layer.prefix(adapter_name).detach()
            for name, layer in layers
            if adapter_name in layer.prefix_vectors
        }


# peft knows a method by the name in its config; its own function for this takes the names of its own methods only
PEFT_TYPE_TO_CONFIG_MAPPING["KEY_VALUE_PREFIX"] = PrefixConfig
PEFT_TYPE_TO_TUNER_MAPPING["KEY_VALUE_PREFIX"] = PrefixModel
PEFT_TYPE_TO_PREFIX_MAPPING["KEY_VALUE_PREFIX"] = PrefixModel.prefix
