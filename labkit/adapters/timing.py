"""How long one waits for a summary."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from labkit.errors import LabError
from labkit.generation import check_dialogues, eval_mode
from labkit.models import Model
from labkit.prompts import encode_prompts


def latency(
    models: Mapping[str, Model], dialogues: Sequence[str], repeats: int = 5, tokens: int = 32
) -> list[dict[str, Any]]:
    """Time each model on the same work: one dialogue at a time, and as many tokens for each.

    The models take turns on every dialogue, in an order that is turned round each time, so that a machine which
    slows down or speeds up meanwhile does so for all of them.

    Args:
        models: Labels to models, such as base, LoRA and LoRA merged.
        dialogues: What is summarized.
        repeats: How often.
        tokens: New tokens a summary, no more and no fewer; a model that would stop earlier goes on.

    Returns:
        A row a model with label, and seconds a summary: median, and the quartiles low and high over the repeats.

    Raises:
        LabError: There is nothing to time, or one text in the place of a list, or a number is below 1.
    """
    check_dialogues(dialogues)
    if not models or not dialogues:
        raise LabError("there is nothing to time: give one model and one dialogue or more")
    for name, value in (("repeats", repeats), ("tokens", tokens)):
        if value < 1:
            raise LabError(f"{name} is {value}: use 1 or more")
    prompts = {
        label: encode_prompts(model.tokenizer, list(dialogues), model.room).ids for label, model in models.items()
    }
    for label, model in models.items():
        seconds_for(model, prompts[label][:1], tokens)  # not counted: the first time is slower than all others
    order, seconds = list(models), {label: np.zeros(repeats) for label in models}
    for repeat in range(repeats):
        for number in range(len(dialogues)):
            for label in order:
                one = prompts[label][number : number + 1]
                seconds[label][repeat] += seconds_for(models[label], one, tokens) / len(dialogues)
            order.reverse()
    quartiles = {label: np.quantile(each, (0.25, 0.5, 0.75)).tolist() for label, each in seconds.items()}
    return [{"label": label, "seconds": q[1], "low": q[0], "high": q[2]} for label, q in quartiles.items()]


def seconds_for(model: Model, prompts: list[list[int]], tokens: int) -> float:
    """Seconds that a model takes to write so many tokens for each of the encoded prompts, as one batch."""
    import torch

    batch = model.tokenizer.pad({"input_ids": prompts}, return_tensors="pt").to(model.device)
    asked = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    with eval_mode(model.net), model.arithmetic(), torch.inference_mode():
        started = time.perf_counter()
        out = model.net.generate(**asked, do_sample=False, num_beams=1, min_new_tokens=tokens, max_new_tokens=tokens)
        out.cpu()  # a GPU is done only when its result is here
        return time.perf_counter() - started
