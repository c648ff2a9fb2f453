"""Lab 3: an adapter that was merged into the weights writes what it wrote beside them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from labkit.checks.outcome import Check
from labkit.generation import eval_mode, generate
from labkit.models import Model
from labkit.prompts import encode_prompts

TOLERANCE = 1e-3  # of a log-probability; float32 sums in another order differ by about 1e-5
MISTAKES: dict[str, Callable[[float], float]] = {
    "the adapter was taken off instead of merged: use peft's merge_and_unload()": lambda scale: 0.0,
    "the scale is left out: merged is W + (alpha / rank) B A": lambda scale: 1.0,
    "the adapter was merged twice: merge into a fresh copy": lambda scale: 2 * scale,
    "the adapter was subtracted: merged is W + (alpha / rank) B A": lambda scale: -scale,
}


def merged_equal(model: Model, merged: Model, dialogue: str) -> Check:
    """Check that a model with LoRA merged into its weights is the same function as the one with LoRA beside them.

    Args:
        model: The trained model with its adapter.
        merged: What is to be the same without one.
        dialogue: On which their log-probabilities of the summary are compared.

    Returns:
        The outcome.
    """
    if merged.net is model.net:
        return Check(False, "these are one and the same model: merge a copy, and keep the one with its adapter.")
    if not any(_adapted(model.net)):
        return Check(
            False, "the first model has no LoRA beside its weights: give the trained one, then the merged one."
        )
    if any(_adapted(merged.net)):
        return Check(False, "the second model still has adapters beside its weights: use peft's merge_and_unload().")
    with eval_mode(model.net), eval_mode(merged.net):
        return _compared(model, merged, dialogue)


def _compared(model: Model, merged: Model, dialogue: str) -> Check:
    prompt = encode_prompts(model.tokenizer, [dialogue], model.room).ids
    summary = model.tokenizer(generate(model, prompt), verbose=False)["input_ids"]
    wanted, found = _scores(model, prompt, summary), _scores(merged, prompt, summary)
    with _scaled(model.net, lambda scale: 0.0):
        if _gap(wanted, _scores(model, prompt, summary)) < TOLERANCE:
            return Check(False, "the adapter changes nothing yet, so nothing is shown: train it first.")
    if (gap := _gap(wanted, found)) < TOLERANCE:
        return Check(True, f"merged and unmerged differ by {gap:.0e} at most.")
    for said, change in MISTAKES.items():
        with _scaled(model.net, change):
            if _gap(found, _scores(model, prompt, summary)) < TOLERANCE:
                return Check(False, f"{said}.")
    return Check(False, f"their log-probabilities differ by up to {gap:.2g}: are both of the same base and adapter?")


def _scores(model: Model, prompt: list[list[int]], summary: list[list[int]]) -> Any:
    """Log-probabilities of every token at each place of the summary, shape (1, places, vocabulary)."""
    import torch

    ids, labels = torch.tensor(prompt, device=model.device), torch.tensor(summary, device=model.device)
    with torch.inference_mode():
        out = model.net(input_ids=ids, attention_mask=ids.new_ones(ids.shape), labels=labels)
    return out.logits.log_softmax(-1).cpu()


def _gap(one: Any, other: Any) -> float:
    return float((one - other).abs().max())


def _adapted(net: Any) -> Iterator[Any]:
    """The layers of peft with LoRA beside their weights: they know a scale for each adapter."""
    return (module for module in net.modules() if isinstance(getattr(module, "scaling", None), dict))


@contextmanager
def _scaled(net: Any, change: Callable[[float], float]) -> Iterator[None]:
    """For a block, LoRA with another scale in place of alpha / rank."""
    kept = [(module, module.scaling) for module in _adapted(net)]
    try:
        for module, scales in kept:
            module.scaling = {name: change(scale) for name, scale in scales.items()}
        yield
    finally:
        for module, scales in kept:
            module.scaling = scales
