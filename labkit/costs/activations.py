"""How many bytes of a forward pass PyTorch keeps for the backward pass of a T5, from its shape alone.

Read off transformers' T5 (modeling_t5.py), for each tensor that an operation saves for its gradient:

norm           its input; its normalised input, if its weight is trained
q, k, v        their input, if one of them is trained; their results, which meet in matrix products
scores         the softmax, heads x queries x keys
o              its input, if it is trained
wi_0, wi_1     their input, if one of them is trained; four tensors of gelu(wi_0), and the two that the gate multiplies
wo             its input, if it is trained
output, loss   the log-softmax, tokens x vocabulary; the input of the head, if it is trained

A frozen layer keeps no input, since only the gradient of its weight needs it; that is all that freezing saves here.
"""

from dataclasses import dataclass

from labkit.errors import LabError
from labkit.methods import FullFineTuning, LoRA, Method
from labkit.methods.lora import LINEARS
from labkit.parameters import Shape

FP32, BF16 = 4, 2  # bytes a number
# of gelu and gate, with autocast on a GPU: it computes powers, and what follows from them, in fp32
GATES = {FP32: 6 * FP32, BF16: 4 * FP32 + 2 * BF16}


@dataclass(frozen=True)
class Step:
    """One optimiser step, as far as its memory depends on it.

    Attributes:
        batch_size: Dialogues.
        source_tokens: Tokens a prompt, padding included and virtual tokens left out.
        target_tokens: Tokens a summary, padding included.
        precision: "fp32", or "bf16" for bfloat16 arithmetic over float32 weights (autocast).
        checkpointing: Keep the input of each block only, and compute the rest again in the backward pass (gradient
            checkpointing, Chen et al. 2016, arXiv:1604.06174).
    """

    batch_size: int = 16
    source_tokens: int = 256
    target_tokens: int = 32
    precision: str = "fp32"
    checkpointing: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no step."""
        for name in ("batch_size", "source_tokens", "target_tokens"):
            if getattr(self, name) < 1:
                raise LabError(f"{name} is {getattr(self, name)}: use 1 or more")
        if self.precision not in ("fp32", "bf16"):
            raise LabError(f"unknown precision {self.precision!r}: use fp32 or bf16")


def activation_bytes(shape: Shape, method: Method, step: Step) -> int:
    """Bytes that are kept for the backward pass at their highest, in a training without dropout.

    In fp32 these are those of eager attention, as on a CPU; in bf16 those of a GPU, where torch's fused attention keeps
    the position biases in the place of the softmax. Left out: indices, one number a token here and there, and that
    nothing is kept in front of the first trained layer, which makes LoRA on wo alone a third too dear on nano.

    Args:
        shape: Of the model.
        method: What is trained; of one that is neither full fine-tuning nor LoRA, what it adds itself is left out.
            LoRA is counted as in all layers with its one rank.
        step: Batch, lengths, precision and checkpointing.

    Returns:
        Bytes; with checkpointing, the inputs of the blocks and the inside of one.
    """
    kept = _Kept(shape, method, step)
    source, target = step.source_tokens + method.virtual_tokens, step.target_tokens
    encoder = kept.self_attention(source) + kept.feed_forward(source)
    decoder = kept.self_attention(target) + kept.cross_attention(target, source) + kept.feed_forward(target)
    between, end = kept.encoder_end(source), kept.decoder_end(target)
    if not step.checkpointing:
        return shape.layers * encoder + shape.decoder_layers * decoder + between + end
    before = shape.layers * kept.hidden(source) + kept.bias_and_mask(source, source)
    after = shape.decoder_layers * kept.hidden(target) + kept.hidden(source)
    after += kept.bias_and_mask(target, target) + kept.bias_and_mask(target, source)
    # what is behind a block is gone by the time that the backward pass comes to it
    return before + max(encoder, between + after + max(decoder, end))


class _Kept:
    """Bytes that each part of the model keeps; `length` is in tokens a row."""

    def __init__(self, shape: Shape, method: Method, step: Step):
        self.shape, self.batch = shape, step.batch_size
        self.full = isinstance(method, FullFineTuning)
        self.bytes = BF16 if step.precision == "bf16" else FP32  # a number in a matrix product
        self.inner = shape.heads * shape.d_kv
        self.trained: tuple[str, ...] = LINEARS if self.full else ()
        self.rank, self.dora = 0, False
        if isinstance(method, LoRA):
            self.trained = LINEARS if "all" in method.targets else method.targets
            self.rank, self.dora = method.rank, method.dora

    def hidden(self, length: int) -> int:
        """The hidden states between two layers, always in fp32."""
        return FP32 * self.batch * length * self.shape.d_model

    def norm(self, length: int) -> int:
        return self.hidden(length) * (2 if self.full else 1)

    def linears(self, length: int, inputs: int, outputs: int, *names: str) -> int:
        """What those that are trained, or have LoRA beside them, keep of the input that they share."""
        trained = sum(name in self.trained for name in names)
        # autocast makes each layer a bf16 copy of its own of the input; DoRA scales the outputs of W and BA apart
        numbers = inputs * (trained if self.bytes == BF16 else min(trained, 1))
        numbers += trained * (self.rank + 2 * outputs * self.dora)
        return self.bytes * self.batch * length * numbers

    def self_attention(self, length: int) -> int:
        return self.linears(length, self.shape.d_model, self.inner, "q", "k", "v") + self._attention(length, length)

    def cross_attention(self, queries: int, keys: int) -> int:
        # in fp32 all layers keep the same output of the encoder: see encoder_end
        inputs = self.shape.d_model if self.bytes == BF16 else 0
        own = self.linears(queries, self.shape.d_model, self.inner, "q")
        return own + self.linears(keys, inputs, self.inner, "k", "v") + self._attention(queries, keys)

    def _attention(self, queries: int, keys: int) -> int:
        numbers = self.inner * (queries + 2 * keys) + self.shape.heads * queries * keys
        numbers += self.inner * queries if self.bytes == BF16 and "o" not in self.trained else 0  # fused: its result
        out = self.linears(queries, self.inner, self.shape.d_model, "o")
        return self.norm(queries) + self.bytes * self.batch * numbers + out

    def feed_forward(self, length: int) -> int:
        width, inside = self.shape.d_model, self.shape.d_ff
        ends = self.linears(length, width, inside, "wi_0", "wi_1") + self.linears(length, inside, width, "wo")
        return self.norm(length) + ends + GATES[self.bytes] * self.batch * length * inside

    def encoder_end(self, length: int) -> int:
        read = self.bytes == FP32 and ("k" in self.trained or "v" in self.trained)
        return self.norm(length) + (self.hidden(length) if read else 0)

    def decoder_end(self, length: int) -> int:
        head = self.bytes * self.shape.d_model if self.full else 0
        return self.norm(length) + self.batch * length * (head + FP32 * self.shape.vocabulary)

    def bias_and_mask(self, queries: int, keys: int) -> int:
        """Position biases a head and a mask a row, which all blocks of a stack share."""
        return FP32 * (self.shape.heads + self.batch) * queries * keys
