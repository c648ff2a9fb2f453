"""Turn the screenplays of `situations/` into dialogues with summaries, frames and questions."""

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from zlib import crc32

HERE = Path(__file__).parent
TALES = ("report", "diary A", "diary B", "now")  # what happened, told in other ways than a summary
OUTCOMES = ["agreed", "changed", "refused", "failed", "postponed", "informed", "promised", "decided", "solved"]
NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
SLOT = re.compile(r"\{(a )?([\w.]+)('*)\}")
CHOICE = re.compile(r"\[([^\[\]]*)\]")
TURNS = range(4, 15)
MOST_WORDS = 150


@dataclass
class Story:
    """One way a situation can go: its plans, its outcome and what can be said about it."""

    name: str
    outcome: str
    plans: list[str] = field(default_factory=list)
    lines: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Situation:
    """One parsed screenplay file."""

    name: str
    roles: tuple[str, str] = ("", "")
    tone: str = "formal"
    topics: list[str] = field(default_factory=list)
    pools: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    stories: list[Story] = field(default_factory=list)
    scenes: dict[str, list[list[tuple[str, str]]]] = field(default_factory=dict)


@dataclass
class Scene:
    """One dialogue as drawn: its turns and everything known about it."""

    situation: str
    story: str
    outcome: str
    roles: dict[str, str]
    topic: str
    turns: list[tuple[str, str]]
    details: dict[str, str]
    dropped: dict[str, str]
    lines: dict[str, list[str]]
    actions: list[str]

    @property
    def dialogue(self) -> str:
        """The turns as DialogSum writes them."""
        return "\n".join(f"{who}: {text}" for who, text in self.turns)


def parse(path: Path) -> Situation:
    """Read one screenplay file; a line that cannot be read raises ValueError with its number."""
    situation, story, scene = Situation(path.stem), None, None
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = raw.strip()
        try:
            if line.startswith("#"):
                continue
            if not line:
                if scene is not None and scene[-1]:
                    scene.append([])
            elif line.startswith("== "):
                name, outcome = (part.strip() for part in line[3:].split(":"))
                if outcome not in OUTCOMES:
                    raise ValueError(f"outcome {outcome!r} is none of {', '.join(OUTCOMES)}")
                story, scene = Story(name, outcome), None
                situation.stories.append(story)
            elif line.startswith("-- "):
                scene = situation.scenes.setdefault(line[3:].strip(), [[]])
                if scene[-1]:
                    scene.append([])
            elif scene is not None:
                who, text = line.split(":", 1)
                if who not in ("A", "B"):
                    raise ValueError("a line of a scene starts with 'A:' or 'B:'")
                scene[-1].append((who, text.strip()))
            elif line.startswith("$"):
                names, pool = line[1:].split("=", 1)
                situation.pools.append((tuple(names.strip().split("/")), pool.strip()))
            else:
                key, text = (part.strip() for part in line.split(":", 1))
                read_line(situation, story, key, text)
        except ValueError as error:
            raise ValueError(f"{path.name}, line {number}: {error}: {line!r}") from None
    for wordings in situation.scenes.values():
        if not wordings[-1]:
            wordings.pop()
    return situation


def read_line(situation: Situation, story: Story | None, key: str, text: str) -> None:
    """File one `key: text` line of the head or of a story."""
    if key == "roles":
        a, b = text.split(",")
        situation.roles = (a.strip(), b.strip())
    elif key == "tone":
        situation.tone = text
    elif key == "topic":
        situation.topics = [topic.strip() for topic in text.split("|")]
    elif key == "q" and story is None:
        situation.questions.append(text)
    elif story is None:
        raise ValueError("this line belongs under a story")
    elif key == "plan":
        story.plans.append(text)
    elif key == "headline":
        story.lines.setdefault(key, []).extend(part.strip() for part in text.split(" | "))
    elif key in ("want", "end", "todo A", "todo B", "q", "sum", *TALES):
        story.lines.setdefault(key, []).append(text)
    else:
        raise ValueError(f"unknown key {key!r}")


@cache
def named_pools() -> dict[str, list[str]]:
    """The shared pools of pools.txt."""
    lines = (HERE / "pools.txt").read_text(encoding="utf-8").splitlines()
    entries = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): [v.strip() for v in values.split("|")] for name, values in entries}


@cache
def common() -> dict[str, Situation]:
    """Greetings, goodbyes and small talk, by tone."""
    return {tone: parse(HERE / f"common_{tone}.txt") for tone in ("formal", "phone", "casual")}


def load_situations() -> list[Situation]:
    """All screenplays, in the order of their names."""
    return [parse(path) for path in sorted((HERE / "situations").glob("*.txt"))]


def bucket(text: str) -> str:
    """The one split that a name, a set of facts or a summary may appear in."""
    return {0: "test", 1: "validation"}.get(crc32(text.encode()) % 16, "train")


@cache
def pool_values(pool: str, split: str) -> tuple[str, ...]:
    """The values of `@name`, of a range or of an inline list; names are kept apart by split."""
    if pool.startswith("@"):
        values = named_pools()[pool[1:]]
        if pool[1:] in ("first", "woman", "man", "surname"):
            values = [value for value in values if bucket(value) == split]
        return tuple(values)
    if match := re.fullmatch(r"\$?(\d+)\.\.\$?(\d+)(?:/(\d+))?", pool):
        sign = "$" if pool.startswith("$") else ""
        low, high, step = (int(group or 1) for group in match.groups())
        return tuple(f"{sign}{value}" for value in range(low, high + 1, step))
    if match := re.fullmatch(r"([a-z]+)\.\.([a-z]+)", pool):
        low, high = (NUMBERS.index(word) for word in match.groups())
        return tuple(NUMBERS[low : high + 1])
    return tuple(value.strip() for value in pool.split("|"))


