"""Pre-train the nano model from scratch on instruction tasks; run again to resume from the last checkpoint.

    python data/pretrain_nano.py                                   # nano itself, on 2 cores or on a GPU
    python data/pretrain_nano.py --name trial --examples 60000     # a quick trial, beside it

What it reads, and where its log goes: see pretraining.py.
"""

import argparse
import itertools
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch
from drills import Drills, Example
from generate_dialogues import scene
from instructions import TASKS, pose
from nano_tokenizer import train_tokenizer
from pretraining import DEVICE, HERE, POOL, SEED, Batch, Pretraining, padded, prompts
from screenplay.engine import load_situations
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration
from transformers.models.t5.modeling_t5 import T5DenseGatedActDense
from wiring import wire

TASKS_PER_SCENE = 5
LONGEST_PROMPT, LONGEST_ANSWER = 320, 96


def dialogue_examples(tokenizer: PreTrainedTokenizerFast, start: int) -> Iterator[Example]:
    """Prompts and answers as ids, POOL at a time, since a tokenizer is fast on many texts."""
    stream = prompts(start, TASKS_PER_SCENE)
    while True:
        asked, answers = zip(*itertools.islice(stream, POOL), strict=True)
        sources = tokenizer(list(asked), truncation=True, max_length=LONGEST_PROMPT)["input_ids"]
        targets = tokenizer(list(answers), truncation=True, max_length=LONGEST_ANSWER)["input_ids"]
        yield from zip(sources, targets, strict=True)


def drill_examples(tokenizer: PreTrainedTokenizerFast, start: int) -> Iterator[Example]:
    """Copying drills without end."""
    return Drills(tokenizer).stream(SEED + start)


def new_model(options: argparse.Namespace, vocabulary: int) -> T5ForConditionalGeneration:
    """A fresh T5 of FLAN-T5's architecture, with an output head of its own."""
    config = T5Config(
        vocab_size=vocabulary,
        d_model=options.width,
        d_ff=2 * options.width,
        d_kv=options.head_width,
        num_heads=options.width // options.head_width,
        num_layers=options.layers,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,  # every example is new, so nothing can be learned by heart
        decoder_start_token_id=0,
        n_positions=512,
        tie_word_embeddings=False,
    )
    config._attn_implementation = "eager"  # faster than sdpa on a CPU, since the position bias needs a gradient
    model = T5ForConditionalGeneration(config)
    # transformers ties every T5's head to its embeddings; FLAN-T5 has a head of its own, and so has nano
    model.lm_head = torch.nn.Linear(config.d_model, vocabulary, bias=False)
    wire(model)
    for module in model.modules():
        if isinstance(module, T5DenseGatedActDense):
            module.act = torch.nn.GELU(approximate="tanh")  # the same function in one fused step
    return model


@torch.no_grad()
def accuracy(model: T5ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, count: int) -> dict[str, float]:
    """Share of exactly right answers per task, on `count` scenes with names and facts of the validation split."""
    situations, right = load_situations(), {}
    for task in TASKS:
        posed = (pose(task, scene(situations, "validation", i, SEED), Random(f"{task} {i}")) for i in range(count))
        asked, answers = zip(*(pair for pair in posed if pair), strict=True)
        source = padded(tokenizer(list(asked), truncation=True, max_length=LONGEST_PROMPT)["input_ids"], 0).to(DEVICE)
        out = model.generate(
            input_ids=source, attention_mask=source.ne(0), max_new_tokens=LONGEST_ANSWER, do_sample=False
        )
        said = [[i for i in row if i] for row in out.tolist()]
        wanted = tokenizer(list(answers))["input_ids"]
        right[task] = round(sum(s == w for s, w in zip(said, wanted, strict=True)) / len(wanted), 3)
    return right


class Nano(Pretraining):
    """Nano's pre-training: copying drills first, then tasks."""

    def batches(self) -> Iterator[Batch]:
        """Drills until there were enough, then tasks."""
        drills = self.ready(partial(drill_examples, self.tokenizer, self.state["seen"]), SEED)
        tasks = self.ready(partial(dialogue_examples, self.tokenizer, self.state["scene"]), SEED + self.state["seen"])
        while True:
            drilling = self.state["seen"] < self.options.drills
            self.state["scene"] += 0 if drilling else self.batch // TASKS_PER_SCENE + 1
            yield next(drills if drilling else tasks)

    def measure(self, done: bool) -> dict[str, Any]:
        """Accuracy per task."""
        return {"accuracy": accuracy(self.model, self.tokenizer, 200 if done else 40)}

    def export(self, folder: Path) -> None:
        """Write the model in bfloat16, half the size of float32; the trained head stays untied."""
        self.model.to(torch.bfloat16).save_pretrained(folder)
        self.tokenizer.backend_tokenizer.no_truncation()
        self.tokenizer.backend_tokenizer.no_padding()
        self.tokenizer.save_pretrained(folder)
        config = json.loads((folder / "config.json").read_text())
        config |= {"tie_word_embeddings": False, "dropout_rate": 0.1}
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def own_tokenizer(options: argparse.Namespace) -> PreTrainedTokenizerFast:
    """The tokenizer of a model, trained where there is none yet."""
    folder = HERE / ".pretrain" / options.name / "tokenizer"
    if not folder.exists():
        pairs = itertools.islice(prompts(10**9, TASKS_PER_SCENE), 60_000)
        train_tokenizer((text for pair in pairs for text in pair), options.vocabulary).save_pretrained(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def main() -> None:
    """Read the options and go."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="nano", help="the model goes to data/models/<name>, over what is there")
    parser.add_argument("--examples", type=int, default=560_000)
    parser.add_argument("--drills", type=int, default=20_000, help="how many of them are copying drills, at the start")
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--head-width", type=int, default=32)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--vocabulary", type=int, default=3000)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--check-minutes", type=float, default=10)
    options = parser.parse_args()
    if options.examples <= options.drills:
        parser.error(f"--examples {options.examples} are all drills: give more than --drills, {options.drills}")
    torch.manual_seed(SEED)
    tokenizer = own_tokenizer(options)
    Nano(options, tokenizer, new_model(options, len(tokenizer))).run()


if __name__ == "__main__":
    main()
