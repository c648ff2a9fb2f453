"""Rows for different adapters in one batch: LoRA by peft's own means, soft prompts by ours."""

from dataclasses import dataclass
from typing import Any

UNCHANGED = "__base__"  # peft's name for a row that no adapter changes


@dataclass
class Mixed:
    """A network with several adapters, told by the first id of each row, which is no token, whose row it is.

    Only `generate` differs from the network's own; so all that sorts rows and makes batches of them can stay as it is.

    Attributes:
        net: Peft's.
        keys: What peft calls the adapter of each number, or `UNCHANGED`.
    """

    net: Any
    keys: list[str]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.net, name)

    def generate(self, input_ids: Any, attention_mask: Any, **settings: Any) -> Any:
        """What transformers' own does, each row with its adapter; greedily, as peft would not know of the beams."""
        keys = [self.keys[number] for number in input_ids[:, 0].tolist()]
        soft = self.net.active_peft_config.is_prompt_learning
        return (_prompted if soft else _adapted)(self.net, keys, input_ids[:, 1:], attention_mask[:, 1:], settings)


def _adapted(net: Any, keys: list[str], ids: Any, mask: Any, settings: dict[str, Any]) -> Any:
    """Peft adds to each row the change of its own LoRA."""
    try:
        return net.generate(input_ids=ids, attention_mask=mask, adapter_names=keys, **settings)
    except BaseException:
        # peft 0.21 leaves its hooks behind when a batch is broken off, and they would give the next one these names
        for module in net.modules():
            if hasattr(module, "lora_A"):
                module._forward_pre_hooks.clear()
                module._forward_pre_hooks_with_kwargs.clear()
        raise


def _prompted(net: Any, keys: list[str], ids: Any, mask: Any, settings: dict[str, Any]) -> Any:
    """Put its own soft prompt in front of each row; peft has but one for a whole batch.

    What is padded is the end of a row, so that no distance changes between what is read, which is all that T5 knows
    of positions.
    """
    import torch
    from torch.nn.utils.rnn import pad_sequence

    rows = [net.word_embeddings(row[seen.bool()]) for row, seen in zip(ids, mask, strict=True)]
    rows = [
        row if key == UNCHANGED else torch.cat([net.prompt_encoder[key].embedding.weight, row])
        for key, row in zip(keys, rows, strict=True)
    ]
    mask = pad_sequence([mask.new_ones(len(row)) for row in rows], batch_first=True)
    return net.base_model.generate(inputs_embeds=pad_sequence(rows, batch_first=True), attention_mask=mask, **settings)
