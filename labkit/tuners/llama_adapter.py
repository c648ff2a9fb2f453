"""LLaMA-Adapter in peft's manner: an attention that also looks at learned vectors, apart from the text, through gates.

hidden states -> q -+-> attention to the text ---------------------------------------------> o --+-> + ->
                    +-> softmax(q k(p)) v(p), p: learned, k and v: frozen -> tanh(gate) -> o ----+

o is linear, so that what it makes of the sum before it is the sum behind it: T5's own attention is called as it is,
with a cache or without, and whatever kernel the model uses.

This file is handed on beside trained weights, so that peft knows what they are: it imports nothing of ours.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from peft.config import PeftConfig
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch import nn


@dataclass
class LlamaAdapterConfig(PeftConfig):  # type: ignore[misc]
    """What adapter_config.json holds beside the usual.

    Attributes:
        target_modules: Paths of the attentions that get a prompt.
        tokens: Vectors in each of them.
    """

    target_modules: list[str] | None = None
    tokens: int = 10
    modules_to_save: list[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = "LLAMA_ADAPTER"  # peft's own is ADAPTION_PROMPT


class LlamaAdapterLayer(nn.Module, BaseTunerLayer):  # type: ignore[misc]
    """A T5Attention with adaption prompts, of which the active ones are looked at."""

    adapter_layer_names = ("adaption_prompt", "adaption_gate")

    base_layer: Any
    active_adapters: Any
    disable_adapters: Any
    set_adapter: Any

    def __init__(self, base_layer: Any, adapter: str, config: LlamaAdapterConfig):
        super().__init__()
        self.base_layer = base_layer
        self.adaption_prompt, self.adaption_gate = nn.ModuleDict(), nn.ParameterDict()
        self.update_layer(adapter, config)

    def update_layer(self, adapter: str, config: LlamaAdapterConfig) -> None:
        """Add a prompt, drawn from a normal distribution as in the paper's code, and a gate a head, which is shut."""
        t5 = self.base_layer
        where = t5.k.weight.device
        self.adaption_prompt[adapter] = nn.Embedding(config.tokens, t5.d_model, device=where)
        self.adaption_gate[adapter] = nn.Parameter(torch.zeros(t5.n_heads, device=where))
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def gate(self, adapter: str) -> Any:
        """By how much each head lets in what comes from the prompt, -1 to 1, shape (heads,)."""
        return self.adaption_gate[adapter].tanh()

    def seen(self, adapter: str, x: Any) -> Any:
        """What each query takes from a prompt: shape (batch, queries, heads x d_kv), as o reads it."""
        t5, prompt = self.base_layer, self.adaption_prompt[adapter].weight
        query, key, value = (
            one.unflatten(-1, (t5.n_heads, -1)).transpose(-3, -2) for one in (t5.q(x), t5.k(prompt), t5.v(prompt))
        )
        # T5 does not scale the scores, and the prompt has no place in the text that would bias them
        found = (query @ key.transpose(-2, -1)).softmax(-1) @ value
        return (self.gate(adapter)[:, None, None] * found).transpose(-3, -2).flatten(-2)

    def change(self, adapter: str, x: Any, out: Any) -> Any:
        """What an adapter adds to what the attention gives for `x`."""
        return self.base_layer.o(self.seen(adapter, x))

    def forward(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """What the attention gives; the prompts add to the first of it."""
        first, *others = self.base_layer(x, *args, **kwargs)
        for adapter in self.active_adapters:
            if adapter in self.adaption_prompt and not self.disable_adapters:
                first = first + self.change(adapter, x, first)
        return (first, *others)


class LlamaAdapterModel(BaseTuner):  # type: ignore[misc]
    """A network whose target attentions have adaption prompts."""

    prefix = "adaption_"
    tuner_layer_cls = LlamaAdapterLayer
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
        if isinstance(target, LlamaAdapterLayer):
            target.update_layer(adapter_name, peft_config)
        else:
            setattr(parent, target_name, LlamaAdapterLayer(target, adapter_name, peft_config))

    def _replace_module(self, parent: nn.Module, name: str, attention: nn.Module, layer: nn.Module) -> None:
        """Give an attention back as it was found; peft, which calls this, takes every module for one with a weight."""
        setattr(parent, name, attention)


# peft knows a method by the name in its config; its own function for this takes the names of its own methods only
PEFT_TYPE_TO_CONFIG_MAPPING["LLAMA_ADAPTER"] = LlamaAdapterConfig
PEFT_TYPE_TO_TUNER_MAPPING["LLAMA_ADAPTER"] = LlamaAdapterModel
PEFT_TYPE_TO_PREFIX_MAPPING["LLAMA_ADAPTER"] = LlamaAdapterModel.prefix
