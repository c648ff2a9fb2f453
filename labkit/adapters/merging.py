"""Merge what was learned into the weights: one plain network, which writes the same and takes no extra time.

LoRA               h = W x + (alpha / rank) B A x   ->   h = W' x   with   W' = W + (alpha / rank) B A
IA3                h = l * (W x)                    ->   h = W' x   with   W' = each row of W times its l
copies of layers   h = W' x, beside a frozen W      ->   h = W' x
QLoRA              h = Q x + (alpha / rank) B A x   ->   h = W' x   with   W' = W + (alpha / rank) B A

Q is W in fewer bits. What was learned goes into W itself: Q + (alpha / rank) B A would have to be rounded to those bits
once more, and W' would have the errors of both. What was trained is then left by W - Q, and by nothing else:
`logit_difference` says how far that is.
"""

import copy
import hashlib
import warnings
from dataclasses import replace
from typing import Any

from labkit.errors import LabError
from labkit.generation import eval_mode
from labkit.methods import FullFineTuning, in_full_precision
from labkit.models import Model, quiet
from labkit.prompts import encode_prompts

TOLERANCE = 1e-4  # of the largest logit: what float32 rounds differently, and no more
PROBE = [
    "#Person1#: Are you coming on Friday?\n#Person2#: At six, if the train is on time.",
    "#Person1#: I have lost my key again.",
]


def merge(model: Model, base: Model | None = None) -> Model:
    """Put what a method learned into the weights of a copy, and check that it still computes the same.

    Args:
        model: With LoRA, IA3 or trained copies of layers; it is left as it was.
        base: The model that it was trained from, for LoRA with `bits` only: what was learned is merged into its full
            precision, and compared with the same beside it.

    Returns:
        A model without a method, a base like any other, whose name and revision tell what was merged into what.

    Raises:
        LabError: There is nothing that can be merged, or the merged network's logits differ by more than 1e-4.

    Example:
        >>> merged = merge(qlora, base)
        >>> logit_difference(qlora, merged)  # what it costs to leave the 8 bits that it was trained with
    """
    if why := (model.method or FullFineTuning).unmergeable:
        label = model.method.label if model.method else model.name
        alone = isinstance(model.method, FullFineTuning | None)
        instead = "use it as it is" if alone else "keep it beside its base, or train LoRA, which can be merged"
        raise LabError(f"{label} cannot be merged, {why}: {instead}")
    if bits := getattr(model.method, "bits", None):
        if base is None:
            raise LabError(
                f"{model.method.label} is not merged into {bits} bits, as rounding the sum once more would change what "
                "was learned: give the base in full precision, as merge(model, base)"
            )
        return replace(merge(in_full_precision(model, base)), name=_named(model))
    with quiet(), warnings.catch_warnings():
        # transformers 5 says of every T5 that its head is tied; peft wonders at one that has a head of its own, and
        # puts its config right
        warnings.filterwarnings("ignore", "Input and output embeddings are no longer tied", UserWarning)
        net = copy.deepcopy(model.net).merge_and_unload().requires_grad_(True).eval()
    merged = replace(model, net=net, method=None, name=_named(model), revision=f"{model.revision}+{_digest(model.net)}")
    apart = logit_difference(model, merged)
    if not apart <= TOLERANCE:  # so that a difference which is no number is refused, too
        raise LabError(f"merged {model.method.label} differs by {apart:.1g} of the largest logit: keep it unmerged")
    return merged


def logit_difference(one: Model, other: Model) -> float:
    """How far two models with one tokenizer are apart, on two short dialogues, computed in fp32 as bf16 is too coarse.

    Args:
        one: A model.
        other: Another.

    Returns:
        The largest difference of their logits, as a share of the largest logit of `one`, or of 1 if that is smaller.

    Example:
        >>> logit_difference(qlora, merge(qlora, base))
    """
    import torch

    ids = encode_prompts(one.tokenizer, PROBE, one.room).ids
    batch = one.tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(one.device)
    asked = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    asked["decoder_input_ids"] = batch["input_ids"]  # any tokens will do
    with eval_mode(one.net), eval_mode(other.net), torch.inference_mode():
        before, after = (each.net(**asked).logits for each in (one, other))
    return float((after - before).abs().max() / before.abs().max().clamp(min=1))


def _named(model: Model) -> str:
    return f"{model.name} with {model.method.label} merged"


def _digest(net: Any) -> str:
    """The first 16 hex digits of SHA-256 over the weights of the adapter that is in use."""
    from peft import get_peft_model_state_dict

    digest = hashlib.sha256()
    with quiet():
        weights = get_peft_model_state_dict(net, adapter_name=net.active_adapter, save_embedding_layers=False)
    for weight in weights.values():
        digest.update(weight.detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
