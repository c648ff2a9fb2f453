"""What labkit and its peers share in the benchmarks: models, dialogues, methods, and the batches in their order.

A model of the Hub is not at hand, and speed does not depend on what the weights are: FLAN-T5's shapes have random
ones, and their dialogues are as long as DialogSum's, of words that nano's tokenizer has as one token each.
"""

import json
import math
import random
import resource
import shutil
import sys
import time
from pathlib import Path
from statistics import NormalDist
from typing import Any

import torch
from datasets import Dataset, Features, Value
from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

import labkit as lk
from labkit.batches import training_rows
from labkit.memory import MIB
from labkit.paths import model_folder
from labkit.prompts import LIMIT, LONGEST_SUMMARY, ZERO_SHOT

SHAPES = ("flan-t5-small", "flan-t5-base")
METHODS = {"full": lk.FullFineTuning(), "lora": lk.LoRA(rank=16), "prompt-tuning": lk.PromptTuning(tokens=20)}
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
PROMPT = (208, 0.45)  # DialogSum in T5's tokens: the median, and the spread of the logarithm; mean 230
SUMMARY = (36, 0.4)  # mean 39
TURN = 12  # words
SKIPPED = 2  # steps, in which memory is found and kernels are chosen


def write_model(name: str, folder: Path) -> Path:
    """Write a model of one of FLAN-T5's shapes with random weights, as `save_pretrained` would write FLAN-T5.

    Args:
        name: One of `SHAPES`.
        folder: Where its folder is made.

    Returns:
        A folder for `load_model`.
    """
    shape = lk.shape_of(f"google/{name}")
    config = T5Config(
        vocab_size=shape.vocabulary,
        d_model=shape.d_model,
        d_kv=shape.d_kv,
        d_ff=shape.d_ff,
        num_heads=shape.heads,
        num_layers=shape.layers,
        num_decoder_layers=shape.decoder_layers,
        feed_forward_proj="gated-gelu",
        decoder_start_token_id=0,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = T5ForConditionalGeneration(config)
        # transformers ties the head of every T5 that is built from its config; FLAN-T5 has one of its own
        net.lm_head = torch.nn.Linear(config.d_model, config.vocab_size, bias=False)
        torch.nn.init.normal_(net.lm_head.weight, std=config.d_model**-0.5)  # logits about as large as 1
    made = folder / name
    net.save_pretrained(made)
    told = json.loads((made / "config.json").read_text(encoding="utf-8")) | {"tie_word_embeddings": False}
    told.pop("scale_decoder_outputs", None)  # with that, transformers 5 says anew that the head is tied
    (made / "config.json").write_text(json.dumps(told), encoding="utf-8")
    for file in TOKENIZER:
        shutil.copy(model_folder("nano") / file, made)
    return made


def dialogues(model: str, rows: int) -> lk.Dialogues:
    """What a model is trained on: nano on the embedded corpus, the others on dialogues as long as DialogSum's.

    Args:
        model: "nano", or a folder.
        rows: How many are needed for training.
    """
    return lk.load_dialogues() if model == "nano" else made_dialogues(rows)


def made_dialogues(rows: int) -> lk.Dialogues:
    """Dialogues of random words, the same ones each time, with DialogSum's lengths in tokens.

    Args:
        rows: Of the train split; the others have one row each.
    """
    tokenizer = AutoTokenizer.from_pretrained(model_folder("nano"))
    words = one_token_words(tokenizer)
    frame = len(tokenizer(ZERO_SHOT.text(""))["input_ids"])
    chooser = random.Random(0)

    def lengths(about: tuple[float, float], most: int, count: int) -> list[int]:
        """As they are spread in a log-normal distribution, so that few rows have its mean, too, in random order."""
        normal = NormalDist(math.log(about[0]), about[1])
        spread = [min(round(math.exp(normal.inv_cdf((i + 0.5) / count))), most) for i in range(count)]
        chooser.shuffle(spread)
        return spread

    def text(tokens: int, end: str) -> str:
        chosen = chooser.choices(words, k=max(1, tokens))
        return end.join(" ".join(chosen[at : at + TURN]) for at in range(0, len(chosen), TURN))

    def split(name: str, count: int) -> Any:
        kinds = {"id": Value("string"), "dialogue": Value("string"), "summaries": [Value("string")]}
        both = zip(lengths(PROMPT, LIMIT, count), lengths(SUMMARY, LONGEST_SUMMARY, count), strict=True)
        made = [
            {
                "id": f"{name}_{number}",
                "dialogue": text(prompt - frame, "\n"),
                "summaries": [text(summary - 1, " ")],  # less the end token
                "topic": "",
            }
            for number, (prompt, summary) in enumerate(both)
        ]
        return Dataset.from_list(made, features=Features(**kinds, topic=Value("string")))

    return lk.Dialogues("made", split("train", rows), split("validation", 1), split("test", 1))


def one_token_words(tokenizer: Any) -> list[str]:
    """Words of letters only that a tokenizer has as one token."""
    pieces = sorted(piece[1:] for piece in tokenizer.get_vocab() if piece.startswith("▁") and piece[1:].isalpha())
    ids = tokenizer(pieces, add_special_tokens=False)["input_ids"]
    return [piece for piece, found in zip(pieces, ids, strict=True) if len(found) == 1]


def ordered_rows(model: Any, data: lk.Dialogues, steps: int, batch: int) -> list[dict[str, Any]]:
    """Encoded rows in the order in which `labkit.train` reads them with seed 0.

    Args:
        model: What `attach` returned.
        data: Its train split is used.
        steps: Of the training.
        batch: Rows a step.
    """
    return list(training_rows(model, data.train, steps, batch, seed=0)[0])


class Clock:
    """When each step ended, and what the process had asked of the system until then."""

    def __init__(self) -> None:
        self.steps, self.began = dict[int, dict[str, float]](), time.perf_counter()

    def tick(self, step: int) -> None:
        """Note that a step has ended.

        Args:
            step: Its number, from 1 on.
        """
        used = resource.getrusage(resource.RUSAGE_SELF)
        self.steps[step] = {
            "seconds": time.perf_counter(),
            "system_seconds": used.ru_stime,
            "page_faults": used.ru_minflt,
        }

    def figures(self, batch: int) -> dict[str, float]:
        """Speed, and what was asked of the system, after the first steps.

        Args:
            batch: Rows a step.
        """
        first, last = min(step for step in self.steps if step >= SKIPPED), max(self.steps)
        taken = {name: self.steps[last][name] - self.steps[first][name] for name in self.steps[last]}
        return {
            "examples_per_second": (last - first) * batch / taken["seconds"],
            "system_seconds": taken["system_seconds"],
            "page_faults": taken["page_faults"],
            "seconds_in_all": self.steps[last]["seconds"] - self.began,
            "peak_memory_mib": peak_memory(),
        }


def peak_memory() -> float:
    """The most memory that this process has held, in MiB."""
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage tells the parent's here, if that is larger: it outlives exec
        kib = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(kib) * 1024 / MIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / MIB
