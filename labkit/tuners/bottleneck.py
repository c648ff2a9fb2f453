"""Bottleneck adapters in peft's manner: a module around an attention or a feed-forward layer.

This file is handed on beside trained weights, so that peft knows what they are: it imports nothing of ours.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from peft.config import PeftConfig
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch import nn


@dataclass
class BottleneckConfig(PeftConfig):  # type: ignore[misc]
    """What adapter_config.json holds beside the usual.

    Attributes:
        target_modules: Names of the modules that get an adapter.
        width: Numbers in the narrow place.
        parallel: Whether the adapter reads what its module reads, and not what it gives.
    """

    target_modules: list[str] | None = None
    width: int = 16
    parallel: bool = False
    modules_to_save: list[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = "BOTTLENECK"


class BottleneckLayer(nn.Module, BaseTunerLayer):  # type: ignore[misc]
    """A module with adapters, of which the active ones are added to what it gives."""

    adapter_layer_names = ("bottleneck_down", "bottleneck_up")

    base_layer: Any
    active_adapters: Any
    disable_adapters: Any
    set_adapter: Any

    def __init__(self, base_layer: nn.Module, adapter: str, config: BottleneckConfig):
        super().__init__()
        self.base_layer = base_layer
        self.bottleneck_down, self.bottleneck_up = nn.ModuleDict(), nn.ModuleDict()
        self.parallel = dict[str, bool]()
        self.update_layer(adapter, config)

    def update_layer(self, adapter: str, config: BottleneckConfig) -> None:
        """Add an adapter, which changes nothing as long as `up` is zero."""
        some = next(self.base_layer.parameters())
        width = next(weight for weight in self.base_layer.parameters() if weight.ndim == 2).shape[1]
        down = nn.Linear(width, config.width, bias=False)  # no biases, as everywhere in T5
        up = nn.Linear(config.width, width, bias=False)
        nn.init.zeros_(up.weight)
        self.parallel[adapter] = config.parallel
        self.bottleneck_down[adapter] = down.to(some.device)
        self.bottleneck_up[adapter] = up.to(some.device)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def change(self, adapter: str, x: Any, out: Any) -> Any:
        """What an adapter adds to what the module gives for `x`."""
        down, up = self.bottleneck_down[adapter], self.bottleneck_up[adapter]
        return up(nn.functional.relu(down(x if self.parallel[adapter] else out)))

    def forward(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """What the module gives; of a tuple, the adapters change the first."""
        out = self.base_layer(x, *args, **kwargs)
        first, *others = out if isinstance(out, tuple) else (out,)
        for adapter in self.active_adapters:
            if adapter in self.bottleneck_down and not self.disable_adapters:
                first = first + self.change(adapter, x, first)
        return (first, *others) if isinstance(out, tuple) else first


class BottleneckModel(BaseTuner):  # type: ignore[misc]
    """A network whose target modules have adapters."""

    prefix = "bottleneck_"
    tuner_layer_cls = BottleneckLayer
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
        if isinstance(target, BottleneckLayer):
            target.update_layer(adapter_name, peft_config)
        else:
            setattr(parent, target_name, BottleneckLayer(target, adapter_name, peft_config))

    def _replace_module(self, parent: nn.Module, name: str, module: nn.Module, layer: nn.Module) -> None:
        """Give a module back as it was found; peft, which calls this, takes every module for one with a weight."""
        setattr(parent, name, module)


# peft knows a method by the name in its config; its own function for this takes the names of its own methods only
PEFT_TYPE_TO_CONFIG_MAPPING["BOTTLENECK"] = BottleneckConfig
PEFT_TYPE_TO_TUNER_MAPPING["BOTTLENECK"] = BottleneckModel
PEFT_TYPE_TO_PREFIX_MAPPING["BOTTLENECK"] = BottleneckModel.prefix