class Facts:
    """The values drawn for one dialogue, and which of them have been said."""

    def __init__(self, situation: Situation, split: str, rng: Random):
        self.values: dict[str, list[str]] = {}
        self.said: set[tuple[str, int]] = set()
        taken: set[str] = set()
        for names, pool in [*situation.pools, (("A.name",), "@first"), (("B.name",), "@first")]:
            free = [value for value in pool_values(pool, split) if value not in taken]
            drawn = rng.sample(free, min(3, len(free)))
            taken.update(drawn)
            for position, name in enumerate(names):
                self.values[name] = [value.split("/")[position].strip() for value in drawn]

    def fill(self, text: str, rng: Random, people: dict[str, str], saying: bool = False) -> str | None:
        """Choose among `[a|b]` and fill the slots; None if it would tell something that was not said."""
        while match := CHOICE.search(text):
            options, rest = match[1].split("|"), text[match.end() :]
            chosen = rng.choice(options)
            # "[Sure|Really?] I see": an option that ends a sentence tells that the others do, too
            if chosen[-1:].isalnum() and re.match(r" \[?[A-Z]", rest) and any(o[-1:] in ".?!" for o in options if o):
                chosen += "."
            text = text[: match.start()] + chosen + rest
        used = [(name, len(primes)) for _, name, primes in SLOT.findall(text) if name not in people]
        if saying:
            self.said.update(used)
        elif not self.said.issuperset(used):
            return None

        def value(match: re.Match[str]) -> str:
            article, name, primes = match.groups()
            word = people.get(name) or self.values[name][len(primes)]
            return f"{'an' if word[0] in 'aeiouAEIOU' else 'a'} {word}" if article else word

        words = " ".join(SLOT.sub(value, text).split())
        return re.sub(r"(?<=[?!])\.|(?<=[.?!]) \.| (?=[,.?!]|'(?:m|s|re|ve|ll|d)\b)", "", words)


def sentences(text: str) -> str:
    """Give each sentence its capital letter and the last one its full stop."""
    text = text if text[-1] in ".?!" else f"{text}."
    return re.sub(r"(^|[.?!] )([a-z])", lambda match: match[1] + match[2].upper(), text)


def play(situation: Situation, facts: Facts, plan: str, rng: Random) -> list[tuple[str, str]]:
    """String the scenes of a plan together; returns the turns as (A or B, words)."""
    shared, turns = common()[situation.tone], []
    for step in plan.split():
        if (step.endswith("?") and rng.random() < 0.5) or (step == "~" and rng.random() < 0.6):
            continue
        name, _, first = rng.choice(step.rstrip("?").split("/")).rstrip(")").partition("(")
        source = situation.scenes.get(name) or shared.scenes["smalltalk" if name == "~" else name]
        if name == "~" and turns:  # nobody changes the subject in the middle of a turn
            source = [wording for wording in source if wording[0][0] != turns[-1][0]] or source
        for who, text in rng.choice(source):
            for slot in first.split(",") if first else []:
                text = re.sub(rf"\{{(a )?{slot}\}}", rf"{{\1{slot}'}}", text)
            words = facts.fill(text, rng, {}, saying=True)
            if not words:
                continue
            words = sentences(words)
            if turns and turns[-1][0] == who:
                turns[-1] = (who, f"{turns[-1][1]} {words}")
            else:
                turns.append((who, words))
    return turns


def draw(situation: Situation, split: str, rng: Random) -> Scene:
    """One dialogue of a situation, drawn again until its length and its facts fit the split."""
    own = {name for names, _ in situation.pools for name in names}
    while True:
        story = rng.choice(situation.stories)
        both = Situation(situation.name, pools=situation.pools + common()[situation.tone].pools)
        facts = Facts(both, split, rng)
        try:
            turns = play(situation, facts, rng.choice(story.plans), rng)
        except IndexError:  # slots of like values took so many that one has no second value left to change to
            continue
        words = sum(len(text.split()) for _, text in turns)
        details = {name: facts.values[name][0] for name, primes in sorted(facts.said) if not primes and name in own}
        # a combination of facts belongs to one split
        key = f"{situation.name} {sorted(details.items())}"
        if len(turns) in TURNS and words <= MOST_WORDS and bucket(key) == split:
            break
    first = turns[0][0]
    person = {"A": "#Person1#" if first == "A" else "#Person2#", "B": "#Person2#" if first == "A" else "#Person1#"}
    called = {who: facts.values[f"{who}.name"][0] if (f"{who}.name", 0) in facts.said else person[who] for who in "AB"}

    def lines(key: str, people: dict[str, str]) -> list[str]:
        sources = story.lines.get(key, []) + (situation.questions if key == "q" else [])
        return [filled for source in sources if (filled := facts.fill(source, rng, people))]

    said = {key: lines(key, person) for key in ("headline", "want", "end", "q")}
    said["sum"] = [sentences(line) for line in lines("sum", called)]
    topic = rng.choice(situation.topics)
    actions = [f"{person[who]}: {line}" for who in "AB" for line in lines(f"todo {who}", person)]
    said |= {key: [sentences(line) for line in lines(key, person)] for key in TALES}  # the last to draw anything
    return Scene(
        situation=situation.name,
        story=story.name,
        outcome=story.outcome,
        roles=dict(zip((person["A"], person["B"]), situation.roles, strict=True)),
        topic=topic,
        turns=[(person[who], text) for who, text in turns],
        details=details,
        dropped={n: facts.values[n][1] for n, primes in sorted(facts.said) if primes == 1 and n in own},
        lines=said,
        actions=actions,
    )
