"""Merge what was learned into the weights: one plain network, which writes the same and takes no extra time.

LoRA               h = W x + (alpha / rank) B A x   ->   h = W' x   with   W' = W + (alpha / rank) B A
IA3                h = l * (W x)                    ->   h = W' x   with   W' = each row of W times its l
copies of layers   h = W' x, beside a frozen W      ->   h = W' x
"""

import copy
import hashlib
import warnings
from dataclasses import replace
from typing import Any

from labkit.errors import LabError
from labkit.generation import eval_mode
from labkit.methods import FullFineTuning
from labkit.models import Model, quiet
from labkit.prompts import encode_prompts

TOLERANCE = 1e-4  # of the largest logit: what float32 rounds differently, and no more
PROBE = [
    "#Person1#: Are you coming on Friday?\n#Person2#: At six, if the train is on time.",
    "#Person1#: I have lost my key again.",
]


def merge(model: Model) -> Model:
    """Put what a method learned into the weights of a copy, and check that it still computes the same.

    Args:
        model: With LoRA, IA3 or trained copies of layers; it is left as it was.

    Returns:
        A model without a method, a base like any other, whose name and revision tell what was merged into what.

    Raises:
        LabError: There is nothing that can be merged, or the merged network's logits differ by more than 1e-4.
    """
    if why := (model.method or FullFineTuning).unmergeable:
        label = model.method.label if model.method else model.name
        raise LabError(f"{label} cannot be merged, {why}: merge a model with LoRA")
    with quiet(), warnings.catch_warnings():
        # transformers 5 says of every T5 that its head is tied; peft wonders at one that has a head of its own, and
        # puts its config right
        warnings.filterwarnings("ignore", "Input and output embeddings are no longer tied", UserWarning)
        net = copy.deepcopy(model.net).merge_and_unload().requires_grad_(True).eval()
    apart = _difference(model, net)
    if not apart <= TOLERANCE:  # so that a difference which is no number is refused, too
        raise LabError(f"merged {model.method.label} differs by {apart:.1g} of the largest logit: keep it unmerged")
    name = f"{model.name} with {model.method.label} merged"
    return replace(model, net=net, method=None, name=name, revision=f"{model.revision}+{_digest(model.net)}")


def _difference(model: Model, net: Any) -> float:
    """Largest difference of the logits, as a share of the largest logit or of 1; in fp32, as bf16 is too coarse."""
    import torch

    ids = encode_prompts(model.tokenizer, PROBE, model.room).ids
    batch = model.tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(model.device)
    asked = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    asked["decoder_input_ids"] = batch["input_ids"]  # any tokens will do
    with eval_mode(model.net), torch.inference_mode():
        before, after = (each(**asked).logits for each in (model.net, net))
    return float((after - before).abs().max() / before.abs().max().clamp(min=1))


def _digest(net: Any) -> str:
    """The first 16 hex digits of SHA-256 over the weights of the adapter that is in use."""
    from peft import get_peft_model_state_dict

    digest = hashlib.sha256()
    with quiet():
        weights = get_peft_model_state_dict(net, adapter_name=net.active_adapter, save_embedding_layers=False)
    for weight in weights.values():
        digest.update(weight.detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
