"""Several adapters on one base: one network in memory, and a task is a switch or, row by row, a name.

dialogue 1  "summaries"  --+                   +--  + B1 A1 x
dialogue 2  "actions"    --+--  one batch  W x +--  + B2 A2 x
dialogue 3  "base"       --+                   +--
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from labkit.adapters.mixing import UNCHANGED, Mixed
from labkit.errors import LabError
from labkit.generation import BATCH, generate, summarize
from labkit.methods import LoRA, Method, PromptTuning
from labkit.models import Model, quiet
from labkit.opening import open_run
from labkit.prompts import LONGEST_SUMMARY, encode_prompts
from labkit.runs import Run

BASE = "base"


def together(base: Model, runs: Mapping[str, Run]) -> "Adapters":
    """Load the adapters of several runs onto one copy of their base.

    Args:
        base: The model that all of them were trained from; it is left as it was.
        runs: A name for each adapter, such as its task, to its run: all of LoRA, or all of prompt tuning.

    Returns:
        The adapters, none of them in use yet.

    Raises:
        LabError: A run fits neither the base nor the other runs, or is of a method that shares no network.

    Example:
        >>> both = together(base, {"summaries": run, "actions": other})
        >>> both.summarize([dialogue] * 3, ["summaries", "actions", "base"])
    """
    if not runs or BASE in runs:
        raise LabError(f"adapters named {', '.join(runs) or 'nothing'}: name one or more, and none of them {BASE}")
    loaded: dict[str, Method] = {}
    net: Any = None
    for name, run in runs.items():
        model = open_run(run, base)  # refuses what does not fit this base
        _check(name, model.method, list(loaded.values()))
        if net is None:
            net = model.net
        else:
            with quiet():
                net.load_adapter(run.weights, _key(len(loaded)), torch_device=base.device)
        loaded[name] = model.method
    return Adapters(base, net, loaded, {name: _key(number) for number, name in enumerate(loaded)})


def _key(number: int) -> str:
    """What peft calls an adapter: any name of a learner's might clash with a name that it or torch uses."""
    return f"adapter{number}" if number else "default"


def _check(name: str, method: Method | None, others: list[Method]) -> None:
    label = method.label if method else "the untouched base"
    if not isinstance(method, LoRA | PromptTuning):
        raise LabError(f"{name} is {label}, which is no part beside a base: use runs of LoRA or of prompt tuning")
    if isinstance(method, LoRA) and method.dora:
        raise LabError(f"{name} is {label}, whose rows cannot share a batch with others: use LoRA without dora")
    for other in others:
        if type(other) is not type(method):
            raise LabError(f"{name} is {label}, but another adapter is {other.label}: put one kind together")


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
        self.net.set_adapter(self.keys[name], inference_mode=True)
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

        Args:
            dialogues: Turns separated by newlines.
            adapter: One of `names` or "base", or one of these a dialogue; the active one unless given.
            max_new_tokens: Longest summary, in tokens.
            batch_size: Dialogues at a time.

        Returns:
            One summary a dialogue: the same that each adapter writes alone, as `labkit.summarize` has it.

        Raises:
            LabError: No adapter of a name is loaded, there are not as many names as dialogues, a dialogue is empty,
                or a number is below 1.
        """
        one = self.active if adapter is None else adapter
        names = [one] * len(dialogues) if isinstance(one, str) else list(one)
        if len(names) != len(dialogues):
            raise LabError(f"{len(names)} adapters for {len(dialogues)} dialogues: name one, or one a dialogue")
        for name in names:
            self._check(name)
        if set(names) <= {BASE}:
            return summarize(self.base, dialogues, max_new_tokens=max_new_tokens, batch_size=batch_size)
        for number, dialogue in enumerate(dialogues, 1):
            if not dialogue.strip():
                raise LabError(f"dialogue {number} of {len(dialogues)} is empty: give it at least one turn")
        known = [BASE, *self.names]
        prompts = [
            [known.index(name), *self._ids(dialogue, name)] for dialogue, name in zip(dialogues, names, strict=True)
        ]
        mixed = replace(self.base, net=Mixed(self.net, [UNCHANGED, *self.keys.values()]))
        return generate(mixed, prompts, max_new_tokens=max_new_tokens, batch_size=batch_size)

    def _ids(self, dialogue: str, name: str) -> list[int]:
        room = replace(self.base, method=self.methods.get(name)).room
        return encode_prompts(self.base.tokenizer, [dialogue], room).ids[0]

    def _check(self, name: str) -> None:
        if name not in (BASE, *self.names):
            raise LabError(f"no adapter {name!r} is loaded: use one of {', '.join([BASE, *self.names])}")
