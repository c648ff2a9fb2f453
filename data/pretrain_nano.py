"""Pre-train the nano model from scratch on instruction tasks; run again to resume from the last checkpoint.

    python data/pretrain_nano.py                                   # nano itself, on 2 cores or on a GPU
    python data/pretrain_nano.py --name trial --examples 60000     # a quick trial, beside it

The tasks are those of instructions.py, on dialogues of the train names and facts; no target summary is among
them. Options, hardware, loss, accuracy per task and time go to data/recorded/pretrain_<name>.jsonl.
"""

import argparse
import itertools
import json
import os
import platform
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch
from drills import Drills, Example
from generate_dialogues import scene
from instructions import TASKS, examples, pose
from nano_tokenizer import train_tokenizer
from screenplay.engine import load_situations
from torch.utils.data import DataLoader, IterableDataset
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration
from transformers.models.t5.modeling_t5 import T5DenseGatedActDense
from transformers.utils.logging import disable_progress_bar, set_verbosity_error
from wiring import wire

HERE = Path(__file__).parent
SEED = 7
TASKS_PER_SCENE = 5
BATCH = 32
POOL = 40 * BATCH
WARMUP = 6_000
LOG_EVERY = 250 * BATCH
LONGEST_PROMPT, LONGEST_ANSWER = 320, 96
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
Batch = tuple[torch.Tensor, torch.Tensor]


def prompts(start: int) -> Iterator[tuple[str, str]]:
    """Prompts and answers without end, from scene `start` on."""
    situations = load_situations()
    for index in itertools.count(start):
        drawn = scene(situations, "train", index, SEED)
        for _, prompt, answer in examples(drawn, Random(f"tasks {index}"), TASKS_PER_SCENE):
            yield prompt, answer


def dialogue_examples(tokenizer: PreTrainedTokenizerFast, start: int) -> Iterator[Example]:
    """Prompts and answers as ids, POOL at a time, since a tokenizer is fast on many texts."""
    stream = prompts(start)
    while True:
        asked, answers = zip(*itertools.islice(stream, POOL), strict=True)
        sources = tokenizer(list(asked), truncation=True, max_length=LONGEST_PROMPT)["input_ids"]
        targets = tokenizer(list(answers), truncation=True, max_length=LONGEST_ANSWER)["input_ids"]
        yield from zip(sources, targets, strict=True)


def drill_examples(tokenizer: PreTrainedTokenizerFast, start: int) -> Iterator[Example]:
    """Copying drills without end."""
    return Drills(tokenizer).stream(SEED + start)


def padded(rows: list[list[int]], fill: int) -> torch.Tensor:
    """Rows of ids as one tensor, filled up on the right to a multiple of 8: few shapes are fast shapes."""
    width = -(-max(map(len, rows)) // 8) * 8
    return torch.tensor([row + [fill] * (width - len(row)) for row in rows])


class Batches(IterableDataset[Batch]):
    """Batches of like length without end: POOL examples at a time are sorted, cut, and shuffled."""

    def __init__(self, stream: partial[Iterator[Example]], seed: int):
        self.stream, self.seed = stream, seed

    def __iter__(self) -> Iterator[Batch]:
        rng, stream = Random(self.seed), self.stream()
        while True:
            pool = sorted(itertools.islice(stream, POOL), key=lambda example: (len(example[0]), len(example[1])))
            cut = [pool[at : at + BATCH] for at in range(0, POOL, BATCH)]
            rng.shuffle(cut)
            for batch in cut:
                yield padded([source for source, _ in batch], 0), padded([target for _, target in batch], -100)


def ready(stream: partial[Iterator[Example]], seed: int) -> Iterator[Batch]:
    """The same batches, made by a process beside this one."""
    return iter(DataLoader(Batches(stream, seed), batch_size=None, num_workers=1, prefetch_factor=8))


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
    return model.to(DEVICE)


def new_optimizer(model: T5ForConditionalGeneration, options: argparse.Namespace) -> torch.optim.AdamW:
    """AdamW that pulls matrices towards 0 and leaves the norms alone."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=options.lr, betas=(0.9, 0.98), fused=True)


@torch.no_grad()
def accuracy(model: T5ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, count: int) -> dict[str, float]:
    """Share of exactly right answers per task, on `count` scenes with names and facts of the validation split."""
    model.eval()
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
    model.train()
    return right


def export(model: T5ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the finished model in bfloat16, half the size of float32; the trained head stays untied."""
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"tie_word_embeddings": False, "dropout_rate": 0.1}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


