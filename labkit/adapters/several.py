"""Adapters that share one copy of their base: switched one for another, or used row by row in one batch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from labkit.adapters.mixing import UNCHANGED, Mixed, can_mix, rows_of, tuner_layers, turn
from labkit.errors import LabError
from labkit.generation import BATCH, check_dialogues, generate, summarize
from labkit.methods import Method
from labkit.models import Model
from labkit.prompts import LONGEST_SUMMARY, encode_prompts

BASE = "base"


@dataclass
class Adapters:
    """Adapters that share one copy of their base; made by `together`.

    Attributes:
        base: The untouched base, which needs no switch to be itself.
        net: The network that they share.
        methods: What each adapter is, by name.
        keys: What peft calls each.
        active: The one in use, or "base".
    """

    base: Model
    net: Any
    methods: dict[str, Method]
    keys: dict[str, str]
    active: str = BASE

    @property
    def names(self) -> list[str]:
        """The adapters that are loaded."""
        return list(self.methods)

    def use(self, name: str) -> Model:
        """Switch to an adapter, or all of them off; nothing is loaded or copied.

        Args:
            name: One of `names`, or "base".

        Returns:
            The model as it is then. There is one network, so a model from an earlier switch follows this one; the
            base's is the base itself.

        Raises:
            LabError: No adapter of this name is loaded.
        """
        self._check(name)
        self.active = name
        if name == BASE:  # not peft's disable_adapter(), which does not reach generate() where prompts are soft
            return self.base
        key = self.keys[name]
        self.net.set_adapter(key, inference_mode=True)
        for layer in tuner_layers(self.net):
            turn(layer, key)
        return replace(self.base, net=self.net, method=self.methods[name])

    def unload(self, name: str) -> None:
        """Take an adapter out of memory; if it was in use, the base is from now on.

        Args:
            name: One of `names`.

        Raises:
            LabError: No adapter of this name is loaded.
        """
        if name == BASE:
            raise LabError(f"{BASE} is no adapter: unload one of {', '.join(self.names) or 'none'}")
        self._check(name)
        others = [each for each in self.names if each != name]
        if others:
            self.net.set_adapter(self.keys[others[0]], inference_mode=True)  # peft warns if it has to choose itself
        self.net.delete_adapter(self.keys.pop(name))
        del self.methods[name]
        self.use(BASE if self.active == name else self.active)

    def summarize(
        self,
        dialogues: list[str],
        adapter: str | Sequence[str] | None = None,
        *,
        max_new_tokens: int = LONGEST_SUMMARY,
        batch_size: int = BATCH,
    ) -> list[str]:
        """Summarize dialogues greedily, each by the adapter that is named for it, different ones in one batch.

        Where they cannot share one, which `one_batch` tells, those of one adapter come after those of another.

        Args:
            dialogues: Turns separated by newlines.
            adapter: One of `names` or "base", or one of these a dialogue; the active one unless given.
            max_new_tokens: Longest summary, in tokens.
            batch_size: Dialogues at a time.

        Returns:
            One summary a dialogue: the same that each adapter writes alone, as `labkit.summarize` has it.

        Raises:
            LabError: No adapter of a name is loaded, there are not as many names as dialogues, one text is given in the
                place of a list, a dialogue is empty, or a number is below 1.
        """
        check_dialogues(dialogues)
        one = self.active if adapter is None else adapter
        names = [one] * len(dialogues) if isinstance(one, str) else list(one)
        if len(names) != len(dialogues):
            raise LabError(f"{len(names)} adapters for {len(dialogues)} dialogues: name one, or one a dialogue")
        for name in names:
            self._check(name)
        how: dict[str, Any] = {"max_new_tokens": max_new_tokens, "batch_size": batch_size}
        if self.one_batch and set(names) - {BASE}:
            return generate(self.mixed, self.prompts(dialogues, names), **how)
        texts, before = [""] * len(dialogues), self.active
        try:
            for each, rows in rows_of(names).items():
                written = summarize(self.use(each), [dialogues[i] for i in rows], **how)
                for row, text in zip(rows, written, strict=True):
                    texts[row] = text
        finally:
            self.use(before)
        return texts

    @property
    def one_batch(self) -> bool:
        """Whether rows of different adapters can share a batch; trained position biases are in the way of that."""
        return can_mix(self.net)

    @property
    def mixed(self) -> Model:
        """The network that takes what `prompts` gives, each row with its own adapter."""
        return replace(self.base, net=Mixed(self.net, [UNCHANGED, *self.keys.values()]))

    def prompts(self, dialogues: Sequence[str], names: Sequence[str]) -> list[list[int]]:
        """The encoded prompts of dialogues, with the number of its adapter in front of each, for `mixed`."""
        known = [BASE, *self.names]
        return [
            [known.index(name), *self._ids(dialogue, name)] for dialogue, name in zip(dialogues, names, strict=True)
        ]

    def _ids(self, dialogue: str, name: str) -> list[int]:
        room = replace(self.base, method=self.methods.get(name)).room
        return encode_prompts(self.base.tokenizer, [dialogue], room).ids[0]

    def _check(self, name: str) -> None:
        if name not in (BASE, *self.names):
            raise LabError(f"no adapter {name!r} is loaded: use one of {', '.join([BASE, *self.names])}")
