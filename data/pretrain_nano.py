"""Pre-train the nano model from scratch on instruction tasks; run again to resume from the last checkpoint.

    python data/pretrain_nano.py                      # about an hour on 2 cores
    python data/pretrain_nano.py --examples 20000     # a quick trial

The tasks are those of instructions.py, on dialogues of the train names and facts; no target summary is among
them. Loss, accuracy per task and time go to data/recorded/pretrain_<name>.jsonl.
"""

import argparse
import itertools
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import torch
from drills import Drills, Example
from generate_dialogues import scene
from instructions import TASKS, examples, pose
from nano_tokenizer import train_tokenizer
from screenplay.engine import load_situations
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration
from transformers.models.t5.modeling_t5 import T5Attention, T5DenseGatedActDense
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

HERE = Path(__file__).parent
SEED = 7
TASKS_PER_SCENE = 5
BATCH = 32
POOL = 40 * BATCH
WARMUP = 6_000
LONGEST_PROMPT, LONGEST_ANSWER = 320, 96


def prompts(start: int) -> Iterator[tuple[str, str]]:
    """Prompts and answers without end, from scene `start` on."""
    situations = load_situations()
    index = start
    while True:
        drawn = scene(situations, "train", index, SEED)
        for _, prompt, answer in examples(drawn, Random(f"tasks {index}"), TASKS_PER_SCENE):
            yield prompt, answer
        index += 1


def encoded(tokenizer: PreTrainedTokenizerFast, start: int) -> Iterator[Example]:
    """Prompts and answers as ids, POOL at a time, since a tokenizer is fast on many texts."""
    stream = prompts(start)
    while True:
        asked, answers = zip(*itertools.islice(stream, POOL), strict=True)
        sources = tokenizer(list(asked), truncation=True, max_length=LONGEST_PROMPT)["input_ids"]
        targets = tokenizer(list(answers), truncation=True, max_length=LONGEST_ANSWER)["input_ids"]
        yield from zip(sources, targets, strict=True)


def batches(stream: Iterator[Example], seed: int) -> Iterator[list[Example]]:
    """Batches of like length: POOL examples at a time are sorted, cut, and shuffled."""
    rng = Random(seed)
    while True:
        pool = sorted(itertools.islice(stream, POOL), key=lambda example: (len(example[0]), len(example[1])))
        cut = [pool[at : at + BATCH] for at in range(0, POOL, BATCH)]
        rng.shuffle(cut)
        yield from cut


