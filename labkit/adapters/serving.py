"""Three ways to serve requests for different adapters, timed on the same work.

one batch        one network; each row of one batch with its own adapter
swapping         one network, and the base's own for its rows; a batch for each adapter, which is switched to before it
merged copies    a network for each adapter, and a batch for each
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from labkit.adapters.merging import merge
from labkit.adapters.mixing import rows_of
from labkit.adapters.several import BASE, Adapters
from labkit.adapters.timing import seconds_for
from labkit.errors import LabError
from labkit.intervals import FloatArray
from labkit.models import Model
from labkit.parameters import count_parameters
from labkit.prompts import encode_prompts

Way = list[tuple[Callable[[], Model], list[list[int]]]]  # what gives a model, and the encoded prompts that it is for


def throughput(
    adapters: Adapters, dialogues: Sequence[str], names: Sequence[str], repeats: int = 5, tokens: int = 32
) -> list[dict[str, Any]]:
    """Time how many summaries a second come from one batch for all, from swapping, and from merged copies.

    The ways take turns, in an order that is turned round each time, so that a machine which slows down or speeds up
    meanwhile does so for all of them.

    Args:
        adapters: Two or more on one base.
        dialogues: What is summarized; those of one adapter, or all, are one batch.
        names: An adapter for each dialogue, or "base".
        repeats: How often.
        tokens: New tokens a summary, no more and no fewer; a summary that would end earlier goes on.

    Returns:
        A row a way with label; summaries a second: median, and the quartiles low and high over the repeats; times: how
        many times as many as by swapping, median over the repeats; and weights: numbers that are kept in memory. A way
        that the method of the adapters does not have is left out.

    Raises:
        LabError: There is not a name for each of one dialogue or more, no adapter of a name is loaded, or a number is
            below 1.
    """
    if not dialogues or len(names) != len(dialogues):
        raise LabError(f"{len(names)} adapters for {len(dialogues)} dialogues: name one for each, of one or more")
    for what, value in (("repeats", repeats), ("tokens", tokens)):
        if value < 1:
            raise LabError(f"{what} is {value}: use 1 or more")
    before = adapters.active
    try:
        ways = _ways(adapters, dialogues, names)
        weights = {label: _weights(way) for label, way in ways.items()}
        for way in ways.values():
            _seconds(way, tokens)  # not counted: the first time is slower than all others
        seconds = _in_turns(ways, repeats, tokens)
    finally:
        adapters.use(before)
    rows = []
    for label, taken in seconds.items():
        low, median, high = np.quantile(len(dialogues) / taken, (0.25, 0.5, 0.75)).tolist()
        times = float(np.median(seconds["swapping"] / taken))
        rows.append(
            {"label": label, "summaries": median, "low": low, "high": high, "times": times, "weights": weights[label]}
        )
    return rows


def _in_turns(ways: dict[str, Way], repeats: int, tokens: int) -> dict[str, FloatArray]:
    order, seconds = list(ways), {label: np.zeros(repeats) for label in ways}
    for repeat in range(repeats):
        for label in order:
            seconds[label][repeat] = _seconds(ways[label], tokens)
        order.reverse()
    return seconds


def _ways(adapters: Adapters, dialogues: Sequence[str], names: Sequence[str]) -> dict[str, Way]:
    prompts, ways = dict[str, list[list[int]]](), dict[str, Way]()
    for name, rows in rows_of(names).items():
        room = adapters.use(name).room
        prompts[name] = encode_prompts(adapters.base.tokenizer, [dialogues[i] for i in rows], room).ids
    if adapters.one_batch:
        ways["one batch"] = [(lambda: adapters.mixed, adapters.prompts(dialogues, names))]
    ways["swapping"] = [(partial(adapters.use, name), own) for name, own in prompts.items()]
    if not any(adapters.methods[name].unmergeable for name in prompts if name != BASE):  # as virtual tokens are
        copies = {name: adapters.base if name == BASE else merge(adapters.use(name)) for name in prompts}
        ways["merged copies"] = [(partial(copies.__getitem__, name), own) for name, own in prompts.items()]
    return ways


def _weights(way: Way) -> int:
    models = [switch() for switch, _ in way]
    nets = {id(model.net): model for model in models}
    return sum(count_parameters(model).total for model in nets.values())


def _seconds(way: Way, tokens: int) -> float:
    taken = 0.0
    for switch, prompts in way:
        began = time.perf_counter()
        model = switch()
        taken += time.perf_counter() - began + seconds_for(model, prompts, tokens)
    return taken
