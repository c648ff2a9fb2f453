"""Write the card of a pre-trained model from the log of its pre-training.

python data/model_card.py nano
"""

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

CARD = """---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: summarization
---

# {name}

A small T5 of FLAN-T5's architecture (gated GELU, an output head of its own), pre-trained from scratch on instruction
tasks over the dialogues of `data/screenplay/`: it was taught to do what is asked about a dialogue, and never saw a
summary of the target task. So it stands to that task as FLAN-T5 stands to DialogSum. Some of its tasks retell the same
stories in other words (short reports in the past tense, minutes in the present tense, diary entries, what is wanted
and how it ends), as FLAN-T5's tasks held other kinds of summaries; asked to "summarize" and nothing else, it was shown
topics and headlines.

| | |
|---|---|
| parameters | {parameters:,}, stored in bfloat16 |
| layers | {layers} + {layers}, width {width}, {heads} heads, feed-forward {ff} |
| vocabulary | {vocabulary} pieces (SentencePiece Unigram; pad 0, eos 1, unk 2, sentinels last) |
| trained on | {drills:,} copying drills, then {tasks_seen:,} tasks, each example new; batch {batch}, AdamW, highest \
learning rate {lr}, bfloat16 arithmetic over float32 weights |
| cost | {minutes:.0f} minutes on {hardware}, at times shared with other work, torch {torch} |
| loss | {first_loss:.2f} after {first_examples:,} examples, {last_loss:.2f} at the end |

## What it can do

Share of answers that are right to the letter, on dialogues with names and facts that it has not met. Where many answers
would be right (topic, headline, tell, report, now, diary, reply, continue, blanks), few are the same to the letter.

| task | an example of the instruction | right |
|---|---|---|
{tasks}

## The course of it

| examples | loss | question | detail | headline | tell |
|---|---|---|---|---|---|
{course}

Made by `data/pretrain_nano.py`, which resumes where it was stopped; its log is `data/recorded/pretrain_{name}.jsonl`.
It starts with attention that can copy: see `data/wiring.py`.

## Limits

It knows 43 everyday situations and a few thousand words, and little else: outside of them it guesses. It copies
unknown names letter by letter, and sometimes misspells them. {limits}
"""

LIMITS = """Fine-tuned for a few hundred steps, it writes summaries
with many of the right words, mostly in whole sentences, of which many say something wrong. It is for learning how
fine-tuning works, not for use."""
OTHER_SIZE = """It is there to stand beside nano, which was
pre-trained in the same way: `data/record_sizes.py` compares what fine-tuning makes of them."""


def card(name: str) -> str:
    """The card as Markdown."""
    from wordings import WORDINGS

    from labkit.parameters import shape_of

    config = json.loads((HERE / "models" / name / "config.json").read_text(encoding="utf-8"))
    log: list[dict[str, Any]] = [
        json.loads(line) for line in (HERE / "recorded" / f"pretrain_{name}.jsonl").read_text("utf-8").splitlines()
    ]
    setting, options = log[0], log[0]["options"]
    log = log[1:]
    threads = setting.get("threads", setting["cores"])
    checked = [line for line in log if "accuracy" in line]
    final = checked[-1]["accuracy"]
    asked = {"q": "What time is the table for?", "asker": "#Person1#", "person": "#Person1#", "slot": "price"}
    asked |= {"writer": "#Person1#", "quote": "Six, then."}
    asked |= {"mixed": "(a) ... (b) ... (c) ...", "listed": "1. ... 2. ... 3. ..."}
    tasks = [f"| {task} | {WORDINGS[task][0][0].format(**asked)} | {final[task]:.0%} |" for task in final]
    shown = ("question", "detail", "headline", "tell")
    course = [
        f"| {line['examples']:,} | {line['loss']:.2f} | "
        + " | ".join(f"{line['accuracy'][t]:.0%}" for t in shown)
        + " |"
        for line in checked
    ]
    return CARD.format(
        name=name,
        parameters=shape_of(name).total,
        layers=config["num_layers"],
        width=config["d_model"],
        heads=config["num_heads"],
        ff=config["d_ff"],
        vocabulary=config["vocab_size"],
        drills=options["drills"],
        tasks_seen=log[-1]["examples"] - options["drills"],
        batch=setting["batch"],
        lr=options["lr"],
        hardware="a GPU" if setting["device"] == "cuda" else f"{threads} CPU {'core' if threads == 1 else 'cores'}",
        torch=setting["torch"],
        minutes=log[-1]["seconds"] / 60,
        first_loss=log[0]["loss"],
        first_examples=log[0]["examples"],
        last_loss=log[-1]["loss"],
        tasks="\n".join(tasks),
        course="\n".join(course),
        limits=LIMITS if name == "nano" else OTHER_SIZE,
    )


if __name__ == "__main__":
    chosen = sys.argv[1] if len(sys.argv) > 1 else "nano"
    (HERE / "models" / chosen / "README.md").write_text(card(chosen), encoding="utf-8")
