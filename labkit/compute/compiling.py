"""Compiled training steps, where a training is long enough to earn what compiling takes.

torch.compile makes one function of the many small ones between two products. That takes a minute or so for the two
kinds of blocks that a T5 has, whatever their number, and saves a sixth of each step. What was compiled is kept on disk.
"""

import os
import shutil
from typing import Any

from labkit.compute.precision import ROWS, TOKENS, step_figures
from labkit.parameters import Shape
from labkit.paths import cache_folder

WORTH = 900  # seconds of a training: a sixth of them is twice what compiling takes
LAYERS = 2  # of which a step was measured


def why_not(device: str) -> str:
    """Why steps cannot be compiled here, in a few words; "" if they can.

    Args:
        device: "cpu", "cuda" or "mps".
    """
    if os.environ.get("LABKIT_COMPILE") == "never":
        return "never, as LABKIT_COMPILE says"
    if device == "mps":
        return "not on mps"
    if device == "cpu" and not any(shutil.which(each) for each in (os.environ.get("CXX", "g++"), "clang++")):
        return "never, as there is no C++ compiler (g++ or clang++)"
    return ""


def pays(shape: Shape, device: str, precision: str, tokens: int) -> bool:
    """Whether a training of so many tokens in all is long enough on this machine.

    The answer is the same each time, so that a training that was broken off goes on as it began.

    Args:
        shape: Of the model.
        device: Where it is trained.
        precision: "fp32" or "bf16".
        tokens: Of all prompts that the training reads.

    Returns:
        Whether to compile; LABKIT_COMPILE=always or never says so beforehand.
    """
    asked = os.environ.get("LABKIT_COMPILE")
    if why_not(device) or asked == "always":
        return not why_not(device)
    layers = shape.layers + shape.decoder_layers
    milliseconds = float(step_figures(shape, device)[precision])
    return milliseconds / 1000 * layers / LAYERS * tokens / (ROWS * TOKENS) > WORTH


def compile_blocks(t5: Any) -> None:
    """Compile each block of a T5 when it is first used; blocks of one kind share what is compiled.

    Args:
        t5: A working copy, without peft's wrapper.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "compiled"))
    for stack in (t5.encoder, t5.decoder):
        for block in stack.block:
            block.compile(dynamic=True)
