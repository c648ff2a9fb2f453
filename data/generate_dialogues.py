"""Write the embedded corpus, or show what one screenplay gives.

python data/generate_dialogues.py                              # writes data/dialogues/
python data/generate_dialogues.py --show restaurant_table      # prints and checks one situation
"""

import argparse
import gzip
import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

from screenplay.engine import SLOT, TALES, Scene, Situation, common, draw, load_situations

HERE = Path(__file__).parent
FOLDER = HERE / "dialogues"
SIZES = {"train": 10_000, "validation": 500, "test": 500}
REFERENCES = {"train": 1, "validation": 1, "test": 3}
SHARES = ["test", "validation", "train", "train"]
SEED = 2026


def scene(situations: list[Situation], split: str, index: int, seed: int = SEED) -> Scene:
    """Scene `index` of a split: the same whatever else is generated."""
    rng = Random(f"{seed} {split} {index}")
    return draw(rng.choice(situations), split, rng)


def row(situations: list[Situation], split: str, index: int) -> dict[str, Any]:
    """Row `index` of a split, in DialogSum's form, with the event frame and the action items beside it."""
    rng = Random(f"{SEED} {split} {index}")
    situation, wanted = rng.choice(situations), REFERENCES[split]
    summaries: list[str] = []
    while len(summaries) < wanted:
        drawn = draw(situation, split, rng)
        # a summary may tell few facts, so its text as a whole also belongs to one split only
        summaries = [text for text in dict.fromkeys(drawn.lines["sum"]) if SHARES[crc32(text.encode()) % 4] == split]
    return {
        "id": f"{split}_{index}",
        "dialogue": drawn.dialogue,
        "summaries": rng.sample(summaries, wanted),
        "topic": drawn.topic,
        "frame": {
            "situation": drawn.situation,
            "outcome": drawn.outcome,
            "details": [[name, value] for name, value in drawn.details.items()],
        },
        "actions": drawn.actions,
    }


def as_line(row: dict[str, Any]) -> str:
    """A row as it stands in the file."""
    return json.dumps(row, separators=(",", ":"))


def write() -> None:
    """Write every generated split; a file appears only when it is complete."""
    situations = load_situations()
    for split, size in SIZES.items():
        lines = [as_line(row(situations, split, index)) for index in range(size)]
        text = ("\n".join(lines) + "\n").encode()
        target = FOLDER / (f"{split}.jsonl.gz" if split == "train" else f"{split}.jsonl")  # the large one compressed
        target.with_suffix(".new").write_bytes(gzip.compress(text, mtime=0) if target.suffix == ".gz" else text)
        target.with_suffix(".new").replace(target)
        print(f"{target.relative_to(HERE.parent)}: {size} dialogues")


def show(name: str, count: int) -> None:
    """Print some dialogues of one situation, and everything that looks wrong with it."""
    situation = next(s for s in load_situations() if s.name == name)
    names = {n for slot_names, _ in situation.pools for n in slot_names} | {"A.name", "B.name", "A", "B"}
    names |= {n for slot_names, _ in common()[situation.tone].pools for n in slot_names}
    texts = [t for scenes in situation.scenes.values() for turns in scenes for _, t in turns]
    texts += [t for story in situation.stories for lines in story.lines.values() for t in lines]
    for slot in {match[1] for text in texts for match in SLOT.findall(text)} - names:
        print(f"PROBLEM: unknown slot {slot}")
    for text in texts:
        if text.count("[") != text.count("]") or text.count("{") != text.count("}"):
            print(f"PROBLEM: brackets do not match: {text}")
    plans = " ".join(plan for story in situation.stories for plan in story.plans)
    used = {step.rstrip("?").split("(")[0] for group in plans.split() for step in group.split("/")}
    for unused in set(situation.scenes) - {u.rstrip(")") for u in used}:
        print(f"PROBLEM: scene {unused} is in no plan")
    stats: Counter[str] = Counter()
    for index in range(300):
        drawn = draw(situation, "train", Random(f"show {index}"))
        stats["turns"] += len(drawn.turns)
        stats["words"] += len(drawn.dialogue.split())
        stats["summary words"] += sum(len(s.split()) for s in drawn.lines["sum"][:1])
        stats["questions"] += len(drawn.lines["q"])
        if len(drawn.lines["sum"]) < 4:
            print(f"PROBLEM: only {len(drawn.lines['sum'])} summaries fit ({drawn.story}); say less or more in them")
        for key in ("headline", "want", "end", *TALES):
            if not drawn.lines[key]:
                print(f"PROBLEM: no {key} fits ({drawn.story})")
        if index < count:
            print(f"\n({drawn.story}, {drawn.outcome}; {drawn.topic})\n{drawn.dialogue}")
            print("\n".join([f"  S {line}" for line in drawn.lines["sum"]] + [f"  todo {a}" for a in drawn.actions]))
            print("\n".join(f"  Q {line}" for line in drawn.lines["q"]))
            print("\n".join(f"  {key}: {line}" for key in TALES for line in drawn.lines[key]))
    print({key: value / 300 for key, value in stats.items()})
    print({story.name: len(story.lines["sum"]) for story in situation.stories})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", metavar="SITUATION", help="print and check dialogues of one screenplay")
    parser.add_argument("--count", type=int, default=6, help="how many to print")
    options = parser.parse_args()
    if options.show:
        show(options.show, options.count)
    else:
        write()
