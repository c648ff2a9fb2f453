"""Cross-entropy at the real positions only, some hundred at a time.

decoder's last hidden states -> those of real labels -> head -> cross-entropy

A head of 32,128 words makes of each position 128 kB of logits, and as many for their gradient. So the gradient of the
hidden states is taken piece by piece on the way forward, and the logits of a piece are gone when the next one comes.
"""

from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional

LOGITS = 2**23  # at a time: 32 MiB in float32, of FLAN-T5 261 positions
PADDED = -100  # what transformers has as label where there is none


class _Pieces(torch.autograd.Function):
    """The mean loss with its gradients, which are all taken in `forward`."""

    @staticmethod
    def forward(ctx: Any, head: Any, size: int, labels: Any, hidden: Any, *trained: Any) -> Any:
        loss, gradients = hidden.new_zeros((), dtype=torch.float32), [torch.zeros_like(each) for each in trained]
        by_hidden = torch.empty_like(hidden)
        for at in range(0, len(labels), size):
            with torch.enable_grad():
                piece = hidden[at : at + size].detach().requires_grad_()
                part = functional.cross_entropy(head(piece), labels[at : at + size], reduction="sum") / len(labels)
            by_hidden[at : at + size], *others = torch.autograd.grad(part, (piece, *trained))
            loss += part.detach()
            for whole, other in zip(gradients, others, strict=True):
                whole += other
        ctx.save_for_backward(by_hidden, *gradients)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Any) -> tuple[Any, ...]:
        return None, None, None, *(each * gradient.to(each.dtype) for each in ctx.saved_tensors)


def token_loss(head: Any, hidden: Any, labels: Any) -> Any:
    """Mean cross-entropy over the labels that are not padding.

    Args:
        head: What makes logits of hidden states.
        hidden: The decoder's last hidden states, shape (batch, labels, width).
        labels: Ids of the vocabulary, -100 as padding, shape (batch, labels).

    Returns:
        A scalar in nats a token.
    """
    real = labels != PADDED
    hidden, labels = hidden[real], labels[real]
    trained = [parameter for parameter in head.parameters() if parameter.requires_grad]
    size = max(1, LOGITS // next(head.parameters()).shape[0])
    if len(labels) <= size or not torch.is_grad_enabled():
        return functional.cross_entropy(head(hidden), labels)
    return _Pieces.apply(head, size, labels, hidden, *trained)  # type: ignore[no-untyped-call]
