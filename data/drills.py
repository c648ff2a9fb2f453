"""Copying drills: what the nano model practises before it sees a dialogue.

A small T5 that starts on dialogues learns what they are about long before it learns to look things up in them.
On random pieces there is nothing to know but where things stand, so it learns to copy, to find what follows, and
who said it, in minutes. (Wu et al. 2022, "Insights into pre-training via simpler synthetic tasks", arXiv:2206.10139)
"""

from collections.abc import Iterator
from random import Random

from transformers import PreTrainedTokenizerFast

Example = tuple[list[int], list[int]]


class Drills:
    """Drills over the pieces of a tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast):
        special = set(tokenizer.all_special_ids)
        self.pieces = [i for i in range(len(tokenizer)) if i not in special]
        self.end = tokenizer.eos_token_id
        self.blank = tokenizer.convert_tokens_to_ids("<extra_id_0>")
        self.marks = tokenizer.convert_tokens_to_ids(["▁#Person1#:", "▁#Person2#:"])
        self.persons = tokenizer.convert_tokens_to_ids(["▁#Person1#", "▁#Person2#"])
        words = {"copy": "Copy:", "look": "What is", "next": "What follows", "who": "Who says"}
        words |= {"reply": "What is the reply to", "fill": "Fill the blanks.", "colon": ":", "stop": ";"}
        self.words = {key: tokenizer(text, add_special_tokens=False)["input_ids"] for key, text in words.items()}

    def some(self, rng: Random, count: int) -> list[int]:
        """Random pieces."""
        return rng.choices(self.pieces, k=count)

    def copy(self, rng: Random) -> Example:
        """Say the same again."""
        said = self.some(rng, rng.randint(1, 10))
        return self.words["copy"] + said, said

    def look(self, rng: Random) -> Example:
        """Find the value of a name in a list."""
        names = rng.sample(self.pieces, rng.randint(2, 7))
        values = [self.some(rng, rng.randint(1, 4)) for _ in names]
        pairs = zip(names, values, strict=True)
        body = [i for name, value in pairs for i in (name, *self.words["colon"], *value, *self.words["stop"])]
        asked = rng.randrange(len(names))
        return self.placed(rng, [*self.words["look"], names[asked]], body), values[asked]

    def talk(self, rng: Random) -> Example:
        """Find something in a few turns of a talk: what follows, who said it, the reply, a missing piece."""
        turns = [(rng.randrange(2), self.some(rng, rng.randint(2, 7))) for _ in range(rng.randint(2, 6))]
        body = [i for who, said in turns for i in (self.marks[who], *said)]
        at = rng.randrange(len(turns) - 1)
        who, said = turns[at]
        kind = rng.choice(("next", "who", "reply", "fill"))
        if kind == "next":
            start = rng.randrange(len(said) - 1)
            answer = said[start + 1 : start + 1 + rng.randint(1, 3)]
            return self.placed(rng, [*self.words["next"], said[start]], body), answer
        if kind == "who":
            return self.placed(rng, self.words["who"] + said, body), [self.persons[who]]
        if kind == "reply":
            return self.placed(rng, self.words["reply"] + said, body), turns[at + 1][1]
        gap = rng.randrange(len(body))
        # the turns come twice, the second time with a gap
        return self.words["fill"] + body + body[:gap] + [self.blank] + body[gap + 1 :], [self.blank, body[gap]]

    def placed(self, rng: Random, question: list[int], body: list[int]) -> list[int]:
        """The question before or after what it is about."""
        return question + body if rng.random() < 0.5 else body + question

    def stream(self, seed: int) -> Iterator[Example]:
        """Drills without end, as ids that end with the end mark."""
        rng = Random(seed)
        while True:
            source, target = rng.choice((self.copy, self.look, self.look, self.talk, self.talk, self.talk))(rng)
            yield [*source, self.end], [*target, self.end]
