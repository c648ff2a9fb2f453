"""The forward pass of a T5 on paper: which tensors it makes, and which of them autograd keeps for the backward pass.

Read off transformers' T5 (modeling_t5.py), peft and labkit's tuners. An operation keeps what the gradients that are
asked of it need; where nothing that it reads has one, as in front of the first trained weight, it keeps nothing.

norm           its input; its normalised input, if its weight is trained
linear         its input, if its weight is trained: all that freezing saves
LoRA           the input of the layer, and rank numbers a token between A and B
scores         q, if k has a gradient, and the other way round; the softmax, heads x queries x keys; v
gate           four tensors of gelu(wi_0), and the two that are multiplied
bottleneck     what it reads, and width numbers a token
IA3            what it scales
prefix         is among keys and values
LLaMA-Adapter  its own q and softmax, and what its gates are for
loss           the log-softmax, tokens x vocabulary

With autocast, a matrix is copied to bf16; the copy stays if the input has a gradient or the matrix is trained.
"""

from collections.abc import Callable
from dataclasses import dataclass

from labkit.methods import (
    IA3,
    AdaLoRA,
    Bottleneck,
    FullFineTuning,
    LayerNormTuning,
    LlamaAdapter,
    LoRA,
    Method,
    MultitaskPromptTuning,
    PrefixTuning,
    PTuning,
    Selective,
)
from labkit.methods.bottleneck import PLACES
from labkit.parameters import Shape

FP32, BF16 = 4, 2  # bytes a number


@dataclass(eq=False, slots=True)
class Tensor:
    """A tensor of a forward pass.

    Attributes:
        numbers: How many it holds.
        bytes: Of one of them.
        gradient: Whether the loss has a gradient of it that a trained weight needs.
    """

    numbers: int
    bytes: int
    gradient: bool


