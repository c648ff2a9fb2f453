"""How the nano model starts: its cross-attention can already copy."""

import torch
from transformers import T5Config, T5ForConditionalGeneration
from wiring import wire


def test_the_start_looks_at_the_token_after_the_one_just_said() -> None:
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=200, d_model=128, d_kv=32, num_heads=4, d_ff=64, num_layers=2, feed_forward_proj="gated-gelu"
    )
    config._attn_implementation = "eager"
    model = T5ForConditionalGeneration(config).eval()
    model.lm_head = torch.nn.Linear(128, 200, bias=False)
    wire(model)
    said = torch.randperm(200)[None, :60]
    seen = model(input_ids=said, decoder_input_ids=said[:, :-1], output_attentions=True).cross_attentions[0]
    right = seen[0, :2].mean(0).argmax(-1) == torch.arange(1, 60)  # chance is 1 in 60
    assert right.float().mean() > 0.7
