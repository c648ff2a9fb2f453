"""Train the nano model's tokenizer: SentencePiece Unigram, in T5's conventions (pad 0, eos 1, unk 2, sentinels last).

Three things differ from T5's own, so that a small model can copy what it has never seen and read cheaply:
digits stand alone, "#Person1#" is one piece, and no first name or surname is learned as a piece (they are
left out of the training text), so that a name of the test split is spelled just like one of the train split.
"""

import io
import re
import string
from collections.abc import Iterable

import sentencepiece
from screenplay.engine import named_pools
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import PreTrainedTokenizerFast

SENTINELS = 20
PERSONS = ["▁#Person1#", "▁#Person2#", "▁#Person1#:", "▁#Person2#:"]
DIGITS = [*string.digits, *(f"▁{digit}" for digit in string.digits)]


def learn_pieces(texts: Iterable[str], count: int) -> list[tuple[str, float]]:
    """`count` pieces with their log probabilities, names, digits and speaker marks left out."""
    names = {name for pool in ("first", "surname") for name in named_pools()[pool]}
    left_out = re.compile(rf"\b(?:{'|'.join(sorted(names))})\b|#Person[12]#:?|\d|<extra_id_\d+>")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(left_out.sub("", line) for text in texts for line in text.split("\n")),
        model_writer=model,
        vocab_size=count,
        model_type="unigram",
        character_coverage=1.0,
        required_chars="".join(sorted(set(string.ascii_letters + string.punctuation) - {"#"})),
        unk_id=0,
        bos_id=-1,
        eos_id=-1,
        num_threads=2,
        minloglevel=2,
    )
    learned = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return [(learned.id_to_piece(i), learned.get_score(i)) for i in range(1, learned.get_piece_size())]


def train_tokenizer(texts: Iterable[str], size: int) -> PreTrainedTokenizerFast:
    """A tokenizer of `size` entries, sentinels included, trained on `texts`."""
    given = [(piece, -3.0) for piece in PERSONS] + [(piece, -6.0) for piece in DIGITS] + [("#", -15.0)]
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces = learn_pieces(texts, size - SENTINELS - len(given) - len(special) + 1)
    tokenizer = Tokenizer(Unigram(special + given + pieces, unk_id=2))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    sentinels = [f"<extra_id_{i}>" for i in reversed(range(SENTINELS))]
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>", *sentinels])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens=sentinels,
        model_max_length=512,
    )