@dataclass
class Pretraining:
    """One pre-training, as it stands: everything that a checkpoint holds, and where it goes."""

    options: argparse.Namespace
    work: Path
    log: Path
    tokenizer: PreTrainedTokenizerFast
    model: T5ForConditionalGeneration
    optimizer: torch.optim.AdamW
    state: dict[str, Any] = field(default_factory=lambda: {"seen": 0, "scene": 0, "seconds": 0.0})

    @classmethod
    def start(cls, options: argparse.Namespace) -> "Pretraining":
        """From the last checkpoint if there is one, else from scratch."""
        torch.manual_seed(SEED)
        work = HERE / ".pretrain" / options.name
        if not (work / "tokenizer").exists():
            texts = (text for pair in itertools.islice(prompts(10**9), 60_000) for text in pair)
            train_tokenizer(texts, options.vocabulary).save_pretrained(work / "tokenizer")
        tokenizer = PreTrainedTokenizerFast.from_pretrained(work / "tokenizer")
        model = new_model(options, len(tokenizer))
        log = HERE / "recorded" / f"pretrain_{options.name}.jsonl"
        self = cls(options, work, log, tokenizer, model, new_optimizer(model, options))
        self.resume()
        return self

    @property
    def fixed(self) -> dict[str, Any]:
        """The options that a training cannot change on its way."""
        return {name: value for name, value in vars(self.options).items() if name not in ("examples", "check_minutes")}

    def resume(self) -> None:
        """Take up the last checkpoint, and drop what was logged after it."""
        if (self.work / "last" / "all.pt").exists():
            kept = torch.load(self.work / "last" / "all.pt", weights_only=True, map_location=DEVICE)
            if kept["options"] != self.fixed:
                raise SystemExit(f"{self.work} was begun with {kept['options']}: delete it, or go on with these")
            self.model.load_state_dict(kept["model"])
            self.optimizer.load_state_dict(kept["optimizer"])
            self.state = kept["state"]
        lines = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        setting = {"options": vars(self.options), "batch": BATCH, "device": DEVICE.type, "cores": os.cpu_count()}
        setting |= {"torch": torch.__version__, "machine": platform.machine()}
        kept_lines = [line for line in lines if 0 < line.get("examples", 0) <= self.state["seen"]]
        self.log.parent.mkdir(exist_ok=True)
        self.log.write_text("".join(json.dumps(line) + "\n" for line in [setting, *kept_lines]))

    def save(self) -> None:
        """Write a checkpoint beside the last one, then put it in its place."""
        fresh, last = self.work / "new", self.work / "last"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        everything = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "state": self.state}
        everything["options"] = self.fixed
        torch.save(everything, fresh / "all.pt")
        shutil.rmtree(last, ignore_errors=True)
        os.replace(fresh, last)

    def step(self, compiled: Any, batch: Batch) -> float:
        """One step of the optimiser; returns the loss."""
        sources, targets = (part.to(DEVICE) for part in batch)
        left = 1 - self.state["seen"] / self.options.examples
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.lr * min(1.0, (self.state["seen"] + BATCH) / WARMUP) * max(left, 0.01)
        with torch.autocast(DEVICE.type, torch.bfloat16):
            loss = compiled(input_ids=sources, attention_mask=sources.ne(0), labels=targets, use_cache=False).loss
        if not torch.isfinite(loss):
            raise SystemExit(f"the loss is {loss.item()} after {self.state['seen']} examples: lower --lr")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.state["seen"] += BATCH
        return loss.item()

    def run(self) -> None:
        """All steps that are left, with a line in the log now and then, and the export."""
        print(
            f"{self.model.num_parameters():,} parameters, {len(self.tokenizer)} pieces, from {self.state}", flush=True
        )
        drills = ready(partial(drill_examples, self.tokenizer, self.state["seen"]), SEED)
        tasks = ready(partial(dialogue_examples, self.tokenizer, self.state["scene"]), SEED + self.state["seen"])
        compiled = torch.compile(self.model, dynamic=True)  # faster steps, after a minute of compiling
        losses: list[float] = []
        began = checked = time.time()
        self.model.train()
        while self.state["seen"] < self.options.examples:
            drilling = self.state["seen"] < self.options.drills
            losses.append(self.step(compiled, next(drills if drilling else tasks)))
            self.state["scene"] += 0 if drilling else BATCH // TASKS_PER_SCENE + 1
            done = self.state["seen"] >= self.options.examples
            if not done and self.state["seen"] % LOG_EVERY:
                continue
            self.state["seconds"] += time.time() - began
            line = {"examples": self.state["seen"], "seconds": round(self.state["seconds"])}
            line |= {"loss": round(sum(losses) / len(losses), 4)}
            if done or time.time() - checked > self.options.check_minutes * 60:
                line["accuracy"] = accuracy(self.model, self.tokenizer, 200 if done else 40)
                self.save()
                checked = time.time()
            with self.log.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)
            began, losses = time.time(), []
        export(self.model, self.tokenizer, HERE / "models" / self.options.name)


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
    set_verbosity_error()
    disable_progress_bar()
    Pretraining.start(options).run()


if __name__ == "__main__":
    main()