class Forward:
    """One forward pass, part after part.

    Args:
        shape: Of the model.
        method: What is trained.
        batch: Rows.
        half: bfloat16 arithmetic with torch's fused attention, as on a GPU; else fp32 with eager attention.

    Attributes:
        kept: What autograd keeps so far.
        copied: Weights of which a bf16 copy stays so far.
    """

    def __init__(self, shape: Shape, method: Method, batch: int, half: bool):
        self.shape, self.method, self.batch, self.half = shape, method, batch, half
        self.bytes = BF16 if half else FP32  # a number of a matrix product
        self.inner = shape.heads * shape.d_kv
        self.stored = bool(getattr(method, "bits", None))  # matrices in fewer bits, made anew for each product
        self.trained = _trained(shape, method)
        self.ranks = _ranks(shape, method)
        self.prompts = dict.fromkeys(method.adapted(shape), method.tokens) if isinstance(method, LlamaAdapter) else {}
        self.clear()

    def clear(self) -> None:
        """Forget what is kept."""
        self.kept, self.copied = set[Tensor](), 0

    def keep(self, *tensors: Tensor) -> None:
        """Have autograd keep tensors, each once."""
        self.kept.update(tensors)

    def hidden(self, length: int, gradient: bool) -> Tensor:
        """The hidden states between two layers, always in fp32."""
        return Tensor(self.batch * length * self.shape.d_model, FP32, gradient)

    def prompt(self) -> None:
        """What writes a soft prompt: P-tuning once for all rows, multitask prompt tuning for each."""
        method, width = self.method, self.shape.d_model
        if isinstance(method, PTuning):  # the inputs of three layers
            self.keep(Tensor(method.tokens * (width + 2 * method.hidden), FP32, True))
            self._copy(method.hidden * (2 * width + method.hidden))
        elif isinstance(method, MultitaskPromptTuning):  # the prompt of all, that of a task, and its two matrices
            numbers = 2 * method.tokens * width + method.num_ranks * (method.tokens + width)
            self.keep(Tensor(self.batch * numbers, FP32, True))

    def block(self, stack: str, layer: int, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """A block of the encoder, or of the decoder, which reads the `memory` of the encoder."""
        place = f"{stack}.block.{layer}.layer"
        x = self._add(x, self._attention(f"{place}.0", "SelfAttention", self.norm(x, f"{place}.0.layer_norm")))
        if memory:
            read = self.norm(x, f"{place}.1.layer_norm")
            x = self._add(x, self._attention(f"{place}.1", "EncDecAttention", read, memory))
        last = f"{place}.{2 if memory else 1}"
        return self._add(x, self._feed_forward(f"{last}.DenseReluDense", self.norm(x, f"{last}.layer_norm")))

    def norm(self, x: Tensor, path: str) -> Tensor:
        """A norm; where its weight is trained, the normalised input is kept, too."""
        trained = self.trained(path)
        if x.gradient:
            self.keep(x)
        if trained:
            self.keep(Tensor(x.numbers, FP32, x.gradient))
        return Tensor(x.numbers, FP32, x.gradient or trained)

    def loss(self, x: Tensor) -> None:
        """The head and the cross-entropy of what the decoder gives."""
        logits = self._linear(x, "lm_head", self.shape.d_model, self.shape.vocabulary)
        self.keep(Tensor(logits.numbers, FP32, True))

    def _add(self, x: Tensor, change: Tensor) -> Tensor:
        return Tensor(x.numbers, FP32, x.gradient or change.gradient)

    def _copy(self, weights: int) -> None:
        self.copied += weights * self.half

    def _read(self, x: Tensor) -> Tensor:
        """What a matrix product reads: autocast makes each a bf16 copy of its own."""
        return x if x.bytes == self.bytes else Tensor(x.numbers, self.bytes, x.gradient)

    def _linear(self, x: Tensor, path: str, inputs: int, outputs: int) -> Tensor:
        name, trained = path.rpartition(".")[2], self.trained(path)
        scaled = isinstance(self.method, IA3) and name in ("k", "v", "wo")
        if scaled and name == "wo":
            self.keep(x)
            x = Tensor(x.numbers, x.bytes, True)
        if trained:
            self.keep(self._read(x))
        if trained or (x.gradient and (name == "lm_head" or not self.stored)):
            self._copy(inputs * outputs)
        y = Tensor(x.numbers // inputs * outputs, self.bytes, x.gradient or trained)
        if path in self.ranks:
            self._beside(x, y, self.ranks[path], inputs, outputs)
            y.gradient = True
        if scaled and name != "wo":
            self.keep(y)
            return Tensor(y.numbers, y.bytes, True)
        return y

    def _beside(self, x: Tensor, y: Tensor, rank: int, inputs: int, outputs: int) -> None:
        """LoRA beside a layer that makes y of x."""
        method, weights = self.method, rank * (inputs + outputs)
        self.keep(self._read(x), Tensor(x.numbers // inputs * rank, self.bytes, True))
        self._copy(weights)
        if isinstance(method, LoRA) and method.dora:  # scales the outputs of W and BA apart
            self.keep(Tensor(y.numbers, y.bytes, True), Tensor(y.numbers, y.bytes, True))
        if isinstance(method, LoRA) and method.init == "pissa" and x.gradient:  # A0 and B0
            self._copy(weights)
        if isinstance(method, AdaLoRA):  # multiplies A by E before x is read, and trains A A^T to be orthogonal
            self.keep(Tensor(2 * rank**2 + rank * inputs * (x.gradient and not self.half), FP32, True))
            self._copy(weights)

    def _attention(self, place: str, part: str, x: Tensor, memory: Tensor | None = None) -> Tensor:
        path, width, inner = f"{place}.{part}", self.shape.d_model, self.inner
        q = self._linear(x, f"{path}.q", width, inner)
        k, v = (self._linear(memory or x, f"{path}.{name}", width, inner) for name in "kv")
        if isinstance(self.method, PrefixTuning) and (self.method.cross or not memory):
            k, v = self._with_prefix(k, v)
        biased = not memory and self.trained(f"{place.split('.')[0]}.block.0.layer.0.{part}.relative_attention_bias")
        out = self._linear(self._look(q, k, v, biased), f"{path}.o", inner, width)
        if path in self.prompts:
            out = self._gated(x, out, self.prompts[path])
        return self._bottleneck(part, x, out)

    def _look(self, q: Tensor, k: Tensor, v: Tensor, biased: bool) -> Tensor:
        """What queries find: softmax(q k + bias) v."""
        keys = k.numbers // (self.batch * self.inner)
        looked = q.gradient or k.gradient or biased
        softmax = Tensor(q.numbers // self.inner * self.shape.heads * keys, self.bytes, looked)
        out = Tensor(q.numbers, self.bytes, looked or v.gradient)
        if self.half and out.gradient:  # fused: it keeps the position biases in the place of the softmax
            self.keep(q, k, v, softmax, out)
        elif not self.half:
            asked = {q: k.gradient, k: q.gradient, v: looked, softmax: looked or v.gradient}
            self.keep(*(each for each, wanted in asked.items() if wanted))
        return out

    def _with_prefix(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values with those of a prefix, and what the network behind these reads."""
        assert isinstance(self.method, PrefixTuning)
        tokens, width = self.method.tokens, self.method.mlp or 0
        self.keep(Tensor(tokens * width, self.bytes, True))
        self._copy(width * (self.shape.d_model + 2 * self.inner))
        longer = [Tensor(x.numbers + self.batch * tokens * self.inner, x.bytes, True) for x in (k, v)]
        return longer[0], longer[1]

    def _gated(self, x: Tensor, out: Tensor, tokens: int) -> Tensor:
        """LLaMA-Adapter: the text looks at its prompt, and gates are for what it finds."""
        q = Tensor(x.numbers // self.shape.d_model * self.inner, self.bytes, x.gradient)
        k, v = (Tensor(self.batch * tokens * self.inner, self.bytes, True) for _ in "kv")
        softmax = Tensor(q.numbers // self.inner * self.shape.heads * tokens, FP32, True)
        self.keep(q, softmax, self._read(softmax), v, Tensor(q.numbers, self.bytes, True))
        if x.gradient:
            self.keep(k)
        self._copy(self.shape.d_model * self.inner * (3 + x.gradient))  # of k, v, o and q once more
        return Tensor(out.numbers, out.bytes, True)

    def _feed_forward(self, path: str, x: Tensor) -> Tensor:
        width, inside = self.shape.d_model, self.shape.d_ff
        a, b = (self._linear(x, f"{path}.{name}", width, inside) for name in ("wi_0", "wi_1"))
        gelu = Tensor(a.numbers, FP32, a.gradient)  # autocast computes powers, and what follows from them, in fp32
        if a.gradient:
            cubed = a if a.bytes == FP32 else Tensor(a.numbers, FP32, True)
            self.keep(cubed, Tensor(a.numbers, a.bytes, True), *(Tensor(a.numbers, FP32, True) for _ in range(2)), b)
        if b.gradient:
            self.keep(gelu)
        out = self._linear(Tensor(a.numbers, FP32, a.gradient or b.gradient), f"{path}.wo", inside, width)
        return self._bottleneck("DenseReluDense", x, out)

    def _bottleneck(self, part: str, x: Tensor, out: Tensor) -> Tensor:
        """What a bottleneck adapter makes of what a module reads, or gives."""
        if not isinstance(self.method, Bottleneck) or part not in PLACES[self.method.place]:
            return out
        read = self._read(x if self.method.place == "parallel" else out)
        self.keep(read, Tensor(read.numbers // self.shape.d_model * self.method.width, self.bytes, True))
        self._copy(2 * self.shape.d_model * self.method.width)
        return Tensor(out.numbers, out.bytes, True)


def _trained(shape: Shape, method: Method) -> Callable[[str], bool]:
    """Whether a module's own weights, or a copy of them, are trained, by its path."""
    if isinstance(method, Selective):
        return {module.name for module in method.chosen(shape)}.__contains__
    if isinstance(method, LayerNormTuning):
        return lambda path: path.endswith("layer_norm")
    return lambda _: isinstance(method, FullFineTuning)


def _ranks(shape: Shape, method: Method) -> dict[str, int]:
    """The rank of each layer with LoRA or AdaLoRA, by its path."""
    if isinstance(method, LoRA):
        return {one.path: method.rank_of(one) for one in method.adapted(shape)}
    if isinstance(method, AdaLoRA):
        return {one.path: method.initial_rank for one in method.adapted(shape)}
    return {}
