"""Virtual tokens beside the vocabulary: which tokens are nearest, and how near that is.

A learned vector need not mean what its nearest tokens mean: prompts that do the same task can be near any words at all
(Khashabi et al. 2022, "Prompt Waywardness", arXiv:2112.08348; see also Lester et al. 2021, arXiv:2104.08691, section
7). So the nearest tokens come with yardsticks: how near the nearest is to a random vector, and to another token.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from labkit.errors import LabError
from labkit.inside.prompt_map import PromptMap, draw_map
from labkit.intervals import FloatArray
from labkit.methods import attach
from labkit.models import Model

METRICS = ("cosine", "euclidean")
MOST = 20  # neighbours of a virtual token
SAMPLE = 150  # vectors that each yardstick is a mean of
SPACE = "␣"  # shown for the mark by which T5's tokenizer says that a word starts here


class Neighbour(NamedTuple):
    """A token of the vocabulary and how near it is: cosine in -1..1, or Euclidean distance."""

    token: str
    nearness: float


class VirtualToken(NamedTuple):
    """One learned vector.

    Attributes:
        number: Its place in front of the prompt, from 1.
        nearest: The nearest tokens of the vocabulary, the nearest first.
        norm: Its Euclidean length.
        moved: Its Euclidean distance from where it started; None if that is unknown.
        start: The token that it started as; "" if it started as none, None if that is unknown.
    """

    number: int
    nearest: tuple[Neighbour, ...]
    norm: float
    moved: float | None = None
    start: str | None = None


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """The virtual tokens of a model with their nearest tokens.

    Attributes:
        tokens: One for each virtual token.
        vocabulary_norm: Mean Euclidean length of the embeddings of the vocabulary.
        random: How near the nearest token is to a random vector with the spread of the embeddings, a mean over 150.
        words: How near the nearest other token is to a token of the vocabulary, a mean over 150.
        map: Virtual tokens, their neighbours and some other tokens in two dimensions.
    """

    tokens: tuple[VirtualToken, ...]
    vocabulary_norm: float
    random: float
    words: float
    map: PromptMap

    @property
    def nearness(self) -> float:
        """How near the nearest token is to a virtual token, on average."""
        return float(np.mean([token.nearest[0].nearness for token in self.tokens]))

    @property
    def norm(self) -> float:
        """Mean Euclidean length of the virtual tokens."""
        return float(np.mean([token.norm for token in self.tokens]))


@dataclass(frozen=True, eq=False)
class SoftPrompt:
    """The virtual tokens of a model, and the vocabulary that they live among.

    Attributes:
        vectors: The virtual tokens, shape (tokens, width).
        start: Where they started, of the same shape; None if that is unknown.
        table: Embeddings of the vocabulary without special tokens, shape (vocabulary, width).
        names: The tokens of the vocabulary, with "␣" where a word starts.
    """

    vectors: FloatArray
    start: FloatArray | None
    table: FloatArray
    names: list[str]

    def nearest(self, k: int = 5, metric: str = "cosine") -> Neighbourhood:
        """The nearest tokens of the vocabulary to each virtual token.

        Args:
            k: How many, 1 to 20.
            metric: "cosine" (direction alone) or "euclidean" (length, too).

        Returns:
            The virtual tokens with their neighbours, yardsticks and a map.

        Raises:
            LabError: k or metric is out of range.
        """
        if not 1 <= k <= MOST:
            raise LabError(f"k is {k}: use 1 to {MOST} neighbours")
        if metric not in METRICS:
            raise LabError(f"unknown metric {metric!r}: use one of {', '.join(METRICS)}")
        near = nearness(self.vectors, self.table, metric)
        order = np.argsort(near if metric == "euclidean" else -near, axis=1, kind="stable")[:, :k]
        tokens = tuple(
            VirtualToken(
                number=i + 1,
                nearest=tuple(Neighbour(self.names[j], float(near[i, j])) for j in order[i]),
                norm=float(np.linalg.norm(vector)),
                moved=None if self.start is None else float(np.linalg.norm(vector - self.start[i])),
                start=self._started_as(i),
            )
            for i, vector in enumerate(self.vectors)
        )
        length = float(np.linalg.norm(self.table, axis=1).mean())
        random, words = self._yardsticks[metric]
        drawn = draw_map(self.vectors, self.table, self.names, order)
        return Neighbourhood(tokens, length, random, words, drawn)

    def _started_as(self, i: int) -> str | None:
        if self.start is None:
            return None
        same = np.flatnonzero((self.table == self.start[i]).all(axis=1))
        return self.names[same[0]] if len(same) else ""

    @cached_property
    def _yardsticks(self) -> dict[str, tuple[float, float]]:
        """Of each metric: how near the nearest token is to a random vector, and to another token."""
        chooser = np.random.default_rng(0)
        random = chooser.normal(0, self.table.std(), (SAMPLE, self.table.shape[1]))
        chosen = chooser.permutation(len(self.table))[:SAMPLE]
        means = {}
        for metric, best, never in (("cosine", np.max, -np.inf), ("euclidean", np.min, np.inf)):
            words = nearness(self.table[chosen], self.table, metric)
            words[np.arange(len(chosen)), chosen] = never  # no token is its own neighbour
            both = (nearness(random, self.table, metric), words)
            means[metric] = tuple(float(best(each, axis=1).mean()) for each in both)
        return means  # type: ignore[return-value]


def soft_prompt(model: Model, seed: int | None = None) -> SoftPrompt:
    """Take the virtual tokens out of a model.

    Args:
        model: A model with prompt tuning.
        seed: The one that the method was attached with, from which the start is known: `run.config["seed"]`.

    Returns:
        The virtual tokens with the vocabulary.

    Raises:
        LabError: The method has no virtual tokens among the embeddings.
    """
    vectors = _vectors(model)
    start = None
    if seed is not None:
        base = replace(model, net=model.net.get_base_model(), method=None)  # attach works on a copy of it
        start = _vectors(attach(base, model.method, seed=seed))
    tokenizer = model.tokenizer
    ids = sorted(set(range(len(tokenizer))) - set(tokenizer.all_special_ids))
    names = [piece.replace("▁", SPACE) for piece in tokenizer.convert_ids_to_tokens(ids)]
    return SoftPrompt(vectors, start, _array(model.net.get_input_embeddings().weight)[ids], names)


def nearness(vectors: FloatArray, table: FloatArray, metric: str) -> FloatArray:
    """Cosine or Euclidean distance of each vector to each embedding.

    Args:
        vectors: Shape (n, width).
        table: Shape (m, width).
        metric: "cosine" or "euclidean".

    Returns:
        Shape (n, m).
    """
    lengths, others = np.linalg.norm(vectors, axis=1)[:, None], np.linalg.norm(table, axis=1)
    products: FloatArray = vectors @ table.T
    squares: FloatArray = lengths**2 + others**2 - 2 * products
    return products / (lengths * others) if metric == "cosine" else np.sqrt(np.maximum(squares, 0))


def _vectors(model: Model) -> FloatArray:
    import torch

    config = getattr(model.net, "active_peft_config", None)
    if getattr(config, "peft_type", None) not in ("PROMPT_TUNING", "P_TUNING"):
        label = model.method.label if model.method else "the base"
        raise LabError(f"{label} has no virtual tokens among the embeddings: use a model with prompt tuning")
    with torch.no_grad():
        return _array(model.net.get_prompt(batch_size=1)[0])


def _array(tensor: Any) -> FloatArray:
    array: FloatArray = tensor.detach().double().cpu().numpy()
    return array
