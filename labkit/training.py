"""Train a model on dialogues with their summaries, on transformers' Seq2SeqTrainer."""

import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from labkit.batches import collator, kept_rows, training_rows
from labkit.compute.allocator import keep_freed_memory
from labkit.dialogues import Dialogues
from labkit.dials import check_types
from labkit.errors import LabError, StoppedError
from labkit.memory import PeakMemory
from labkit.methods import FullFineTuning
from labkit.models import Model, quiet
from labkit.parameters import is_gated_t5, shape_of_net
from labkit.runs import Run, write_json


@dataclass(frozen=True)
class Training:
    """How long and how fast to train.

    Attributes:
        steps: Optimiser steps.
        batch_size: Dialogues a step.
        learning_rate: The highest learning rate, reached after the warm-up; the method's own unless given.
        warmup: Share of the steps in which the learning rate rises, 0 to 1; it falls to 0 over the rest.
        weight_decay: Pull of the weights towards 0 (AdamW).
        dropout: Share of activations dropped in the model. 0 suits a short training that sees no dialogue twice.
        validations: How often the validation loss is measured.
        patience: Stop after so many measurements without a better one; never, unless given.
        validation_rows: Rows of the validation split that are measured.
    """

    steps: int = 300
    batch_size: int = 16
    learning_rate: float | None = None
    warmup: float = 0.05
    weight_decay: float = 0.0
    dropout: float = 0.0
    validations: int = 5
    patience: int | None = None
    validation_rows: int = 128

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        check_types(self)
        for name in ("steps", "batch_size", "validations", "validation_rows"):
            if getattr(self, name) < 1:
                raise LabError(f"{name} is {getattr(self, name)}: use 1 or more")
        if self.patience is not None and self.patience < 1:
            raise LabError(f"patience is {self.patience}: use 1 or more, or leave it out to train all steps")
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise LabError(f"learning rate {self.learning_rate} is no number above 0: use something like 0.001")
        if not 0 <= self.warmup <= 1:
            raise LabError(f"warmup {self.warmup} is no share: use 0 to 1, such as 0.05")
        if not 0 <= self.weight_decay < math.inf:
            raise LabError(f"weight decay {self.weight_decay} is out of range: use 0 or a little more, such as 0.01")
        if not 0 <= self.dropout < 1:
            raise LabError(f"dropout {self.dropout} is no share: use 0 to below 1, such as 0.1")

    def settings(self) -> dict[str, Any]:
        """The dials, ready for JSON."""
        return asdict(self)


