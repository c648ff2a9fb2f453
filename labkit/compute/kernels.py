"""Pieces of T5 that are transformers' own to rounding, and take half the time on a CPU.

norm        x -> w x / rms(x)          one function with its gradient by hand, in place of six that each keep a copy
attention   q, k, v -> softmax(q k + bias) v     likewise; T5's does not scale, and the bias is laid out once for all
feed-forward  gelu(wi_0 x) * wi_1 x -> wo        gelu's tanh form as one function
loss        on real labels only, see loss.py

A module keeps its weights and its name, and changes its class only, so that whatever is attached to it stays so.
On a GPU the library's own kernels are used.
"""

from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from transformers import AttentionInterface
from transformers.activations import NewGELUActivation
from transformers.masking_utils import AttentionMaskInterface, eager_mask
from transformers.modeling_outputs import Seq2SeqLMOutput
from transformers.models.t5.modeling_t5 import (
    T5DenseGatedActDense,
    T5ForConditionalGeneration,
    T5LayerNorm,
    eager_attention_forward,
)

from labkit.compute.encoded import untouched
from labkit.compute.loss import token_loss

NAME = "labkit"  # of the attention, in a model's config


class _Norm(torch.autograd.Function):
    """y = w x / rms(x), where rms is the root of the mean square (Zhang and Sennrich 2019, arXiv:1910.07467, eq. 4)."""

    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, epsilon: float, dtype: torch.dtype) -> Any:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        scale = norm.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        return (x * scale).mul_(weight).to(dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Any) -> tuple[Any, ...]:
        x, weight, scale = ctx.saved_tensors
        wide, gradient = x.float(), gradient.float()
        by_x = by_weight = None
        if ctx.needs_input_grad[1]:
            by_weight = (gradient * wide).mul_(scale).flatten(0, -2).sum(0).to(weight.dtype)
        if ctx.needs_input_grad[0]:
            gradient = gradient * weight
            along_x = torch.linalg.vecdot(gradient, wide)[..., None] * scale**3 / -x.shape[-1]
            by_x = gradient.mul_(scale).addcmul_(wide, along_x).to(x.dtype)
        return by_x, by_weight, None, None


class Norm(T5LayerNorm):  # type: ignore[misc]
    """T5LayerNorm that gives what the next product takes: in autocast, three of them would each cast it anew."""

    def forward(self, x: Any) -> Any:
        """The same as T5LayerNorm's."""
        device = x.device.type
        if device != "cpu":
            return super().forward(x)
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        return _Norm.apply(x, self.weight, self.variance_epsilon, dtype)  # type: ignore[no-untyped-call]


class FeedForward(T5DenseGatedActDense):  # type: ignore[misc]
    """T5DenseGatedActDense without a cast to the type of the stored weights and back."""

    def forward(self, x: Any) -> Any:
        """The same as T5DenseGatedActDense's."""
        return self.wo(self.dropout(self.act(self.wi_0(x)) * self.wi_1(x)))


class _Attention(torch.autograd.Function):
    """softmax(q k + bias) v, which keeps the weights of the softmax only (Vaswani et al. 2017, arXiv:1706.03762)."""

    @staticmethod
    def forward(ctx: Any, query: Any, key: Any, value: Any, bias: Any) -> tuple[Any, Any]:
        scores = query @ key.transpose(2, 3)
        scores += bias
        weights = scores.softmax(-1)
        ctx.save_for_backward(query, key, value, weights)
        ctx.shape = bias.shape
        ctx.mark_non_differentiable(weights)
        return weights @ value, weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Any, _: Any) -> tuple[Any, ...]:
        query, key, value, weights = ctx.saved_tensors
        by_value = weights.transpose(2, 3) @ gradient
        by_weights = gradient @ value.transpose(2, 3)
        by_scores = torch._softmax_backward_data(by_weights, weights, -1, weights.dtype)
        by_bias = by_scores.sum_to_size(ctx.shape) if ctx.needs_input_grad[3] else None
        return by_scores @ key, by_scores.transpose(2, 3) @ query, by_value, by_bias


