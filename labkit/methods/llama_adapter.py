"""LLaMA-Adapter: freeze the model, and learn vectors that upper layers look at through a gate (Zhang et al. 2023).

            +-> attention to the text ---------------------------+       arXiv:2303.16199
queries ----|                                                    + -> o -> h
            +-> attention to p1 p2 .. pn --> times tanh(gate) ---+

p: learned, in each layer its own; their keys and values are made by the layer's own frozen k and v. The two attentions
have a softmax each. There is a gate a head, 0 at first, so h starts unchanged.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from labkit.errors import LabError
from labkit.methods import places
from labkit.methods.base import Method
from labkit.parameters import Shape, shape_of_net


@dataclass(frozen=True)
class LlamaAdapter(Method):
    """Learn `tokens` vectors, and a gate for each head, for self-attentions of the decoder.

    The paper's model, LLaMA, is a decoder alone: its self-attention reads the instruction and writes the answer. T5's
    decoder looks only at what it has written so far, and reads the dialogue by another attention; what it reads is made
    by the encoder. So this is the paper's method in the place of T5 that is most like the paper's. Gates are one a
    head, behind a tanh, as in the paper's code; scores are not scaled, as nowhere in T5.

    peft calls its own AdaptionPrompt. It is for LLaMA, Mistral and GPT-2 only ("Unsupported model type for adaption
    prompt: 't5'."), and has one gate a layer, without a tanh.

    Attributes:
        tokens: Vectors, 1 or more, in each layer its own (the paper has 10).
        layers: Layers that have them: "all", "last 2", or numbers from 0 on as "0,2" (the paper has the last 30 of 32).
        encoder: Have them in the encoder's self-attentions, too.
    """

    name: ClassVar[str] = "llama-adapter"
    learning_rate: ClassVar[float] = 0.3
    tuner: ClassVar[str] = "llama_adapter"
    unmergeable: ClassVar[str] = "what comes through its gates depends on the text, and is no change of a weight"

    tokens: int = 10
    layers: str = "last 2"
    encoder: bool = False

    def __post_init__(self) -> None:
        """Refuse dials that fit no model."""
        super().__post_init__()
        if self.tokens < 1:
            raise LabError(f"an adapter of {self.tokens} tokens is none: use 1 or more, such as 10")
        places.check_layers(self.layers)

    def check(self, shape: Shape) -> None:
        """Raise LabError if a layer is named that is not there, or none is left."""
        places.check_layers_there(self.layers, shape)
        if not any(self.adapted(shape)):
            raise LabError(f"{self.label} leaves nothing to train: choose other layers, or encoder=True")

    def adapted(self, shape: Shape) -> Iterator[str]:
        """The self-attentions of a model of this shape that are adapted, by their paths."""
        for stack, layers in shape.stacks.items():
            for layer in range(layers):
                if (stack == "decoder" or self.encoder) and places.in_layers(self.layers, layer, layers):
                    yield f"{stack}.block.{layer}.layer.0.SelfAttention"

    def trainable(self, shape: Shape) -> int:
        """A vector a token, as wide as the model, and a gate a head, in each layer."""
        return sum(1 for _ in self.adapted(shape)) * (self.tokens * shape.d_model + shape.heads)

    def apply(self, net: Any, tokenizer: Any, seed: int) -> Any:
        """Wrap `net` with a tuner of our own, which peft saves and switches like its own."""
        from peft import get_peft_model

        from labkit.tuners.llama_adapter import LlamaAdapterConfig

        config = LlamaAdapterConfig(
            task_type="SEQ_2_SEQ_LM", target_modules=list(self.adapted(shape_of_net(net))), tokens=self.tokens
        )
        return get_peft_model(net, config)

    def while_training(self, net: Any, steps: int) -> list[Any]:
        """What writes into the history how far the gates are open."""
        from labkit.tuners.gates import GateHistory

        return [GateHistory(net)]
