"""The prompt of the task, with or without examples, and how a dialogue that is too long for the model is cut."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any, NamedTuple

from labkit.errors import LabError

INSTRUCTION = "Summarize the following conversation."
BEFORE = f"{INSTRUCTION}\n\n"
AFTER = "\n\nSummary: "
LIMIT = 512  # tokens, the length that T5 and FLAN-T5 were trained with
LONGEST_SUMMARY = 128  # tokens; DialogSum's longest takes 113


@dataclass(frozen=True)
class Prompt:
    r"""What is asked of a dialogue: zero-shot, or few-shot with solved examples in front, each in the same frame.

    Source: Wei et al. 2021, "Finetuned Language Models Are Zero-Shot Learners", arXiv:2109.01652 (few-shot exemplars).

    Attributes:
        instruction: What to do; "" leaves it out.
        examples: Pairs of a dialogue and its summary, from the train split, since a model must not see the answers
            that it is tested on.

    Example:
        >>> print(Prompt(examples=[("#Person1#: Tea?\n#Person2#: Please.", "Tea is served.")]).text("#Person1#: Hi."))
    """

    instruction: str = INSTRUCTION
    examples: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Take any sequence of pairs, and refuse what is none."""
        for number, pair in enumerate(self.examples, 1):
            two = isinstance(pair, (tuple, list)) and len(pair) == 2
            if not two or not all(isinstance(part, str) and part.strip() for part in pair):
                raise LabError(f"example {number} is no pair of dialogue and summary: give two texts")
        object.__setattr__(self, "examples", tuple((dialogue, summary) for dialogue, summary in self.examples))

    @property
    def before(self) -> str:
        """All that stands before the dialogue."""
        asked = f"{self.instruction}\n\n" if self.instruction else ""
        return "".join(f"{asked}{dialogue}{AFTER}{summary}\n\n" for dialogue, summary in self.examples) + asked

    def text(self, dialogue: str) -> str:
        """The whole prompt for a dialogue, whatever its length."""
        return f"{self.before}{dialogue}{AFTER}"


ZERO_SHOT = Prompt()  # what every training and comparison uses


class Prompts(NamedTuple):
    """Encoded prompts, and how many turns each dialogue lost at its beginning."""

    ids: list[list[int]]
    turns_cut: list[int]


def encode_prompts(tokenizer: Any, dialogues: list[str], limit: int = LIMIT, prompt: Prompt = ZERO_SHOT) -> Prompts:
    """Put each dialogue into the prompt and encode it; its oldest turns go first where there is no room.

    Args:
        tokenizer: The model's tokenizer.
        dialogues: Turns separated by newlines.
        limit: Tokens that the model can read, less the virtual tokens in front of the prompt.
        prompt: What is asked; its examples are never cut.

    Returns:
        Token ids, at most `limit` a prompt, and the number of turns cut (a turn cut in part counts).

    Raises:
        LabError: The prompt alone, or its examples, leave no room for a dialogue.
    """
    if not dialogues:
        return Prompts([], [])
    _check_room(tokenizer, limit, prompt)
    texts = [prompt.text(dialogue) for dialogue in dialogues]
    ids = tokenizer(texts, truncation=False, verbose=False)["input_ids"]
    cut = [0] * len(dialogues)
    for index in (i for i, row in enumerate(ids) if len(row) > limit):
        ids[index], cut[index] = _shortened(tokenizer, dialogues[index], limit, prompt)
    return Prompts(ids, cut)


def _check_room(tokenizer: Any, limit: int, prompt: Prompt) -> None:
    """A dialogue gets as many tokens as the frame around it, or more."""
    frame, whole = (
        len(tokenizer(each.text(""), verbose=False)["input_ids"]) for each in (Prompt(prompt.instruction), prompt)
    )
    if limit >= whole + frame:
        return
    if prompt.examples:
        raise LabError(
            f"the examples take {whole - frame} of {limit} tokens and leave no room for a dialogue: "
            "use fewer or shorter ones"
        )
    raise LabError(f"only {limit} tokens are left for prompt and dialogue, the prompt takes {frame}: use fewer tokens")


def _shortened(tokenizer: Any, dialogue: str, limit: int, prompt: Prompt) -> tuple[list[int], int]:
    turns = [turn for turn in dialogue.split("\n") if turn.strip()]

    def encoded(first: int) -> list[int]:
        return list(tokenizer(prompt.text("\n".join(turns[first:])), verbose=False)["input_ids"])

    # the fewer turns, the fewer tokens: search by halves, since every look encodes the whole prompt
    first = 1 + bisect_left(range(1, len(turns)), True, key=lambda first: len(encoded(first)) <= limit)
    if first < len(turns):
        return encoded(first), first
    # the last turn alone is too long: keep its end
    before = tokenizer(prompt.before, add_special_tokens=False, verbose=False)["input_ids"]
    rest = tokenizer(turns[-1] + AFTER, verbose=False)["input_ids"]
    return before + rest[-(limit - len(before)) :], len(turns)