def attend(
    module: Any, query: Any, key: Any, value: Any, mask: Any, *, position_bias: Any = None, **kwargs: Any
) -> tuple[Any, Any]:
    """T5's attention, as transformers looks it up by `NAME`.

    Args:
        module: A T5Attention.
        query: Shape (batch, heads, queries, d_kv).
        key: Shape (batch, heads, keys, d_kv).
        value: Shape (batch, heads, keys, d_kv).
        mask: Added to the scores; None where all keys may be seen.
        position_bias: Added to the scores, shape (1 or batch, heads, queries, keys).
        **kwargs: dropout and scaling, as transformers gives them.

    Returns:
        Shape (batch, queries, heads, d_kv), and the weights, shape (batch, heads, queries, keys).
    """
    if kwargs.get("dropout") or kwargs.get("scaling", 1.0) != 1.0 or position_bias is None:
        usual: tuple[Any, Any] = eager_attention_forward(
            module, query, key, value, mask, position_bias=position_bias, **kwargs
        )
        return usual
    bias = _bias(position_bias, mask, query.dtype)
    out, weights = _Attention.apply(query, key, value, bias)  # type: ignore[no-untyped-call]
    return out.transpose(1, 2).contiguous(), weights


def _bias(position_bias: Any, mask: Any, dtype: torch.dtype) -> Any:
    """Bias and mask as one tensor of this type, made once for all layers of a pass."""
    made = getattr(position_bias, "_with_mask", None)
    if made is None or made[0] is not mask or made[1].dtype != dtype:
        whole = position_bias if mask is None else position_bias + mask
        # a position bias comes transposed, and adding it so takes five times as long
        made = position_bias._with_mask = (mask, whole.to(dtype).contiguous())
    return made[1]


class WithTokenLoss(T5ForConditionalGeneration):  # type: ignore[misc]
    """T5 that computes no logits where its labels are padding, and keeps no keys and values while it is trained.

    Attributes:
        encoder_rests: Whether nothing that is trained changes what the encoder gives.
        read: What it gave for validation batches.
    """

    encoder_rests: bool
    read: dict[Any, Any]

    def train(self, mode: bool = True) -> Any:
        """The same as a Module's; Trainer asks for it before each step, which takes as long as a product."""
        return self if self.training == mode else super().train(mode)

    def forward(self, *args: Any, labels: Any = None, encoder_outputs: Any = None, **kwargs: Any) -> Any:
        """The same as T5's; with labels, the loss alone."""
        if labels is None or args or kwargs.get("decoder_inputs_embeds") is not None:
            return super().forward(*args, labels=labels, encoder_outputs=encoder_outputs, **kwargs)
        mask, ids = kwargs.get("attention_mask"), kwargs.get("decoder_input_ids")
        if encoder_outputs is None:
            encoder_outputs = self._encode(kwargs.get("input_ids"), kwargs.get("inputs_embeds"), mask)
        hidden = self.decoder(
            input_ids=self._shift_right(labels) if ids is None else ids,
            attention_mask=kwargs.get("decoder_attention_mask"),
            encoder_hidden_states=encoder_outputs[0],
            encoder_attention_mask=mask,
            use_cache=False,
        )[0]
        if self.config.scale_decoder_outputs:
            hidden = hidden * self.model_dim**-0.5
        return Seq2SeqLMOutput(loss=token_loss(self.lm_head, hidden, labels))

    def _encode(self, ids: Any, embedded: Any, mask: Any) -> Any:
        """What the encoder gives; of a validation batch, which comes again and again, only once if nothing moves it."""
        if self.training or ids is None or not self.encoder_rests:
            return self.encoder(input_ids=ids, inputs_embeds=embedded, attention_mask=mask)
        batch = (tuple(ids.shape), ids.cpu().numpy().tobytes())  # what is padding, the ids tell
        if batch not in self.read:
            self.read[batch] = self.encoder(input_ids=ids, attention_mask=mask)
        return self.read[batch]


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, eager_mask)  # else transformers would take it that no mask is needed


def use_kernels(net: Any) -> None:
    """Let a T5 run on these; one that has nothing of T5's stays as it is.

    Args:
        net: A network of which nobody else makes use, with or without something attached.
    """
    for module in net.modules():
        if type(module) is T5LayerNorm:
            module.__class__ = Norm
        elif type(module) is T5ForConditionalGeneration:
            module.__class__, module.read = WithTokenLoss, {}
            frozen = not any(weight.requires_grad for weight in module.encoder.parameters())
            module.encoder_rests = frozen and untouched(net)
        elif type(module) is T5DenseGatedActDense:
            module.__class__ = FeedForward
            if isinstance(module.act, NewGELUActivation):
                module.act = nn.GELU(approximate="tanh")
        if getattr(getattr(module, "config", None), "_attn_implementation", None) == "eager":
            module.config._attn_implementation = NAME
        if hasattr(module, "cast_input_dtype_enabled"):  # peft's: to float32, from which autocast casts back
            module.cast_input_dtype_enabled = False
