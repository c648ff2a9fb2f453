"""Pre-train the causal model from scratch on dialogues and what is said of them; run again to resume.

    OMP_NUM_THREADS=1 python data/pretrain_causal.py               # the model itself, on one core
    python data/pretrain_causal.py --name trial --examples 2000    # a quick trial, beside it

It is a Llama, as most causal models of today are or nearly are: q and v are layers of their own, which LoRA is wont
to take (in GPT-2 they are one with k), and positions are turned into q and k, so no table has to be learned for them.
What it reads, and where its log goes: see pretraining.py.
"""

import argparse
import itertools
import math
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from drills import Example
from pretraining import DEVICE, HERE, POOL, SEED, Batch, Pretraining, prompts
from tokenizers import processors
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

LONGEST = 416  # tokens
VALIDATION = 500  # texts


def texts(tokenizer: PreTrainedTokenizerFast, start: int, split: str = "train") -> Iterator[list[int]]:
    """Ids of one dialogue with an instruction and its answer after another, without end, from scene `start` on."""
    stream = (f"{prompt} {answer}" for prompt, answer in prompts(start, 1, split))
    while True:
        yield from tokenizer(list(itertools.islice(stream, POOL)), truncation=True, max_length=LONGEST)["input_ids"]


def text_examples(tokenizer: PreTrainedTokenizerFast, start: int) -> Iterator[Example]:
    """The same as examples: all that is read is also to be said."""
    return ((ids, ids) for ids in texts(tokenizer, start))


def new_model(options: argparse.Namespace, vocabulary: int) -> LlamaForCausalLM:
    """A fresh Llama; its head is its table of embeddings, which would otherwise be more than half of the model."""
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=options.width,
        intermediate_size=2 * options.width,
        num_hidden_layers=options.layers,
        num_attention_heads=options.width // options.head_width,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    )
    return LlamaForCausalLM(config)


@torch.no_grad()
def validation_loss(model: LlamaForCausalLM, rows: list[list[int]]) -> float:
    """Mean loss a token, in nats, the first token of each text left out."""
    total = 0.0
    for row in rows:
        ids = torch.tensor([row], device=DEVICE)
        total += model(input_ids=ids, labels=ids, use_cache=False).loss.item() * (len(row) - 1)
    return total / sum(len(row) - 1 for row in rows)


def unigram_loss(read: list[list[int]], rows: list[list[int]], vocabulary: int) -> float:
    """The same, where each token is as likely as it was in what was read, one more of each added."""
    counts = Counter(itertools.chain.from_iterable(read))
    total = counts.total() + vocabulary
    said = [token for row in rows for token in row[1:]]
    return -sum(math.log((counts[token] + 1) / total) for token in said) / len(said)


class Causal(Pretraining):
    """The causal model's pre-training."""

    batch = 8
    warmup = 1_000
    log_every = 2_000

    def batches(self) -> Iterator[Batch]:
        """Texts, one a scene or, where the scene has nothing for the task drawn, none."""
        ready = self.ready(partial(text_examples, self.tokenizer, self.state["scene"]), SEED + self.state["seen"])
        for batch in ready:
            self.state["scene"] += self.batch + 1
            yield batch

    def measure(self, done: bool) -> dict[str, Any]:
        """The loss on texts of the validation split."""
        return {"validation_loss": round(validation_loss(self.model, self.validation()), 4)}

    def validation(self) -> list[list[int]]:
        """The texts that it is measured on."""
        return list(itertools.islice(texts(self.tokenizer, 0, "validation"), VALIDATION))

    def run(self) -> None:
        """Measure what any training has to beat, then train."""
        if not self.state["seen"]:
            read = list(itertools.islice(texts(self.tokenizer, 0), 10 * VALIDATION))
            unigram = unigram_loss(read, self.validation(), len(self.tokenizer))
            self.note({"examples": 0} | self.measure(False) | {"unigram_loss": round(unigram, 4)})
        super().run()

    def export(self, folder: Path) -> None:
        """Write the model in bfloat16, and nano's tokenizer, which must not end a prompt that is to be continued."""
        self.model.to(torch.bfloat16).save_pretrained(folder)
        backend = self.tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
        self.tokenizer.save_pretrained(folder)


def main() -> None:
    """Read the options and go."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="causal", help="the model goes to data/models/<name>, over what is there")
    parser.add_argument("--examples", type=int, default=36_000)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--head-width", type=int, default=32)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--check-minutes", type=float, default=5)
    options = parser.parse_args()
    torch.manual_seed(SEED)
    tokenizer = AutoTokenizer.from_pretrained(HERE / "models" / "nano")
    Causal(options, tokenizer, new_model(options, len(tokenizer))).run()


if __name__ == "__main__":
    main()