def padded(rows: list[list[int]], fill: int) -> torch.Tensor:
    """Rows of ids as one tensor, filled up on the right to a multiple of 8: few shapes are fast shapes."""
    width = -(-max(map(len, rows)) // 8) * 8
    return torch.tensor([row + [fill] * (width - len(row)) for row in rows])


def new_model(size: dict[str, int], vocabulary: int) -> T5ForConditionalGeneration:
    """A fresh T5 of FLAN-T5's architecture, with an output head of its own."""
    config = T5Config(
        vocab_size=vocabulary,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,  # every example is new, so nothing can be learned by heart
        decoder_start_token_id=0,
        n_positions=512,
        tie_word_embeddings=False,
        **size,
    )
    config._attn_implementation = "eager"  # a third faster than sdpa here: the position bias needs a gradient
    model = T5ForConditionalGeneration(config)
    # transformers ties every T5's head to its embeddings; FLAN-T5 has a head of its own, and so has nano
    head = torch.nn.Linear(config.d_model, vocabulary, bias=False)
    model.lm_head = head
    look_alike(model)
    for module in model.modules():
        if isinstance(module, T5DenseGatedActDense):
            module.act = torch.nn.GELU(approximate="tanh")  # the same function in one fused step
    return model


@torch.no_grad()
def look_alike(model: T5ForConditionalGeneration) -> None:
    """Start with attention that looks for what is like itself and passes it on, and a head that says it.

    So copying is there from the start, and need not be found. (Trockman and Kolter 2023, "Mimetic initialization of
    self-attention layers", arXiv:2305.09828)
    """
    for module in model.modules():
        if isinstance(module, T5Attention):
            torch.nn.init.orthogonal_(module.k.weight)
            torch.nn.init.orthogonal_(module.v.weight)
            module.q.weight.copy_(0.2 * module.k.weight)
            module.o.weight.copy_(module.v.weight.T)
    model.lm_head.weight.copy_(model.shared.weight * model.config.d_model**-0.5)


@torch.no_grad()
def accuracy(model: T5ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, count: int) -> dict[str, float]:
    """Share of exactly right answers per task, on scenes with names and facts of the validation split."""
    model.eval()
    situations, right = load_situations(), {}
    for task in TASKS:
        posed = (pose(task, scene(situations, "validation", i, SEED), Random(f"{task} {i}")) for i in range(count))
        pairs = [pair for pair in posed if pair]
        asked = tokenizer(
            [p for p, _ in pairs], padding=True, truncation=True, max_length=LONGEST_PROMPT, return_tensors="pt"
        )
        out = model.generate(
            input_ids=asked.input_ids, attention_mask=asked.attention_mask, max_new_tokens=60, do_sample=False
        )
        said = tokenizer.batch_decode(out, skip_special_tokens=task != "blanks")
        said = [s.replace("<pad>", "").replace("</s>", "").strip() for s in said]
        right[task] = round(sum(s == a.strip() for s, (_, a) in zip(said, pairs, strict=True)) / len(pairs), 3)
    model.train()
    return right


def save(folder: Path, model: T5ForConditionalGeneration, optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Write a checkpoint beside the last one, then put it in its place."""
    fresh = folder.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "state": state}, fresh / "all.pt")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(fresh, folder)


def export(model: T5ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the finished model in bfloat16, half the size of float32; the trained head stays untied."""
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"tie_word_embeddings": False, "dropout_rate": 0.1}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def train(options: argparse.Namespace) -> None:
    """The whole pre-training, from the last checkpoint if there is one."""
    set_verbosity_error()
    disable_progress_bar()
    torch.manual_seed(SEED)
    work = HERE / ".pretrain" / options.name
    log = HERE / "recorded" / f"pretrain_{options.name}.jsonl"
    log.parent.mkdir(exist_ok=True)
    if (work / "tokenizer").exists():
        tokenizer = PreTrainedTokenizerFast.from_pretrained(work / "tokenizer")
    else:
        texts = (text for text, answer in itertools.islice(prompts(10**9), 60_000) for text in (text, answer))
        tokenizer = train_tokenizer(texts, options.vocabulary)
        tokenizer.save_pretrained(work / "tokenizer")
    size = {"d_model": options.width, "d_ff": 2 * options.width, "d_kv": options.head_width}
    size |= {"num_heads": options.width // options.head_width, "num_layers": options.layers}
    model = new_model(size, len(tokenizer))
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=options.lr, betas=(0.9, 0.98), fused=True)
    state = {"seen": 0, "scene": 0, "seconds": 0.0}
    if (work / "last" / "all.pt").exists():
        kept = torch.load(work / "last" / "all.pt", weights_only=True)
        model.load_state_dict(kept["model"])
        optimizer.load_state_dict(kept["optimizer"])
        state = kept["state"]
    elif log.exists():
        log.unlink()
    print(
        f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(tokenizer)} pieces, from {state}", flush=True
    )
    drills = batches(Drills(tokenizer).stream(SEED), SEED)
    tasks = batches(encoded(tokenizer, state["scene"]), SEED + state["seen"])
    losses, began, checked = [], time.time(), time.time()
    model.train()
    while state["seen"] < options.examples:
        drilling = state["seen"] < options.drills
        batch = next(drills if drilling else tasks)
        left = 1 - state["seen"] / options.examples
        for group in optimizer.param_groups:
            group["lr"] = options.lr * min(1.0, (state["seen"] + BATCH) / WARMUP) * max(left, 0.01) ** options.power
        sources = padded([s for s, _ in batch], 0)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
            loss = model(
                input_ids=sources, attention_mask=sources.ne(0), labels=padded([t for _, t in batch], -100)
            ).loss
        if not torch.isfinite(loss):
            raise SystemExit(f"the loss is {loss.item()} after {state['seen']} examples: lower --lr")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        state["seen"] += BATCH
        state["scene"] += 0 if drilling else BATCH // TASKS_PER_SCENE + 1
        if len(losses) == 250 or state["seen"] >= options.examples:
            done = state["seen"] >= options.examples
            state["seconds"] += time.time() - began
            began = time.time()
            line = {
                "examples": state["seen"],
                "seconds": round(state["seconds"]),
                "loss": round(sum(losses) / len(losses), 4),
            }
            if done or time.time() - checked > options.check_minutes * 60:
                line["accuracy"] = accuracy(model, tokenizer, 200 if done else 40)
                save(work / "last", model, optimizer, state)
                checked = began = time.time()
            with log.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)
            losses = []
    export(model, tokenizer, HERE / "models" / options.name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="nano")
    parser.add_argument("--examples", type=int, default=320_000)
    parser.add_argument("--drills", type=int, default=60_000, help="how many of them are copying drills, at the start")
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--head-width", type=int, default=32)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--vocabulary", type=int, default=3000)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--power", type=float, default=1.0, help="how the learning rate falls: 1 is a straight line")
    parser.add_argument("--check-minutes", type=float, default=8)
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True)
    train(parser.parse_args())
