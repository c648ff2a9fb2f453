"""Scoring a model on nano's test split: `labkit.evaluate` beside Seq2SeqTrainer.evaluate with generated summaries.

python benchmarks/evaluating.py '{"who": "learn", "folder": "some/folder"}'       # trains a LoRA there
python benchmarks/evaluating.py '{"who": "labkit", "folder": "some/folder"}'      # or "trainer"; prints JSON
"""

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rouge_score import rouge_scorer
from training import told
from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments
from work import METHODS

import labkit as lk
from labkit.batches import collator, encode_rows
from labkit.intervals import MEASURES
from labkit.methods import restore
from labkit.models import quiet

ROWS, BATCH, STEPS = 500, 64, 300


def evaluating(rounds: int, rows: int = ROWS, steps: int = STEPS) -> dict[str, Any]:
    """Train once, and evaluate in turns, each in a process of its own.

    Args:
        rounds: How often each side evaluates.
        rows: Test dialogues.
        steps: Of the training.

    Returns:
        Seconds of both sides, ROUGE-1 of both, the ratio, and how many summaries are the same.
    """
    sides: dict[str, list[dict[str, Any]]] = {"labkit": [], "trainer": []}
    with tempfile.TemporaryDirectory() as folder:
        told("evaluating.py", {"who": "learn", "folder": folder, "steps": steps}, folder)
        for turn in range(rounds):
            for who in list(sides)[:: 1 if turn % 2 == 0 else -1]:
                sides[who].append(told("evaluating.py", {"who": who, "folder": folder, "rows": rows}, folder))
    ours, theirs = sides.values()
    both = zip(ours[0]["summaries"], theirs[0]["summaries"], strict=True)
    return {
        "rows": len(ours[0]["summaries"]),
        "rounds": rounds,
        "precision": ours[0]["precision"],
        "labkit_seconds": round(median(each["seconds"] for each in ours), 2),
        "trainer_seconds": round(median(each["seconds"] for each in theirs), 2),
        "over_trainer": round(
            median(other["seconds"] / mine["seconds"] for mine, other in zip(ours, theirs, strict=True)), 2
        ),
        "equal_summaries": sum(mine == other for mine, other in both),
        "labkit_rouge1": round(ours[0]["rouge1"], 4),
        "trainer_rouge1": round(theirs[0]["rouge1"], 4),
    }


def learn(ask: dict[str, Any]) -> dict[str, Any]:
    """Train a LoRA; its run is the folder."""
    model, run = lk.attach(lk.load_model("nano", device="cpu"), METHODS["lora"]), lk.Run(Path(ask["folder"]) / "run")
    run.start({"method": model.method.dials()})
    training = lk.Training(steps=ask.get("steps", STEPS), validations=1)
    return lk.train(model, lk.load_dialogues(), run, training)


def labkit(ask: dict[str, Any]) -> dict[str, Any]:
    """`labkit.evaluate`, with its summaries written into a run."""
    model, data = opened(ask)
    run = lk.Run(Path(ask["folder"]) / "scored")
    began = time.perf_counter()
    scores = lk.evaluate(model, data, run=run)
    seconds = time.perf_counter() - began
    summaries = [row["summary"] for row in run.predictions]
    return {
        "seconds": seconds,
        "precision": model.precision,
        "rouge1": scores.average("rouge1"),
        "summaries": summaries,
    }


def trainer(ask: dict[str, Any]) -> dict[str, Any]:
    """Seq2SeqTrainer.evaluate as its documentation has it, with ROUGE by rouge_score in compute_metrics."""
    model, data = opened(ask)
    # what a dialogue is scored against is kept beside the batches, since a label has room for one reference only
    rows, references, summaries = encode_rows(model, data.test)[0], list(data.test["summaries"]), list[str]()
    scorer = rouge_scorer.RougeScorer(list(MEASURES), use_stemmer=True)

    def score(predicted: Any) -> dict[str, float]:
        ids = np.where(predicted.predictions < 0, model.tokenizer.pad_token_id, predicted.predictions)
        summaries[:] = [text.strip() for text in model.tokenizer.batch_decode(ids, skip_special_tokens=True)]
        each = [
            [scorer.score(reference, summary) for reference in texts]
            for texts, summary in zip(references, summaries, strict=True)
        ]
        return {
            measure: float(np.mean([np.mean([one[measure].fmeasure for one in row]) for row in each]))
            for measure in MEASURES
        }

    arguments = Seq2SeqTrainingArguments(
        output_dir=ask["folder"],
        per_device_eval_batch_size=BATCH,
        predict_with_generate=True,
        bf16=model.precision == "bf16",
        use_cpu=True,
        remove_unused_columns=False,
        label_names=["labels"],
        disable_tqdm=True,
        report_to=[],
        dataloader_pin_memory=False,
    )
    with quiet():
        peer = Seq2SeqTrainer(
            model=model.net,
            args=arguments,
            eval_dataset=rows,
            data_collator=collator(model),
            processing_class=model.tokenizer,
            compute_metrics=score,
        )
        began = time.perf_counter()
        with model.arithmetic():  # Trainer's own bf16 does not reach peft's generate
            # said here, and not in a generation_config, which does not reach what peft has wrapped
            figures = peer.evaluate(max_new_tokens=lk.Evaluation().max_new_tokens, num_beams=1, do_sample=False)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "precision": model.precision, "rouge1": figures["eval_rouge1"], "summaries": summaries}


def opened(ask: dict[str, Any]) -> tuple[Any, lk.Dialogues]:
    """The model that `learn` trained, and the test rows."""
    run = lk.Run.open(Path(ask["folder"]) / "run")
    model = restore(lk.load_model("nano", device="cpu"), METHODS["lora"], run.weights)
    return model, lk.load_dialogues().head(test=ask.get("rows", ROWS))


SIDES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {"learn": learn, "labkit": labkit, "trainer": trainer}

if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # Trainer prints, and the one line is for who started this
        ask = json.loads(sys.argv[1])
        result = SIDES[ask["who"]](ask)
    print(json.dumps(result))
