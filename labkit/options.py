"""The options of the command line, each written once, and the dials among them."""

from pathlib import Path
from typing import Annotated, Any

import typer

Model = Annotated[str, typer.Option(help="nano, google/flan-t5-small to -xxl, another Hub id, or a folder.")]
Data = Annotated[
    str, typer.Option(help="nano, handwritten, knkarthick/dialogsum, a csv, jsonl or parquet file, or a folder.")
]
Columns = Annotated[
    list[str] | None,
    typer.Option("--columns", help="Name of a column in your file, as dialogue=text or summary=short."),
]
Methods = Annotated[str, typer.Option("--methods", help="Methods to compare, with commas: full, lora, prompt-tuning.")]
OneMethod = Annotated[str, typer.Option("--method", help="full, lora or prompt-tuning.")]
Rank = Annotated[int | None, typer.Option(help="LoRA: width of the bottleneck (8).")]
Alpha = Annotated[float | None, typer.Option(help="LoRA: the change is scaled by alpha / rank (2 x rank).")]
Targets = Annotated[str | None, typer.Option(help="LoRA: layers, with commas, among q,k,v,o,wi_0,wi_1,wo, or all.")]
LoraDropout = Annotated[float | None, typer.Option(help="LoRA: dropout in front of A (0).")]
Bias = Annotated[str | None, typer.Option(help="LoRA: none, all or lora_only.")]
Rslora = Annotated[bool | None, typer.Option("--rslora", help="LoRA: scale by alpha / sqrt(rank).")]
Dora = Annotated[bool | None, typer.Option("--dora", help="LoRA: learn length and direction apart.")]
Tokens = Annotated[int | None, typer.Option(help="Prompt tuning: virtual tokens (20).")]
Init = Annotated[str | None, typer.Option(help="Prompt tuning: start from vocabulary, text or random.")]
Text = Annotated[str | None, typer.Option(help="Prompt tuning: the words to start from with --init text.")]
Steps = Annotated[int, typer.Option(help="Optimiser steps.")]
BatchSize = Annotated[int, typer.Option(help="Dialogues a step.")]
LearningRate = Annotated[float | None, typer.Option("--lr", help="Highest learning rate; each method has its own.")]
WeightDecay = Annotated[float, typer.Option(help="Weight decay.")]
Dropout = Annotated[float, typer.Option(help="Dropout in the model while it trains.")]
Patience = Annotated[int | None, typer.Option(help="Stop after so many validations without a better one.")]
Seed = Annotated[int, typer.Option(help="Seed of the start values, the order of the data, and dropout.")]
Seeds = Annotated[int, typer.Option(help="How many seeds: 3 trains each method with seeds 0, 1 and 2.")]
Rows = Annotated[int | None, typer.Option(help="Test rows to score; all unless given.")]
Beams = Annotated[int, typer.Option(help="Beams when summaries are written; 1 is greedy.")]
Out = Annotated[Path, typer.Option(help="Folder of the runs.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Precision = Annotated[str, typer.Option(help="auto, fp32 or bf16.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else.")]

DIALS = {
    "lora": ("rank", "alpha", "targets", "dropout", "bias", "rslora", "dora"),
    "prompt-tuning": ("tokens", "init", "text"),
}


def dials(options: dict[str, Any]) -> dict[str, Any]:
    """The dials among a command's options, under the methods' own names."""
    found = {name: options.get(name) for names in DIALS.values() for name in names if name != "dropout"}
    found["dropout"] = options.get("lora_dropout")
    if found["targets"] is not None:
        found["targets"] = tuple(target.strip() for target in found["targets"].split(","))
    return {name: value for name, value in found.items() if value is not None}
