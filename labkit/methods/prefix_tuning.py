"""Prefix tuning: freeze the model, and learn keys and values for its attentions (Li and Liang 2021, arXiv:2101.00190).

queries    q1 q2 q3 ...                          of the text, as ever
keys       p1 p2 .. pn | k1 k2 k3 ...            p: learned, in each layer its own
values     p1 p2 .. pn | v1 v2 v3 ...            k, v: of the text
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from labkit.errors import LabError
from labkit.methods.base import Method
from labkit.methods.soft_prompt import random_words
from labkit.parameters import Shape


@dataclass(frozen=True)
class PrefixTuning(Method):
    """Learn `tokens` keys and values in front of those of every self-attention, in encoder and decoder.

    Attributes:
        tokens: Keys, and as many values, an attention, 1 or more (10 to 200 are common).
        cross: Have them in the decoder's attention to the encoder, too.
        mlp: Train them through a small network of this width, which is dropped afterwards; directly unless given.
    """

    name: ClassVar[str] = "prefix-tuning"
    tuner: ClassVar[str] = "prefix"
    unmergeable: ClassVar[str] = "its keys and values are input of the attention, and no change of a weight"

    tokens: int = 20
    cross: bool = False
    mlp: int | None = None

    def __post_init__(self) -> None:
        """Refuse dials that fit no model."""
        super().__post_init__()
        if self.tokens < 1:
            raise LabError(f"a prefix of {self.tokens} tokens is none: use 1 or more, such as 20")
        if self.mlp is not None and self.mlp < 1:
            raise LabError(f"mlp {self.mlp} is no width: use 1 or more, such as 64, or leave it out")

    @property
    def learning_rate(self) -> float:  # type: ignore[override]
        """What it trains well with: a network takes steps a good deal smaller than the prefix itself."""
        return 0.1 if self.mlp is None else 3e-3

    def _attentions(self, shape: Shape) -> int:
        return shape.layers + shape.decoder_layers * (2 if self.cross else 1)

    def stored(self, shape: Shape) -> int:
        """A key and a value a token in each attention, as wide as its heads together."""
        return self._attentions(shape) * self.tokens * 2 * shape.heads * shape.d_kv

    def trainable(self, shape: Shape) -> int:
        """What is stored, or in its place a vector a token and two linear layers with biases in each attention."""
        if self.mlp is None:
            return self.stored(shape)
        width, inner = shape.d_model, shape.heads * shape.d_kv
        network = (width + 1) * self.mlp + (self.mlp + 1) * 2 * inner
        return self._attentions(shape) * (self.tokens * width + network)

    def apply(self, net: Any, tokenizer: Any, seed: int) -> Any:
        """Wrap `net` with a tuner of our own: peft's prefixes reach the decoder only, and share layers by mistake."""
        from peft import get_peft_model

        from labkit.tuners.prefix import PrefixConfig

        config = PrefixConfig(
            task_type="SEQ_2_SEQ_LM",
            target_modules=["SelfAttention", *(["EncDecAttention"] if self.cross else [])],
            tokens=self.tokens,
            mlp=self.mlp,
        )
        peft_net = get_peft_model(net, config)
        if self.mlp is None:
            self._start(peft_net, tokenizer, seed)
        return peft_net

    def _start(self, net: Any, tokenizer: Any, seed: int) -> None:
        """Start from what the model itself makes of random words, as the paper advises."""
        import torch

        from labkit.tuners.prefix import PrefixLayer

        words = random_words(tokenizer, self.tokens, torch.Generator().manual_seed(seed))[None].to(net.device)
        seen = dict[Any, Any]()
        layers: list[Any] = [layer for layer in net.modules() if isinstance(layer, PrefixLayer)]
        linears = [linear for layer in layers for linear in (layer.base_layer.k, layer.base_layer.v)]
        hooks = [linear.register_forward_hook(lambda one, _, out: seen.update({one: out[0]})) for linear in linears]
        with torch.no_grad(), net.disable_adapter():
            net(input_ids=words, decoder_input_ids=words)
            for layer in layers:
                both = torch.cat([seen[layer.base_layer.k], seen[layer.base_layer.v]], dim=1)
                layer.prefix_vectors["default"].weight.copy_(both)
        for hook in hooks:
            hook.remove()
