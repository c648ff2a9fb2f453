"""Merge what was learned into the weights: one plain network, which writes the same and takes no extra time.

LoRA               h = W x + (alpha / rank) B A x   ->   h = W' x   with   W' = W + (alpha / rank) B A
IA3                h = l * (W x)                    ->   h = W' x   with   W' = each row of W times its l
copies of layers   h = W' x, beside a frozen W      ->   h = W' x
QLoRA              h = Q x + (alpha / rank) B A x   ->   h = W' x   with   W' = Q + (alpha / rank) B A

Q is W in fewer bits, and W' is in full precision: rounded to fewer bits again, it would not be what was trained. Nor is
W + (alpha / rank) B A, since A and B were trained beside Q; where it is wanted, `logit_difference` says how far off it
is.
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
from labkit.stored import Stored, numbers

TOLERANCE = 1e-4  # of the largest logit: what float32 rounds differently, and no more
PROBE = [
    "#Person1#: Are you coming on Friday?\n#Person2#: At six, if the train is on time.",
    "#Person1#: I have lost my key again.",
]


def merge(model: Model, base: Model | None = None) -> Model:
    """Put what a method learned into the weights of a copy, and check that it still computes the same.

    Args:
        model: With LoRA, IA3 or trained copies of layers; it is left as it was.
        base: For LoRA with `bits`: the model that it was trained from, to merge into W instead of Q. The result then
            computes what this LoRA does beside W, and not quite what was trained.

    Returns:
        A model without a method, a base like any other, whose name and revision tell what was merged into what.

    Raises:
        LabError: There is nothing that can be merged, the base is another one, or the merged network's logits differ by
            more than 1e-4.

    Example:
        >>> merged = merge(model)
        >>> logit_difference(model, merged)  # below 1e-4
    """
    if not isinstance(model, Model):
        raise LabError(f"a {type(model).__name__} is no model: give open_run(run, base)")
    if why := (model.method or FullFineTuning).unmergeable:
        label = model.method.label if model.method else model.name
        alone = isinstance(model.method, FullFineTuning | None)
        instead = "use it as it is" if alone else "keep it beside its base, or train LoRA, which can be merged"
        raise LabError(f"{label} cannot be merged, {why}: {instead}")
    few = getattr(model.method, "bits", None)
    beside = in_full_precision(model, base or _base_in_full(model)) if few else model
    with quiet(), warnings.catch_warnings():
        # transformers 5 says of every T5 that its head is tied; peft wonders at one that has a head of its own, and
        # puts its config right
        warnings.filterwarnings("ignore", "Input and output embeddings are no longer tied", UserWarning)
        net = copy.deepcopy(beside.net).merge_and_unload().requires_grad_(True).eval()
    name = f"{model.name} with {model.method.label} merged" + (f" into {base.name}" if few and base else "")
    merged = replace(model, net=net, method=None, name=name, revision=f"{model.revision}+{_digest(model.net)}")
    apart = logit_difference(beside if base else model, merged)
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
        >>> logit_difference(qlora, merge(qlora, base))  # what it costs to merge into W
    """
    import torch

    ids = encode_prompts(one.tokenizer, PROBE, one.room).ids
    batch = one.tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(one.device)
    asked = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    asked["decoder_input_ids"] = batch["input_ids"]  # any tokens will do
    with eval_mode(one.net), eval_mode(other.net), torch.inference_mode():
        before, after = (each.net(**asked).logits for each in (one, other))
    return float((after - before).abs().max() / before.abs().max().clamp(min=1))


def _base_in_full(model: Model) -> Model:
    """The base in fewer bits that a LoRA was trained beside, as the numbers that these bits stand for."""
    from torch import nn

    with quiet():
        net = copy.deepcopy(model.net).unload()
    for name, layer in list(net.named_modules()):
        if isinstance(layer, Stored):
            plain = nn.Linear(layer.in_features, layer.out_features, bias=False, device="meta")
            plain.weight = nn.Parameter(numbers(layer.weight))
            net.set_submodule(name, plain)
    return replace(model, net=net, method=None)


def _digest(net: Any) -> str:
    """The first 16 hex digits of SHA-256 over the weights of the adapter that is in use."""
    from peft import get_peft_model_state_dict

    digest = hashlib.sha256()
    with quiet():
        weights = get_peft_model_state_dict(net, adapter_name=net.active_adapter, save_embedding_layers=False)
    for weight in weights.values():
        digest.update(weight.detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
