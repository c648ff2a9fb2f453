"""How the nano model starts: with attention that can already copy.

A small T5 that starts from noise learns what dialogues are about long before it learns to look things up in them.
Here the first weights hold the circuit by which transformers copy: encoder heads that bring every place the token
before it, and cross-attention that looks for the place whose token before it is the one just said, and says what
stands there. Everything is trained from there on.

Sources: Olsson et al. 2022, "In-context learning and induction heads", arXiv:2209.11895, and Trockman and Kolter 2023,
"Mimetic initialization of self-attention layers", arXiv:2305.09828.
"""

import torch
from transformers import T5ForConditionalGeneration
from transformers.models.t5.modeling_t5 import T5Attention

BEFORE = 2  # heads that look at the token before
BEFORE_BUCKET, AFTER_BUCKET = 1, 17  # T5's buckets of the relative positions -1 and +1 (encoder; 32 in all)
PULL = 8.0  # e ** 8 is 3,000: one such place outweighs all others of a long prompt together
PLACE, ALIKE, COPY, FAINT = 0.02, 0.2, 0.5, 0.05  # how sharply a head looks at what is like itself


def rotation(width: int) -> torch.Tensor:
    """A random orthogonal matrix, (width, width)."""
    return torch.nn.init.orthogonal_(torch.empty(width, width))


def fill(attention: T5Attention, turn: torch.Tensor, sharpness: list[float]) -> None:
    """Heads that look for what is like themselves, and pass it on turned: apart from what is there already."""
    torch.nn.init.orthogonal_(attention.k.weight)
    torch.nn.init.orthogonal_(attention.v.weight)
    scale = torch.tensor(sharpness).repeat_interleave(attention.key_value_proj_dim)[:, None]
    attention.q.weight.copy_(scale * attention.k.weight)
    attention.o.weight.copy_(turn @ attention.v.weight.T)


@torch.no_grad()
def wire(model: T5ForConditionalGeneration) -> None:
    """Set attention, position biases and head of a fresh T5 whose heads together are as wide as the model.

    Args:
        model: A T5 with a head of its own and 4 heads or more; changed in place.
    """
    width, heads = model.config.d_model, model.config.num_heads
    context, said = rotation(width), rotation(width)  # where neighbours are written, and where the head reads
    for block in model.encoder.block:
        fill(block.layer[0].SelfAttention, context, [PLACE] * (BEFORE + 1) + [ALIKE] * (heads - BEFORE - 1))
    for block in model.decoder.block:
        fill(block.layer[0].SelfAttention, context, [PLACE] * BEFORE + [ALIKE] * (heads - BEFORE))
        fill(block.layer[1].EncDecAttention, said, [FAINT] * heads)
    encoder, decoder = (stack.block[0].layer[0].SelfAttention for stack in (model.encoder, model.decoder))
    for attention in (encoder, decoder):
        attention.relative_attention_bias.weight.zero_()
        attention.relative_attention_bias.weight[BEFORE_BUCKET, :BEFORE] = PULL
    encoder.relative_attention_bias.weight[AFTER_BUCKET, BEFORE] = PULL
    # cross-attention asks, with the token just said, for the places that were told they follow it
    rows = BEFORE * model.config.d_kv
    follows = encoder.v.weight[:rows]
    cross = model.decoder.block[0].layer[1].EncDecAttention
    cross.q.weight[:rows] = COPY * follows
    cross.k.weight[:rows] = follows @ context.T
    model.lm_head.weight.copy_(model.shared.weight @ said.T * width**-0.5)
