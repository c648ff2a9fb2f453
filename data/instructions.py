"""The instruction tasks that the nano model is pre-trained on; the target summaries are never among them.

Each task turns one scene into an instruction about its dialogue, in one of its many wordings, and a short answer.
"""

import re
from collections.abc import Callable
from random import Random

from screenplay.engine import Scene
from wordings import LAYOUTS, TELLINGS, WORDINGS

WEIGHTS = {
    "question": 12, "topic": 4, "headline": 8, "want": 4, "end": 6, "tell": 12, "report": 12, "now": 18, "diary": 6,
    "details": 8, "detail": 4, "dropped": 2, "outcome": 3, "role": 1, "speaker": 1, "reply": 3, "continue": 4,
    "blanks": 6, "order": 1, "several": 40,
}  # fmt: skip
Found = tuple[dict[str, str], str] | None


def question(scene: Scene, rng: Random) -> Found:
    if not scene.lines["q"]:
        return None
    q, answer = rng.choice(scene.lines["q"]).split("=>")
    return {"q": q.strip()}, answer.strip()


def headline(scene: Scene, rng: Random) -> Found:
    return ({}, rng.choice(scene.lines["headline"])) if scene.lines["headline"] else None


def want(scene: Scene, rng: Random) -> Found:
    return ({}, rng.choice(scene.lines["want"])) if scene.lines["want"] else None


def end(scene: Scene, rng: Random) -> Found:
    return ({}, rng.choice(scene.lines["end"])) if scene.lines["end"] else None


def tell(scene: Scene, rng: Random) -> Found:
    """What is wanted and how it ends, told of the two persons or of their roles."""
    if not (scene.lines["want"] and scene.lines["end"]):
        return None
    want, end = rng.choice(scene.lines["want"]), rng.choice(scene.lines["end"])
    a, b = scene.roles
    text = rng.choice(TELLINGS).format(a=f"the {scene.roles[a]}", b=f"the {scene.roles[b]}", want=want, end=end)
    return {}, people(text, scene, rng)


def report(scene: Scene, rng: Random) -> Found:
    """What happened, as an outsider tells it."""
    return ({}, people(rng.choice(scene.lines["report"]), scene, rng)) if scene.lines["report"] else None


def now(scene: Scene, rng: Random) -> Found:
    """What happens, told while it happens."""
    return ({}, people(rng.choice(scene.lines["now"]), scene, rng, marked=0.75)) if scene.lines["now"] else None


def diary(scene: Scene, rng: Random) -> Found:
    """What happened, as one of the two tells it."""
    person, key = rng.choice(list(zip(scene.roles, ("diary A", "diary B"), strict=True)))
    return ({"writer": person}, rng.choice(scene.lines[key])) if scene.lines[key] else None


def details(scene: Scene, rng: Random) -> Found:
    listed = "; ".join(f"{plain(name)}: {value}" for name, value in scene.details.items())
    return ({}, listed) if listed else None


def detail(scene: Scene, rng: Random) -> Found:
    if not scene.details:
        return None
    slot = rng.choice(sorted(scene.details))
    return {"slot": plain(slot)}, scene.details[slot]


def dropped(scene: Scene, rng: Random) -> Found:
    changes = [f"{plain(s)} from {old} to {scene.details[s]}" for s, old in scene.dropped.items() if s in scene.details]
    return {}, " and ".join(changes) or "nothing"


def speaker(scene: Scene, rng: Random) -> Found:
    who, text = rng.choice(scene.turns)
    return ({"quote": text}, who) if sum(t == text for _, t in scene.turns) == 1 else None


def reply(scene: Scene, rng: Random) -> Found:
    at = rng.randrange(len(scene.turns) - 1)
    quote = scene.turns[at][1]
    return ({"quote": quote}, scene.turns[at + 1][1]) if sum(t == quote for _, t in scene.turns) == 1 else None


def continued(scene: Scene, rng: Random) -> Found:
    at = rng.randrange(2, len(scene.turns))
    who, text = scene.turns[at]
    return {"person": who, "dialogue": "\n".join(f"{w}: {t}" for w, t in scene.turns[:at])}, text


