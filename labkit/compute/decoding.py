"""Greedy search that computes what is still being written, and nothing else.

prompts, longest first -> encoder, some thousand tokens at a time -> states of all dialogues
                       -> decoder, one token for all at a time; a dialogue that has ended leaves the batch

transformers' own search goes on with a whole batch until its last summary ends: of nano's, the mean has 21 tokens and
the longest of 64 has 90. Which states a prompt has is asked of transformers itself, so that whatever is in front of
the encoder, such as a soft prompt, is there.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import GenerationConfig

ENCODED = 2**13  # tokens that are encoded at a time
KEPT = 2**28  # bytes of keys and values of what was read, at a time
SHRINK = 0.8  # a batch is made smaller when no more than this share of it goes on: that copies all that is kept


def batches(lengths: list[int], budget: int, most: int) -> Iterator[list[int]]:
    """Rows in batches, the longest first, each of so many tokens at most when they are padded.

    Args:
        lengths: Tokens of each row.
        budget: Tokens of a batch; a row that is longer is alone.
        most: Rows of a batch.

    Yields:
        Numbers of rows.
    """
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    while order:
        size = max(1, min(most, budget // max(1, lengths[order[0]])))
        yield order[:size]
        order = order[size:]


def encode(net: Any, prompts: list[list[int]], settings: GenerationConfig) -> list[Any]:
    """The encoder's states of each prompt, with those of virtual tokens in front.

    Args:
        net: A T5, or peft's wrapper of one, in eval mode.
        prompts: Token ids.
        settings: Which token is padding, and the others that a generation needs.

    Returns:
        Shape (tokens, width) a prompt.
    """
    states: list[Any] = [None] * len(prompts)
    for rows in batches([len(prompt) for prompt in prompts], ENCODED, len(prompts)):
        ids = [torch.tensor(prompts[row], device=net.device) for row in rows]
        mask = pad_sequence([torch.ones_like(each) for each in ids], batch_first=True)
        padded = pad_sequence(ids, batch_first=True, padding_value=settings.pad_token_id)
        found: list[Any] = []

        def keep(model: Any, input_ids: Any, found: list[Any] = found, **kwargs: Any) -> Any:
            found += [kwargs["encoder_outputs"][0], kwargs["attention_mask"].bool()]
            return input_ids

        net.generate(input_ids=padded, attention_mask=mask, generation_config=settings, custom_generate=keep)
        for row, encoded, seen in zip(rows, *found, strict=True):
            states[row] = encoded[seen]
    return states


def greedy(
    t5: Any, states: list[Any], settings: GenerationConfig, ended: Callable[[int], Any] | None = None
) -> list[list[int]]:
    """What follows each prompt, the likeliest token at each step.

    Args:
        t5: The T5 that `encode` asked, without peft's wrapper.
        states: What `encode` gave, of some prompts.
        settings: The tokens of start and end, and how many there may be.
        ended: Called with the number of texts that have ended whenever there are more.

    Returns:
        Token ids a prompt, the end token left out.
    """
    texts: list[list[int]] = [[] for _ in states]
    rows, going = torch.arange(len(states)), torch.ones(len(states), dtype=torch.bool)
    mask = pad_sequence([each.new_ones(len(each), dtype=torch.long) for each in states], batch_first=True)
    encoded, past = pad_sequence(states, batch_first=True), None
    token = mask.new_full((len(states), 1), settings.decoder_start_token_id)
    for _ in range(settings.max_new_tokens):
        seen = {"encoder_outputs": (encoded,), "attention_mask": mask}
        out = t5(**seen, decoder_input_ids=token, past_key_values=past, use_cache=True)
        past, token = out.past_key_values, out.logits[:, -1:].float().argmax(-1)
        before, going = going, going & (token[:, 0] != settings.eos_token_id).cpu()
        for row, one in zip(rows[going].tolist(), token[:, 0].cpu()[going].tolist(), strict=True):
            texts[row].append(one)
        if ended and (fewer := int(before.sum() - going.sum())):
            ended(fewer)
        if not going.any():
            return texts
        if going.float().mean() <= SHRINK:
            kept = going.nonzero()[:, 0].to(token.device)
            past.batch_select_indices(kept)
            rows, mask, encoded, token = rows[going], mask[kept], encoded[kept], token[kept]
            going = going[going]
    if ended:
        ended(int(going.sum()))
    return texts


def tokens_kept(config: Any, bytes_each: int) -> int:
    """How many tokens may be read at a time, so that what the decoder keeps of them takes `KEPT`.

    Args:
        config: The T5's.
        bytes_each: Of a number.

    Returns:
        Tokens; a key and a value each in every layer of the decoder.
    """
    return int(KEPT // (2 * config.num_decoder_layers * config.num_heads * config.d_kv * bytes_each))