def train(
    model: Model,
    data: Dialogues,
    run: Run,
    training: Training,
    *,
    seed: int = 0,
    report: Callable[[dict[str, float]], Any] | None = None,
    stopped: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Train a model with a method attached; a training that was broken off goes on from its last checkpoint.

    Args:
        model: What `attach` returned; its own parameters are trained in place.
        data: Train and validation rows.
        run: Where history, checkpoints and weights go; `run.start` was called.
        training: How long and how fast.
        seed: For the order of the data and for dropout.
        report: Called with each line of the history as it is written.
        stopped: Asked after each step whether to save a checkpoint and stop.

    Returns:
        train_seconds, peak_memory_mib, steps, train_cut (rows that lost turns or the end of their summary), and the
        validation loss of the weights that were kept: the best with patience, else the last.

    Raises:
        LabError: The model has no method, there are no rows, the run was not started, or the loss is no number any
            more.
        StoppedError: `stopped` said so.
    """
    from labkit.checkpoints import last_checkpoint

    if model.method is None:
        raise LabError(
            f"{model.name} has no method attached, nothing would be trained: use attach(model, LoRA()) first"
        )
    if not len(data.train) or not len(data.validation):
        raise LabError(f"{data.name} has no train or no validation rows: it is for testing only")
    if not (run.folder / "config.json").is_file():
        raise LabError(f"{run.folder} was not started: call run.start(settings) first")
    set_dropout(model.net, training.dropout)
    checkpoint = last_checkpoint(run.folder / "checkpoints")
    run.rewind(int(checkpoint.name.split("-")[1]) if checkpoint else 0)
    peak = PeakMemory(model.device)
    history = _history(run, peak, report, stopped)
    keep_freed_memory()
    with peak, quiet():
        trainer, cut = _trainer(model, data, run, training, seed, history)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if history.stopped:
        raise StoppedError(f"stopped after {trainer.state.global_step} steps: start it again to go on")
    model.net.eval()
    save(model, run)
    shutil.rmtree(run.folder / "checkpoints", ignore_errors=True)
    last = next(line["validation_loss"] for line in reversed(run.history) if "validation_loss" in line)
    result = {
        "train_seconds": round(history.seconds, 2),
        "peak_memory_mib": round(peak.mib),
        "steps": trainer.state.global_step,
        "train_cut": cut,
        "validation_loss": trainer.state.best_metric if training.patience else last,
    }
    write_json(run.folder / "training.json", result)
    return result


def _trainer(model: Model, data: Dialogues, run: Run, training: Training, seed: int, history: Any) -> tuple[Any, int]:
    """A Trainer with its rows, and how many of the rows are cut."""
    from transformers import EarlyStoppingCallback, PrinterCallback, set_seed

    from labkit.checkpoints import CheckpointTrainer

    rows, cut = training_rows(model, data.train, training.steps, training.batch_size, seed)
    validation = kept_rows(model, data.head(validation=training.validation_rows).validation)
    set_seed(seed)
    net = _working(model, int(rows.tokens.lengths[rows.order].sum()))
    trainer = CheckpointTrainer(
        model=net,
        args=_arguments(model, run, training, seed),
        data_collator=collator(model),
        train_dataset=rows,
        eval_dataset=validation,
        callbacks=[
            *model.method.while_training(net, training.steps),  # before the history: they may add to a log
            history,
            *([EarlyStoppingCallback(training.patience)] if training.patience else []),
        ],
    )
    trainer.remove_callback(PrinterCallback)  # prints every log line
    return trainer, cut


def _working(model: Model, tokens: int) -> Any:
    """What is trained in the place of the model, compiled if it reads so many tokens that this is worth it."""
    from labkit.compute.compiling import compile_blocks, pays
    from labkit.compute.working_copy import working_copy

    net = working_copy(model.net, model.precision)
    t5 = net.get_base_model() if hasattr(net, "get_base_model") else net
    if is_gated_t5(t5.config) and pays(shape_of_net(t5), model.device, model.precision, tokens):
        compile_blocks(t5)
    return net


def set_dropout(net: Any, share: float) -> None:
    """Set the dropout of the model itself; a method's own, such as LoRA's, stays as it is."""
    for name, module in net.named_modules():
        if "lora_" in name:
            continue
        if type(module).__name__ == "Dropout":
            module.p = share
        elif type(module).__name__ == "T5Attention":
            module.dropout = share


def save(model: Model, run: Run) -> None:
    """Save what was trained as safetensors: the adapter in PEFT's own format, or the whole model.

    Args:
        model: With a method attached.
        run: Its `weights` folder is written, over what is there.
    """
    fresh = run.weights.with_name(run.weights.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    with quiet():
        # what is embedded is not an adapter's: peft would add the whole table where the head is trained
        whole = {} if isinstance(model.method, FullFineTuning) else {"save_embedding_layers": False}
        model.net.save_pretrained(fresh, **whole)
    model.method.finish_saving(fresh)
    config = fresh / "adapter_config.json"
    if config.is_file():
        # peft writes, here and into a README.md, the folder of the base, which says nothing on another machine
        (fresh / "README.md").unlink(missing_ok=True)
        write_json(config, json.loads(config.read_text(encoding="utf-8")) | {"base_model_name_or_path": model.name})
    else:
        model.tokenizer.save_pretrained(fresh)
    shutil.rmtree(run.weights, ignore_errors=True)
    fresh.replace(run.weights)


def _arguments(model: Model, run: Run, training: Training, seed: int) -> Any:
    from transformers import Seq2SeqTrainingArguments

    every = max(1, training.steps // training.validations)
    arguments = Seq2SeqTrainingArguments(
        output_dir=str(run.folder / "checkpoints"),
        max_steps=training.steps,
        per_device_train_batch_size=training.batch_size,
        per_device_eval_batch_size=2 * training.batch_size,
        learning_rate=training.learning_rate or model.method.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=int(training.warmup * training.steps),
        weight_decay=training.weight_decay,
        optim="adamw_torch_fused",
        bf16=model.precision == "bf16",
        use_cpu=model.device == "cpu",
        train_sampling_strategy="sequential",  # see in_order
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=training.patience is not None,
        restore_callback_states_from_checkpoint=training.patience is not None,  # how long it has waited
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        prediction_loss_only=True,
        label_names=["labels"],
        logging_strategy="steps",
        logging_steps=max(1, training.steps // 60),
        logging_nan_inf_filter=False,  # the default turns a loss that is no number into 0.0
        seed=seed,
        data_seed=seed,
        disable_tqdm=True,
        report_to=[],
        remove_unused_columns=False,
        dataloader_pin_memory=model.device.startswith("cuda"),
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # else every GPU of the machine would take a batch of its own
    return arguments


def _history(
    run: Run,
    peak: PeakMemory,
    report: Callable[[dict[str, float]], Any] | None,
    stopped: Callable[[], bool] | None,
) -> Any:
    """A callback that writes the history, and stops a training that has gone wrong or that somebody stops."""
    from transformers import TrainerCallback

    names = {
        "loss": "loss",
        "eval_loss": "validation_loss",
        "learning_rate": "learning_rate",
        "grad_norm": "gradient_norm",
        "budget": "budget",
    }

    class History(TrainerCallback):  # type: ignore[misc]
        before = (run.history or [{}])[-1].get("seconds", 0.0)  # of a training that was broken off
        seconds = before
        stopped = False

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if stopped and stopped() and state.global_step < state.max_steps:
                self.stopped = control.should_save = control.should_training_stop = True

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.perf_counter()

        def on_train_end(self, *_: Any, **__: Any) -> None:
            self.seconds = self.before + time.perf_counter() - self.began

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
            told = {names.get(k, k): float(v) for k, v in (logs or {}).items() if k in names or k.startswith("gate ")}
            line = {"step": state.global_step} | told
            if len(line) == 1:
                return
            for name in ("loss", "validation_loss", "gradient_norm"):
                if not math.isfinite(line.get(name, 0.0)):
                    raise LabError(f"the {name} is {line[name]} at step {line['step']}: use a lower learning rate")
            line["seconds"] = round(self.before + time.perf_counter() - self.began, 2)
            line["peak_memory_mib"] = round(peak.mib)
            run.log(line)
            if report:
                report(line)

    return History()
