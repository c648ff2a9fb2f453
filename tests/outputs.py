"""What a model makes of eight rows of unlike length: its logits, and what it writes."""

from typing import Any

import torch

from labkit.batches import collator, encode_rows
from labkit.dialogues import Dialogues
from labkit.models import Model


def batch(model: Model, data: Dialogues) -> dict[str, torch.Tensor]:
    """The first eight training rows, just as a training gets them."""
    rows, _ = encode_rows(model, data.train.select(range(8)))
    return dict(collator(model)(rows))


def logits(model: Model, data: Dialogues, net: Any = None) -> torch.Tensor:
    """Those of the batch, of the model or of another network in its place."""
    with torch.no_grad():
        out: torch.Tensor = (net or model.net)(**batch(model, data)).logits
    return out


def written(model: Model, data: Dialogues, **how: Any) -> Any:
    """Twelve token ids a row and their scores."""
    rows = batch(model, data)
    asked = {"max_new_tokens": 12, "min_new_tokens": 12, "do_sample": False, "use_cache": True} | how
    asked |= {"output_logits": True, "return_dict_in_generate": True}
    with torch.no_grad():
        return model.net.generate(input_ids=rows["input_ids"], attention_mask=rows["attention_mask"], **asked)
