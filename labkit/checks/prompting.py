"""Lab 1: ROUGE by hand, examples in the prompt, and how much of the context they leave."""

from collections import Counter
from typing import Any

from labkit.checks.outcome import Check, check
from labkit.dialogues import Dialogues
from labkit.generation import prompt_tokens
from labkit.models import Model
from labkit.prompts import LIMIT, ZERO_SHOT, Prompt


def rouge1_by_hand(value: Any, prediction: str, reference: str) -> Check:
    """Check ROUGE-1 of a summary against one reference: the F-measure of their single words, as stems.

    Source: C.-Y. Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004, section 2.

    Args:
        value: The learner's F-measure in 0 to 1; two or three digits will do.
        prediction: The summary.
        reference: What it is compared with.

    Returns:
        The outcome.
    """
    ours, theirs = _words(prediction), _words(reference)
    shared = (ours & theirs).total()
    wanted = _f_measure(ours, theirs)
    precision, recall = shared / max(1, ours.total()), shared / max(1, theirs.total())
    unclipped = sum(count for word, count in ours.items() if word in theirs)
    unstemmed = _f_measure(_words(prediction, stem=False), _words(reference, stem=False))
    mistakes = [
        (precision, "that is the precision, the share of the summary's words that is right; recall belongs to it"),
        (recall, "that is the recall, the share of the reference's words that is there; precision belongs to it"),
        ((precision + recall) / 2, "that is the mean of precision and recall; F is their harmonic mean"),
        (_f_measure(ours, theirs, unclipped), "a word is shared as often as it is in both, not in the summary alone"),
        (unstemmed, "words are compared as stems, so that 'books' matches 'booked'"),
        (_f_measure(Counter(set(ours)), Counter(set(theirs))), "that comes of sets; a repeated word counts each time"),
        (_f_measure(Counter(prediction.split()), Counter(reference.split())), "capitals and full stops do not count"),
        (100 * wanted, "that is in percent; give a number from 0 to 1"),
        (shared, "that is the number of shared words; divide by how many there are"),
    ]
    return check("ROUGE-1", value, wanted, mistakes, "2 x shared words / (words of both)", tolerance=6e-3)


def _words(text: str, stem: bool = True) -> Counter[str]:
    from rouge_score.tokenizers import DefaultTokenizer

    return Counter(DefaultTokenizer(stem).tokenize(text))


def _f_measure(ours: Counter[str], theirs: Counter[str], shared: int | None = None) -> float:
    common = (ours & theirs).total() if shared is None else shared
    return 2 * common / max(1, ours.total() + theirs.total())


def few_shot_from_train(prompt: Prompt, data: Dialogues) -> Check:
    """Check that a prompt has examples, and that each is a dialogue of the train split with a summary of its own.

    Args:
        prompt: The learner's.
        data: What the model is going to be tested on.

    Returns:
        The outcome.
    """
    if not prompt.examples:
        return Check(False, "the prompt has no examples: give examples=[(dialogue, summary), ...].")
    splits = {
        split: dict(zip(map(str.strip, rows["dialogue"]), rows["summaries"], strict=True))
        for split, rows in (("train", data.train), ("validation", data.validation), ("test", data.test))
    }
    for number, (dialogue, summary) in enumerate(prompt.examples, 1):
        where = next((split for split, rows in splits.items() if dialogue.strip() in rows), None)
        if where is None:
            return Check(False, f"example {number} is no dialogue of {data.name}: take rows of data.train.")
        if where != "train":
            return Check(False, f"example {number} is from {where}, so the model would see what it is tested on.")
        if summary not in splits[where][dialogue.strip()]:
            return Check(False, f"the summary of example {number} is another dialogue's: take both from one row.")
    return Check(True, "every example is from the train split.")


def prompt_tokens_left(value: Any, model: Model, dialogue: str, prompt: Prompt = ZERO_SHOT) -> Check:
    """Check how many tokens a model could still read beside a dialogue in its prompt; below 0 is too long.

    Args:
        value: The learner's number.
        model: Its tokenizer counts, and its virtual tokens take room.
        dialogue: Turns separated by newlines.
        prompt: What is asked, with its examples.

    Returns:
        The outcome.
    """
    text, room = prompt.text(dialogue), model.room
    (taken,) = prompt_tokens(model, [dialogue], prompt)
    bare = len(model.tokenizer(dialogue, verbose=False)["input_ids"])
    mistakes = [
        (taken, "that is what the prompt takes; take it from what the model reads"),
        (LIMIT - taken, "the virtual tokens take room, too"),
        (room - taken + 1, "the end token </s> is one more"),
        (room - bare, "the instruction, 'Summary:' and the examples are tokens, too"),
        (room - len(text.split()), "those are words; a word may be several tokens"),
        (room - len(text), "those are characters; a token has several"),
    ]
    return check("the number of tokens left", value, room - taken, mistakes, "the limit less the length of input_ids")
