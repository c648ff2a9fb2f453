"""Which precision a model is trained and used in on this machine: measured once, and not guessed.

On one processor bfloat16 is eight times as fast as float32, on the next it is emulated and slower; on a narrow model
the casts can cost more than the products win. So a training step of two layers of the model's own widths decides.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from labkit.compute.machine import machine_name, remembered
from labkit.compute.working_copy import working_copy
from labkit.parameters import Shape

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
GAIN = 1.1  # bfloat16 must be so much faster: float32 is the more exact one
WIDEST = 1024  # of what a step is measured
ROWS, TOKENS, LABELS, WORDS = 8, 160, 32, 4096


def precision_for(shape: Shape, device: str) -> str:
    """The faster precision for a model of this shape; above some width, large products say enough.

    Args:
        shape: Of the model.
        device: Where it is going to be: "cpu", "cuda" or "mps".

    Returns:
        "fp32" or "bf16".
    """
    if device == "mps":  # whose autocast is young
        return "fp32"
    if shape.d_model > WIDEST:
        products = product_figures(device)
        return "bf16" if products["bf16"] > GAIN * products["fp32"] else "fp32"
    figures = step_figures(shape, device)
    return "bf16" if figures["bf16"] * GAIN < figures["fp32"] else "fp32"


def step_figures(shape: Shape, device: str) -> dict[str, Any]:
    """Milliseconds of a training step of two layers of these widths, by precision; measured once a machine."""
    what = f"step of {shape.d_model} wide, {shape.heads} heads of {shape.d_kv}, {shape.d_ff} inside"
    return remembered(machine_name(device), what, lambda: _steps(shape, device))


def product_figures(device: str) -> dict[str, Any]:
    """GFLOP/s of large matrix products, by precision; measured once a machine."""
    return remembered(machine_name(device), "products of 1024 x 1024", lambda: _products(device))


def _products(device: str, size: int = 1024) -> dict[str, Any]:
    matrices = {name: torch.ones(size, size, dtype=kind, device=device) for name, kind in TYPES.items()}
    seconds = {name: _seconds(partial(torch.matmul, each, each)) for name, each in matrices.items()}
    return {name: round(2e-9 * size**3 / each, 1) for name, each in seconds.items()}


def _steps(shape: Shape, device: str) -> dict[str, Any]:
    net = _two_layers(shape).to(device)
    ids = torch.arange(ROWS * TOKENS, device=device).reshape(ROWS, TOKENS) % net.config.vocab_size
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids[:, :LABELS]}

    def step(working: Any, precision: str) -> None:
        with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=precision == "bf16"):
            loss = working(**batch).loss
        loss.backward()

    return {name: round(1000 * _seconds(partial(step, working_copy(net, name), name)), 2) for name in TYPES}


def _two_layers(shape: Shape) -> Any:
    """A layer of the encoder and one of the decoder, of which two matrices are trained, as LoRA would."""
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=min(shape.vocabulary, WORDS),
        d_model=shape.d_model,
        d_kv=shape.d_kv,
        d_ff=shape.d_ff,
        num_heads=shape.heads,
        num_layers=1,
        num_decoder_layers=1,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
        decoder_start_token_id=0,
        attn_implementation="eager",
    )
    with torch.random.fork_rng():
        net = T5ForConditionalGeneration(config).requires_grad_(False)
    for stack in (net.encoder, net.decoder):
        stack.block[0].layer[0].SelfAttention.q.weight.requires_grad_(True)
    return net


def _seconds(work: Callable[[], Any], least: int = 3, budget: float = 0.25) -> float:
    """The fastest of some calls, after one to warm up: what else runs on the machine only adds."""
    work()
    taken: list[float] = []
    began = time.perf_counter()
    while len(taken) < least or (time.perf_counter() - began < budget and len(taken) < 50):
        started = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
    return min(taken)
