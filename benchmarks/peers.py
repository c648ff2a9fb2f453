"""How others train the same model: three recipes, written down anew.

lab_2      the usual course lab: all is padded to 512 tokens, without a mask, padding is a label, Trainer's defaults
trainer    Seq2SeqTrainer, as fast as its options make it
loop       a plain loop in PyTorch, with peft and autocast

The last two start from the network that labkit starts from and read its batches in its order, so that their losses
can be laid beside its own.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from peft import LoraConfig, TaskType, get_peft_model
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    get_linear_schedule_with_warmup,
)
from work import METHODS, Clock, dialogues, ordered_rows

import labkit as lk
from labkit.batches import collator
from labkit.models import quiet
from labkit.paths import model_folder
from labkit.prompts import LIMIT, ZERO_SHOT
from labkit.training import set_dropout

Ask = dict[str, Any]  # who, model, method, precision, steps, batch
WARMUP = lk.Training().warmup


def lab_2(ask: Ask, clock: Clock, folder: str) -> list[float]:
    """The course lab, with full fine-tuning or LoRA on q and v.

    Args:
        ask: What to train, and how long.
        clock: Told when a step ends.
        folder: For what Trainer wants to write.

    Returns:
        The loss of each step.
    """
    source = model_folder(ask["model"])
    tokenizer = AutoTokenizer.from_pretrained(source)
    net = AutoModelForSeq2SeqLM.from_pretrained(source, dtype=torch.float32)
    if ask["method"] == "lora":
        rank = METHODS["lora"].rank
        kind = TaskType.SEQ_2_SEQ_LM
        net = get_peft_model(net, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=["q", "v"], task_type=kind))
    elif ask["method"] != "full":
        raise ValueError(f"the course lab has no {ask['method']}")

    def encoded(texts: list[str]) -> Any:
        return tokenizer(texts, padding="max_length", truncation=True, max_length=LIMIT)["input_ids"]

    rows = dialogues(ask["model"], ask["steps"] * ask["batch"]).train.select(range(ask["steps"] * ask["batch"]))
    ids = encoded([ZERO_SHOT.text(dialogue) for dialogue in rows["dialogue"]])
    labels = encoded([summaries[0] for summaries in rows["summaries"]])
    arguments = TrainingArguments(
        output_dir=folder,
        max_steps=ask["steps"],
        per_device_train_batch_size=ask["batch"],
        use_cpu=True,
        disable_tqdm=True,
        report_to=[],
    )
    data = [{"input_ids": i, "labels": label} for i, label in zip(ids, labels, strict=True)]
    return _trained(Trainer, net, arguments, clock, train_dataset=data)


def trainer(ask: Ask, clock: Clock, folder: str) -> list[float]:
    """Seq2SeqTrainer with all that makes it fast: short padding, fused AdamW, bfloat16 if asked for, nothing logged.

    The arguments, and what is returned, are those of `lab_2`.
    """
    model, rows = _start(ask)
    arguments = Seq2SeqTrainingArguments(
        output_dir=folder,
        max_steps=ask["steps"],
        per_device_train_batch_size=ask["batch"],
        learning_rate=model.method.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=int(WARMUP * ask["steps"]),
        optim="adamw_torch_fused",
        bf16=ask["precision"] == "bf16",
        use_cpu=True,
        train_sampling_strategy="sequential",
        eval_strategy="no",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        report_to=[],
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    return _trained(Seq2SeqTrainer, model.net, arguments, clock, train_dataset=rows, data_collator=collator(model))


def loop(ask: Ask, clock: Clock, folder: str) -> list[float]:
    """A loop as in many a tutorial, without a trainer; the arguments, and what is returned, are those of `lab_2`."""
    model, rows = _start(ask)
    net = model.net.train()
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=model.method.learning_rate, weight_decay=0.0, fused=True)
    schedule = get_linear_schedule_with_warmup(optimizer, int(WARMUP * ask["steps"]), ask["steps"])
    autocast = torch.autocast("cpu", torch.bfloat16) if ask["precision"] == "bf16" else nullcontext()
    losses = []
    for step, batch in enumerate(DataLoader(rows, ask["batch"], collate_fn=collator(model)), 1):
        with autocast:
            loss = net(**batch).loss
        loss.backward()
        clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        clock.tick(step)
    return losses


def _start(ask: Ask) -> tuple[Any, list[dict[str, Any]]]:
    """The network that labkit starts from, without dropout, and the rows in its order."""
    base = lk.load_model(ask["model"], device="cpu", precision=ask["precision"])
    model = lk.attach(base, METHODS[ask["method"]])
    set_dropout(model.net, 0.0)
    return model, ordered_rows(model, dialogues(ask["model"], ask["steps"] * ask["batch"]), ask["steps"], ask["batch"])


def _trained(kind: type[Trainer], net: Any, arguments: Any, clock: Clock, **data: Any) -> list[float]:
    """The losses of a training with a Trainer, which is let be but for the losses, which it would log at a cost."""
    losses: list[Any] = []

    class Watched(kind):  # type: ignore[valid-type, misc]
        def training_step(self, *args: Any, **kwargs: Any) -> Any:
            losses.append(super().training_step(*args, **kwargs))
            return losses[-1]

    class Tick(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            clock.tick(state.global_step)

    with quiet():
        Watched(model=net, args=arguments, callbacks=[Tick()], **data).train()
    return [float(loss) for loss in losses]


PEERS: dict[str, Callable[[Ask, Clock, str], list[float]]] = {"lab_2": lab_2, "trainer": trainer, "loop": loop}
