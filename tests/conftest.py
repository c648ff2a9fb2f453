"""A tiny T5 and a few made-up dialogues, for every test that needs a model or data."""

import json
import os
import string
from pathlib import Path
from typing import Any

import pytest

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch is imported: the figures are a CPU's
os.environ["LABKIT_PRECISION"] = "fp32"  # what is asserted must not depend on which precision is faster here
os.environ["LABKIT_COMPILE"] = "never"

from labkit.dialogues import Dialogues
from labkit.models import Model, load_model

# FLAN-T5's architecture; the attention is narrower than the model, as in flan-t5-small, so no two sizes are alike
SIZES = {"d_model": 32, "d_kv": 8, "num_heads": 3, "d_ff": 48, "num_layers": 2, "num_decoder_layers": 2}
TEXT = """Summarize the following conversation Summary is it you are at to and a of will was I can we meet bring
Anna Ben Cleo Dan tea coffee cake bread train bus bike car Monday Tuesday Friday morning evening station park cafe
Hello Thanks Bye six seven eight"""


def tiny_tokenizer() -> Any:
    """A Unigram of whole words and single characters, in T5's conventions: pad 0, eos 1, unk 2, newlines are spaces."""
    from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
    from tokenizers.models import Unigram
    from transformers import PreTrainedTokenizerFast

    # T5 knows no "<", "{" and "}"
    characters = [*sorted(set(string.ascii_letters + string.digits + string.punctuation) - set("<{}")), "▁"]
    pieces = [(f"▁{word}", -2.0) for word in ("#Person1#:", "#Person2#:", *TEXT.split())]
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    tokenizer = Tokenizer(Unigram([*special, *pieces, *((one, -9.0) for one in characters)], unk_id=2))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=512
    )


def tiny_net(vocabulary: int, seed: int = 0) -> Any:
    """A randomly initialised T5 with an output head of its own."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = T5Config(
            vocab_size=vocabulary,
            feed_forward_proj="gated-gelu",
            decoder_start_token_id=0,
            n_positions=512,
            tie_word_embeddings=False,  # leaves out the original T5's scaling of the decoder's output, and no more
            **SIZES,
        )
        net = T5ForConditionalGeneration(config)
        # transformers ties the head of every T5 that is built from its config; FLAN-T5 has one of its own
        net.lm_head = torch.nn.Linear(config.d_model, vocabulary, bias=False)
        torch.nn.init.normal_(net.lm_head.weight, std=config.d_model**-0.5)
    return net.eval()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the tests encode goes into no cache of the user's; processes that they start know it, too."""
    os.environ["LABKIT_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as `save_pretrained` writes it, with its tokenizer."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tokenizer = tiny_tokenizer()
    tiny_net(len(tokenizer) + 5).save_pretrained(folder)  # a table with rows to spare, as FLAN-T5's 32,128 for 32,100
    tokenizer.save_pretrained(folder)
    # transformers 5 writes true; the FLAN-T5s of the Hub were written by older releases, and say false
    config = json.loads((folder / "config.json").read_text(encoding="utf-8")) | {"tie_word_embeddings": False}
    del config["scale_decoder_outputs"]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Model:
    """The tiny model, loaded as a learner loads one; a test must not change its weights."""
    return load_model(str(tiny_folder), device="cpu")


@pytest.fixture(scope="session")
def tiny_data() -> Dialogues:
    """Dialogues in 24 train, 6 validation and 6 test rows; the test rows have three references each."""
    people, things = ("Anna", "Ben", "Cleo", "Dan"), ("tea", "coffee", "cake", "bread")
    days, places = ("Monday", "Tuesday", "Friday"), ("station", "park", "cafe")

    def row(number: int, references: int) -> dict[str, Any]:
        a, b = people[number % 4], people[(number + 1 + number // 4 % 3) % 4]
        thing, day, place = things[number // 2 % 4], days[number % 3], places[number // 3 % 3]
        turns = [f"Hello {b}, can we meet on {day}?", f"Thanks {a}, I will be at the {place}.", f"Bring the {thing}."]
        return {
            "id": f"row_{number}",
            "dialogue": "\n".join(f"#Person{1 + i % 2}#: {turn}" for i, turn in enumerate(turns[: 2 + number % 2])),
            "summaries": [
                f"{a} and {b} will meet at the {place} on {day}.",
                f"{b} will meet {a} on {day}.",
                f"{a} will bring {thing} to the {place}.",
            ][:references],
            "topic": "meeting",
        }

    def split(start: int, count: int, references: int) -> Any:
        from datasets import Dataset, Features, Value

        text = Value("string")
        features = Features(id=text, dialogue=text, summaries=[text], topic=text)
        return Dataset.from_list([row(i, references) for i in range(start, start + count)], features=features)

    return Dialogues("tiny", split(0, 24, 1), split(24, 6, 1), split(30, 6, 3))
