"""A linear layer whose frozen matrix W is stored in fewer bits, and is made anew for each product.

forward    y  = x W'     W is made of what is stored, and let go
backward   dx = dy W     and once more on the way back, as QLoRA does

With torchao's own product, autograd would keep all matrices in fp32 from the one to the other, and a training would
take more memory than without any of this.
"""

from typing import Any

from torch import nn
from torch.autograd import Function


class Stored(nn.Linear):
    """A frozen nn.Linear without bias.

    Args:
        weight: As torchao or bitsandbytes stores it.
        inputs: Width of what comes in.
        outputs: Width of what goes out.
    """

    def __init__(self, weight: Any, inputs: int, outputs: int):
        super().__init__(inputs, outputs, bias=False, device="meta")
        self.weight = weight

    def forward(self, x: Any) -> Any:
        """What the layer gives, shape (..., outputs)."""
        return _Product.apply(x, self.weight)  # type: ignore[no-untyped-call]


def numbers(weight: Any) -> Any:
    """The numbers that a stored weight stands for, in fp32, shape (outputs, inputs)."""
    if state := getattr(weight, "quant_state", None):
        from bitsandbytes.functional import dequantize_4bit

        return dequantize_4bit(weight.data, state)
    return weight.dequantize()


class _Product(Function):
    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any) -> Any:
        ctx.weight = weight
        return nn.functional.linear(x, numbers(weight))

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (grad,) = grads
        return grad @ numbers(ctx.weight).to(grad.dtype), None