def blanks(scene: Scene, rng: Random) -> Found:
    """T5's own span corruption, on whole words."""
    words = re.split(r"( |\n)", scene.dialogue)
    open_words = [i for i, word in enumerate(words) if word.strip() and not word.startswith("#Person")]
    starts = sorted(rng.sample(open_words, min(len(open_words), rng.randint(2, 5))))
    hidden, last = [], -1
    for start in starts:
        if start <= last + 1:
            continue
        stop = start + 2 * rng.randint(0, 2)
        while stop > start and (stop >= len(words) or "\n" in words[start:stop] or words[stop].startswith("#Person")):
            stop -= 2
        hidden.append((start, stop + 1))
        last = stop + 1
    answer = []
    for number, (start, stop) in reversed(list(enumerate(hidden))):
        answer.insert(0, f"<extra_id_{number}> {''.join(words[start:stop])}")
        words[start:stop] = [f"<extra_id_{number}>"]
    return {"dialogue": "".join(words)}, " ".join(answer)


def order(scene: Scene, rng: Random) -> Found:
    places = sorted(rng.sample(range(len(scene.turns)), 3))
    texts = [scene.turns[place][1] for place in places]
    if len(set(texts)) < 3:
        return None
    shuffled = rng.sample(range(3), 3)
    mixed = " ".join(f"({letter}) {texts[i]}" for letter, i in zip("abc", shuffled, strict=True))
    return {"mixed": mixed}, " ".join("abc"[shuffled.index(i)] for i in range(3))


def several(scene: Scene, rng: Random) -> Found:
    """Some short tasks at once: reading a dialogue is what costs, so one reading answers several."""
    asked: dict[str, str] = {}
    for task in rng.choices(list(SHORT), list(SHORT.values()), k=6):
        if found := TASKS[task](scene, rng):
            asked.setdefault(rng.choice(WORDINGS[task][0]).format(**(known(scene) | found[0])), found[1])
    pairs = list(asked.items())[:5]
    listed = " ".join(f"{number}. {instruction}" for number, (instruction, _) in enumerate(pairs, 1))
    return {"listed": listed}, " ".join(f"{number}. {answer}" for number, (_, answer) in enumerate(pairs, 1))


SHORT = {"question": 8, "detail": 4, "want": 1, "end": 1, "headline": 1, "role": 1, "speaker": 2, "dropped": 1}

TASKS: dict[str, Callable[[Scene, Random], Found]] = {
    "question": question,
    "topic": lambda scene, rng: ({}, scene.topic),
    "headline": headline,
    "want": want,
    "end": end,
    "tell": tell,
    "report": report,
    "now": now,
    "diary": diary,
    "details": details,
    "detail": detail,
    "dropped": dropped,
    "outcome": lambda scene, rng: ({}, scene.outcome),
    "role": lambda scene, rng: ({}, f"the {scene.roles['#Person1#']}"),
    "speaker": speaker,
    "reply": reply,
    "continue": continued,
    "blanks": blanks,
    "order": order,
    "several": several,
}


def people(text: str, scene: Scene, rng: Random, marked: float = 0.5) -> str:
    """A sentence of the two people, who go by their marks in this share of the time, else by their roles."""
    if rng.random() < marked:
        for person, role in scene.roles.items():
            text = re.sub(rf"\bthe {re.escape(role)}\b", person, text, flags=re.IGNORECASE)
    return text[0].upper() + text[1:]


def plain(slot: str) -> str:
    """The words of a slot's name."""
    return slot.replace("_", " ")


def asker(scene: Scene) -> str:
    """The person who wants something: A of the screenplay, whose role comes first."""
    return next(iter(scene.roles))


def pose(task: str, scene: Scene, rng: Random) -> tuple[str, str] | None:
    """The prompt and the answer of one task on one scene; None if the scene has nothing for it."""
    found = TASKS[task](scene, rng)
    if found is None:
        return None
    words = known(scene) | found[0]
    instructions, cues = WORDINGS[task]
    words["instruction"] = rng.choice(instructions).format(**words)
    words["cue"] = rng.choice(cues).format(**words)
    return rng.choice(LAYOUTS).format(**words), found[1]


def known(scene: Scene) -> dict[str, str]:
    """What every instruction may name."""
    a = asker(scene)
    b = "#Person1#" if a == "#Person2#" else "#Person2#"
    roles = {"asker": a, "role": scene.roles[a], "other": scene.roles[b], "person": "#Person1#"}
    return roles | {"dialogue": scene.dialogue}


def examples(scene: Scene, rng: Random, count: int) -> list[tuple[str, str, str]]:
    """`count` (task, prompt, answer) triples on one scene, tasks drawn by weight."""
    drawn = []
    for task in rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count):
        posed = pose(task, scene, rng)
        if posed:
            drawn.append((task, *posed))
    return drawn
