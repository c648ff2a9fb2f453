"""Write the card of the causal model from the log of its pre-training.

python data/causal_card.py
"""

import json
import math
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

HERE = Path(__file__).parent
FOLDER = HERE / "models" / "causal"
LOG = HERE / "recorded" / "pretrain_causal.jsonl"

CARD = """---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
---

# causal

A very small Llama, pre-trained from scratch on plain text: dialogues of `data/screenplay/`, each with an instruction
and its answer. These are the tasks that nano was pre-trained on; the summaries of the target task are not among them.
It is there for lab 7, which fine-tunes it with TRL, without a network. labkit's own methods are for encoder-decoders
such as nano, and do not take it.

| | |
|---|---|
| parameters | {parameters:,}, stored in bfloat16 |
| layers | {layers}, width {width}, {heads} heads, feed-forward {ff}; the output head is the table of embeddings |
| vocabulary | nano's {vocabulary} pieces (pad 0, eos 1, unk 2); nothing is put before or after a text |
| trained on | {examples:,} texts, each read once; batch {batch}, AdamW, highest learning rate {lr}, bfloat16 \
arithmetic over float32 weights |
| cost | {cpu:.1f} minutes of one core, {wall:.0f} by the clock, beside other work, torch {torch} |

## What it has learned

Loss a token, in nats, on 500 texts with names and facts that it has not met; the perplexity is its exponential: among
how many equally likely tokens one would have to guess to do as well.

| | loss | perplexity |
|---|---|---|
| untrained | {untrained:.2f} | {untrained_perplexity:,.0f} |
| each token as likely as it is in 5,000 texts to train on (unigram) | {unigram:.2f} | {unigram_perplexity:,.0f} |
| trained | {trained:.2f} | {trained_perplexity:,.1f} |

## The course of it

| texts | loss | validation loss |
|---|---|---|
{course}

Made by `data/pretrain_causal.py`, which resumes where it was stopped; its log is `data/recorded/pretrain_causal.jsonl`.

## Use it

```python
from labkit.paths import model_folder
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(model_folder("causal"))
net = AutoModelForCausalLM.from_pretrained(model_folder("causal"), dtype="float32")
```

## Limits

It goes on with the 43 situations of the corpus in their own phrases. In what we have read of it, it took up a word or
two of the dialogue and made up the rest. It is for learning how such a model is fine-tuned, not for use.
"""


def card() -> str:
    """The card as Markdown."""
    config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    setting, start, *log = (json.loads(line) for line in LOG.read_text(encoding="utf-8").splitlines())
    checked: list[dict[str, Any]] = [line for line in log if "validation_loss" in line]
    end = checked[-1]
    losses = {
        "untrained": start["validation_loss"],
        "unigram": start["unigram_loss"],
        "trained": end["validation_loss"],
    }
    return CARD.format(
        parameters=sum(weight.numel() for weight in load_file(FOLDER / "model.safetensors").values()),
        layers=config["num_hidden_layers"],
        width=config["hidden_size"],
        heads=config["num_attention_heads"],
        ff=config["intermediate_size"],
        vocabulary=config["vocab_size"],
        examples=end["examples"],
        batch=setting["batch"],
        lr=setting["options"]["lr"],
        cpu=end["cpu_seconds"] / 60,
        wall=end["seconds"] / 60,
        torch=setting["torch"],
        course="\n".join(f"| {o['examples']:,} | {o['loss']:.2f} | {o['validation_loss']:.2f} |" for o in checked),
        **losses,
        **{f"{name}_perplexity": math.exp(loss) for name, loss in losses.items()},
    )


if __name__ == "__main__":
    (FOLDER / "README.md").write_text(card(), encoding="utf-8")
