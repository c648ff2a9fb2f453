"""The one prompt of the task, and how a dialogue that is too long for the model is cut."""

from typing import Any, NamedTuple

from labkit.errors import LabError

BEFORE = "Summarize the following conversation.\n\n"
AFTER = "\n\nSummary: "
LIMIT = 512  # tokens, the length that T5 and FLAN-T5 were trained with
LONGEST_SUMMARY = 128  # tokens; DialogSum's longest takes 113


class Prompts(NamedTuple):
    """Encoded prompts, and how many turns each dialogue lost at its beginning."""

    ids: list[list[int]]
    turns_cut: list[int]


def encode_prompts(tokenizer: Any, dialogues: list[str], limit: int = LIMIT) -> Prompts:
    """Put each dialogue into the prompt and encode it; the oldest turns go first where there is no room.

    Args:
        tokenizer: The model's tokenizer.
        dialogues: Turns separated by newlines.
        limit: Tokens that the model can read, less the virtual tokens in front of the prompt.

    Returns:
        Token ids, at most `limit` a prompt, and the number of turns cut (a turn cut in part counts).

    Raises:
        LabError: The prompt alone leaves no room for a dialogue.
    """
    if not dialogues:
        return Prompts([], [])
    frame = len(tokenizer(BEFORE + AFTER)["input_ids"])
    if limit < 2 * frame:
        raise LabError(
            f"only {limit} tokens are left for prompt and dialogue, the prompt takes {frame}: use fewer tokens"
        )
    ids = tokenizer([BEFORE + dialogue + AFTER for dialogue in dialogues], truncation=False, verbose=False)["input_ids"]
    cut = [0] * len(dialogues)
    for index in (i for i, row in enumerate(ids) if len(row) > limit):
        ids[index], cut[index] = _shortened(tokenizer, dialogues[index], limit)
    return Prompts(ids, cut)


def _shortened(tokenizer: Any, dialogue: str, limit: int) -> tuple[list[int], int]:
    turns = [turn for turn in dialogue.split("\n") if turn.strip()]
    for first in range(1, len(turns)):
        ids = tokenizer(BEFORE + "\n".join(turns[first:]) + AFTER, verbose=False)["input_ids"]
        if len(ids) <= limit:
            return ids, first
    # the last turn alone is too long: keep its end
    before = tokenizer(BEFORE, add_special_tokens=False)["input_ids"]
    rest = tokenizer(turns[-1] + AFTER, verbose=False)["input_ids"]
    return before + rest[-(limit - len(before)) :], len(turns)
