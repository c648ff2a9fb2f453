"""What the pre-trainings of the embedded models share: examples, batches, steps, checkpoints and the log.

The examples are the tasks of instructions.py, on dialogues of the train names and facts; no target summary is among
them. Options, hardware, loss, measurements and time go to data/recorded/pretrain_<name>.jsonl.
"""

import argparse
import itertools
import json
import os
import platform
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch
from drills import Example
from generate_dialogues import scene
from instructions import examples
from screenplay.engine import load_situations
from torch.utils.data import DataLoader, IterableDataset
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from labkit.compute.allocator import keep_freed_memory

HERE = Path(__file__).parent
SEED = 7
POOL = 1280
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
Batch = tuple[torch.Tensor, torch.Tensor]


def prompts(start: int, count: int, split: str = "train") -> Iterator[tuple[str, str]]:
    """Prompts and answers without end, from scene `start` on, `count` a scene."""
    situations = load_situations()
    for index in itertools.count(start):
        drawn = scene(situations, split, index, SEED)
        for _, prompt, answer in examples(drawn, Random(f"tasks {index}"), count):
            yield prompt, answer


def padded(rows: list[list[int]], fill: int) -> torch.Tensor:
    """Rows of ids as one tensor, filled up on the right to a multiple of 8: few shapes are fast shapes."""
    width = -(-max(map(len, rows)) // 8) * 8
    return torch.tensor([row + [fill] * (width - len(row)) for row in rows])


class Batches(IterableDataset[Batch]):
    """Batches of like length without end: POOL examples at a time are sorted, cut, and shuffled."""

    def __init__(self, stream: partial[Iterator[Example]], size: int, seed: int):
        self.stream, self.size, self.seed = stream, size, seed

    def __iter__(self) -> Iterator[Batch]:
        rng, stream = Random(self.seed), self.stream()
        while True:
            pool = sorted(itertools.islice(stream, POOL), key=lambda example: (len(example[0]), len(example[1])))
            cut = [pool[at : at + self.size] for at in range(0, POOL, self.size)]
            rng.shuffle(cut)
            for batch in cut:
                yield padded([source for source, _ in batch], 0), padded([target for _, target in batch], -100)


def new_optimizer(model: PreTrainedModel, rate: float) -> torch.optim.AdamW:
    """AdamW that pulls matrices towards 0 and leaves the norms alone."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True)


class Pretraining(ABC):
    """One pre-training, as it stands: everything that a checkpoint holds, and where it goes."""

    batch = 32
    warmup = 6_000  # examples, as are those below
    log_every = 8_000

    def __init__(self, options: argparse.Namespace, tokenizer: PreTrainedTokenizerFast, model: PreTrainedModel):
        self.options, self.tokenizer, self.model = options, tokenizer, model.to(DEVICE)
        self.work = HERE / ".pretrain" / options.name
        self.log = HERE / "recorded" / f"pretrain_{options.name}.jsonl"
        self.optimizer = new_optimizer(model, options.lr)
        self.state: dict[str, Any] = {"seen": 0, "scene": 0, "seconds": 0.0, "cpu_seconds": 0.0}
        self.resume()

    @abstractmethod
    def batches(self) -> Iterator[Batch]:
        """What is read, from the state on, without end; counts the scenes in the state."""

    @abstractmethod
    def measure(self, done: bool) -> dict[str, Any]:
        """How good the model is, on names and facts that it has not met; at length when all is done."""

    @abstractmethod
    def export(self, folder: Path) -> None:
        """Write the finished model."""

    def ready(self, stream: partial[Iterator[Example]], seed: int) -> Iterator[Batch]:
        """Batches of a stream, made by a process beside this one."""
        return iter(DataLoader(Batches(stream, self.batch, seed), batch_size=None, num_workers=1, prefetch_factor=8))

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
            self.state |= kept["state"]
        lines = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        setting = {"options": vars(self.options), "batch": self.batch, "device": DEVICE.type, "cores": os.cpu_count()}
        setting |= {"threads": torch.get_num_threads(), "torch": torch.__version__, "machine": platform.machine()}
        kept_lines = [line for line in lines if "examples" in line and line["examples"] <= self.state["seen"] > 0]
        self.log.parent.mkdir(exist_ok=True)
        self.log.write_text("".join(json.dumps(line) + "\n" for line in [setting, *kept_lines]))

    def note(self, line: dict[str, Any]) -> None:
        """Add a line to the log, and show it."""
        with self.log.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)

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
            group["lr"] = self.options.lr * min(1.0, (self.state["seen"] + self.batch) / self.warmup) * max(left, 0.01)
        with torch.autocast(DEVICE.type, torch.bfloat16):
            loss = compiled(input_ids=sources, attention_mask=sources.ne(0), labels=targets, use_cache=False).loss
        if not torch.isfinite(loss):
            raise SystemExit(f"the loss is {loss.item()} after {self.state['seen']} examples: lower --lr")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.state["seen"] += self.batch
        return loss.item()

    def run(self) -> None:
        """All steps that are left, with a line in the log now and then, and the export."""
        keep_freed_memory()
        set_verbosity_error()
        disable_progress_bar()
        print(
            f"{self.model.num_parameters():,} parameters, {len(self.tokenizer)} pieces, from {self.state}", flush=True
        )
        batches = self.batches()
        compiled = torch.compile(self.model, dynamic=True)  # faster steps, after a minute of compiling
        losses: list[float] = []
        began = checked = time.time()
        computed = time.process_time()
        self.model.train()
        while self.state["seen"] < self.options.examples:
            losses.append(self.step(compiled, next(batches)))
            done = self.state["seen"] >= self.options.examples
            if not done and self.state["seen"] % self.log_every:
                continue
            self.state["seconds"] += time.time() - began
            self.state["cpu_seconds"] += time.process_time() - computed  # of all threads, without the other process
            line = {"examples": self.state["seen"]}
            line |= {key: round(self.state[key]) for key in ("seconds", "cpu_seconds")}
            line |= {"loss": round(sum(losses) / len(losses), 4)}
            if done or time.time() - checked > self.options.check_minutes * 60:
                self.model.eval()
                line |= self.measure(done)
                self.model.train()
                self.save()
                checked = time.time()
            self.note(line)
            began, computed, losses = time.time(), time.process_time(), []
        self.export(HERE / "models" / self.options.name)
