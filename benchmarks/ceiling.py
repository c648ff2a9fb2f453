"""How fast this machine multiplies matrices, and how much of a training step has to be multiplied.

python benchmarks/ceiling.py          # prints GFLOP/s by precision as one line of JSON
"""

import json
import statistics
import time

import torch

from labkit.methods import FullFineTuning, LoRA, Method
from labkit.methods.soft_prompt import SoftPrompt
from labkit.parameters import Shape

SIZE, TIMES = 1024, 30
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def ceiling() -> dict[str, float]:
    """GFLOP/s of products of square matrices, by precision: the median of some."""
    taken: dict[str, list[float]] = {name: [] for name in TYPES}
    matrices = {name: torch.ones(SIZE, SIZE, dtype=kind) for name, kind in TYPES.items()}
    for turn in range(TIMES + 3):  # the first are to warm up; precisions take turns
        for name, matrix in matrices.items():
            began = time.perf_counter()
            torch.matmul(matrix, matrix)
            if turn >= 3:
                taken[name].append(time.perf_counter() - began)
    return {name: round(2e-9 * SIZE**3 / statistics.median(each), 1) for name, each in taken.items()}


def useful_flops(shape: Shape, method: Method, prompt: int, summary: int) -> int:
    """FLOPs that a training step cannot do without, for one example, two a multiply-add.

    forward, backward to activations where a gradient has to get through, and to weights only where they are trained;
    products of linear layers, of attention and of the head, on real tokens; nothing is computed twice.

    Args:
        shape: Of the model.
        method: Full fine-tuning, LoRA on q and v of all layers, or a soft prompt.
        prompt: Tokens of the prompt, without virtual ones.
        summary: Tokens of the summary.
    """
    full = isinstance(method, FullFineTuning)
    rank = method.rank if isinstance(method, LoRA) else 0
    read, inner = prompt + (method.tokens if isinstance(method, SoftPrompt) else 0), shape.heads * shape.d_kv

    def linear(tokens: int, inputs: int, outputs: int, flows: bool, adapted: bool = False) -> int:
        """A product and its gradients; `flows` says whether its input has one."""
        own = tokens * inputs * outputs * (1 + flows + full)
        low_rank = tokens * rank * (inputs * (2 + flows) + outputs * 3)  # A, whose weight is trained, and B
        return own + (low_rank if adapted else 0)

    def attention(asking: int, asked: int, flows: bool, asked_flows: bool) -> int:
        """From the layer's inputs to its output; values and queries have gradients if an adapter is on them."""
        trained = full or rank > 0
        queries, keys, values = flows or trained, asked_flows or full, asked_flows or trained
        product = asking * asked * inner
        scores, mixed = product * (1 + queries + keys), product * (1 + (queries or keys) + values)
        return (
            linear(asking, shape.d_model, inner, flows, adapted=True)
            + linear(asked, shape.d_model, inner, asked_flows)
            + linear(asked, shape.d_model, inner, asked_flows, adapted=True)
            + scores
            + mixed
            + linear(asking, inner, shape.d_model, queries or keys or values)
        )

    def feed_forward(tokens: int, flows: bool) -> int:
        return 2 * linear(tokens, shape.d_model, shape.d_ff, flows) + linear(tokens, shape.d_ff, shape.d_model, flows)

    trained, total = full or rank > 0, 0
    flows = full or read > prompt  # from the embeddings on, if these are trained
    for _ in range(shape.layers):
        total += attention(read, read, flows, flows)
        flows = flows or trained
        total += feed_forward(read, flows)
    encoded, flows = flows, full
    for _ in range(shape.decoder_layers):
        total += attention(summary, summary, flows, flows)
        flows = flows or trained
        total += attention(summary, read, flows, encoded)
        flows = flows or encoded
        total += feed_forward(summary, flows)
    return 2 * (total + linear(summary, shape.d_model, shape.vocabulary, flows))


if __name__ == "__main__":
    print(json.dumps(ceiling()))
