"""Where the memory of a training goes, measured: one step on a copy of the model, part by part."""

import copy
from collections import Counter
from functools import partial
from typing import Any

from labkit.costs.activations import Step
from labkit.costs.budget import MemoryBudget
from labkit.errors import LabError
from labkit.models import Model, quiet
from labkit.quantization import tensors, weight_bytes
from labkit.training import set_dropout


def measure_memory(model: Model, step: Step | None = None) -> MemoryBudget:
    """Measure what `predict_memory` predicts, by one step of AdamW without dropout on random tokens.

    Args:
        model: With a method attached; it is left as it was, a copy takes the step.
        step: Batch, lengths, precision and checkpointing; 16 dialogues in fp32 unless given.

    Returns:
        Bytes of the tensors in each part. Activations are what autograd holds at the highest, each storage once; in
        bf16 a CPU keeps scores and gelu in other precisions than the GPU that is predicted.

    Raises:
        LabError: The model has no method attached.
    """
    import torch

    if model.method is None:
        raise LabError(f"{model.name} has no method attached, nothing is trained: use attach(model, LoRA()) first")
    step, net = step or Step(), copy.deepcopy(model.net).train()
    set_dropout(net, 0.0)
    if step.checkpointing:
        _keep_inputs_only(net)
    parameters = list(net.parameters())
    optimizer = torch.optim.AdamW([p for p in parameters if p.requires_grad])
    saved = _Saved([tensor for weight in parameters for tensor in tensors(weight)])
    with torch.autograd.graph.saved_tensors_hooks(partial(_Held, saved), lambda held: held.tensor):
        with torch.autocast(model.device.split(":")[0], torch.bfloat16, enabled=step.precision == "bf16"):
            loss = net(**_batch(net, step), use_cache=False).loss
        loss.backward()
    optimizer.step()
    states = (value for state in optimizer.state.values() for value in state.values())
    return MemoryBudget(
        weights=weight_bytes(net),
        copies=saved.highest["copies"],
        gradients=_bytes(p.grad for p in parameters if p.grad is not None),
        optimizer=_bytes(states),
        activations=saved.highest["activations"],
        adapter=_bytes(_stored(net)),
    )


def _bytes(tensors: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _stored(net: Any) -> Any:
    """The tensors of the file that a run would keep."""
    from peft import PeftModel, get_peft_model_state_dict

    if not isinstance(net, PeftModel):
        return net.parameters()
    with quiet():
        return get_peft_model_state_dict(net, save_embedding_layers=False).values()


def _batch(net: Any, step: Step) -> dict[str, Any]:
    """Random tokens; the last of the first prompt is padding, as in nearly every real batch."""
    import torch

    device, chooser = next(net.parameters()).device, torch.Generator().manual_seed(0)
    draw = partial(torch.randint, 3, net.config.vocab_size, generator=chooser)
    mask = torch.ones(step.batch_size, step.source_tokens, dtype=torch.long)
    mask[0, -1] = 0
    batch = {
        "input_ids": draw((step.batch_size, step.source_tokens)),
        "attention_mask": mask,
        "labels": draw((step.batch_size, step.target_tokens)),
    }
    return {name: tensor.to(device) for name, tensor in batch.items()}


def _keep_inputs_only(net: Any) -> None:
    """Turn gradient checkpointing on."""
    from torch.utils.checkpoint import checkpoint

    inside = net.get_base_model() if hasattr(net, "get_base_model") else net
    # the older kind of checkpoint, because its recomputed tensors pass the hooks by which they are measured; it needs
    # an input with a gradient, which a frozen embedding does not give
    inside._set_gradient_checkpointing(True, partial(checkpoint, use_reentrant=True))
    inside.enable_input_require_grads()


class _Saved:
    """Bytes that autograd holds: of activations, and of bf16 copies of weights; the weights themselves left out."""

    def __init__(self, weights: list[Any]):
        self.weights = {tensor.untyped_storage().data_ptr() for tensor in weights}
        self.holders: Counter[int] = Counter()
        self.now: Counter[str] = Counter()
        self.highest: Counter[str] = Counter()

    def kind(self, tensor: Any) -> str:
        # of the bf16 matrices that autograd holds, those of a layer are turned over, and those of its input are not
        return "copies" if tensor.element_size() == 2 and tensor.dim() == 2 and tensor.stride(0) == 1 else "activations"

    def take(self, tensor: Any) -> None:
        storage = tensor.untyped_storage()
        self.holders[storage.data_ptr()] += 1
        if self.holders[storage.data_ptr()] == 1 and storage.data_ptr() not in self.weights:
            kind = self.kind(tensor)
            self.now[kind] += storage.nbytes()
            self.highest[kind] = max(self.highest[kind], self.now[kind])

    def leave(self, tensor: Any) -> None:
        storage = tensor.untyped_storage()
        self.holders[storage.data_ptr()] -= 1
        if not self.holders[storage.data_ptr()] and storage.data_ptr() not in self.weights:
            self.now[self.kind(tensor)] -= storage.nbytes()


class _Held:
    """A tensor that autograd holds; it goes when autograd lets it go."""

    def __init__(self, saved: _Saved, tensor: Any):
        self.saved, self.tensor = saved, tensor
        saved.take(tensor)

    def __del__(self) -> None:
        self.saved.leave(self.tensor)
