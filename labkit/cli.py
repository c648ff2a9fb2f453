"""The command line: `labkit compare`, `train`, `evaluate`, `summarize`, `params`, `runs`."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from labkit.errors import LabError
from labkit.terminal import RunBars, console, print_comparison

app = typer.Typer(
    help="Fine-tune a small T5 on dialogue summarization in full, with LoRA and with soft prompts, and compare.\n\n"
    "Start with `labkit compare`: it needs no network and no GPU, and takes some minutes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
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


@app.callback()
def top(debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False) -> None:
    """Take the options that stand before the command."""


@app.command()
def compare(
    model: Model = "nano",
    data: Data = "nano",
    methods: Methods = "full,lora,prompt-tuning",
    columns: Columns = None,
    rank: Rank = None,
    alpha: Alpha = None,
    targets: Targets = None,
    lora_dropout: LoraDropout = None,
    bias: Bias = None,
    rslora: Rslora = None,
    dora: Dora = None,
    tokens: Tokens = None,
    init: Init = None,
    text: Text = None,
    steps: Steps = 300,
    batch_size: BatchSize = 16,
    lr: LearningRate = None,
    weight_decay: WeightDecay = 0.0,
    dropout: Dropout = 0.0,
    patience: Patience = None,
    seeds: Seeds = 1,
    rows: Rows = None,
    beams: Beams = 1,
    out: Out = Path("runs"),
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """Train what is missing, reuse what is there, and print one table with intervals.

    Lead-2 (the first two turns) and the untouched base come first; then each method.
    """
    table = _run(locals(), methods.split(","), range(seeds))
    if as_json:
        print(json.dumps({"rows": table.rows(), "differences": _differences(table)}))
        return
    print_comparison(table)


@app.command()
def train(
    method: OneMethod = "lora",
    model: Model = "nano",
    data: Data = "nano",
    columns: Columns = None,
    rank: Rank = None,
    alpha: Alpha = None,
    targets: Targets = None,
    lora_dropout: LoraDropout = None,
    bias: Bias = None,
    rslora: Rslora = None,
    dora: Dora = None,
    tokens: Tokens = None,
    init: Init = None,
    text: Text = None,
    steps: Steps = 300,
    batch_size: BatchSize = 16,
    lr: LearningRate = None,
    weight_decay: WeightDecay = 0.0,
    dropout: Dropout = 0.0,
    patience: Patience = None,
    seed: Seed = 0,
    rows: Rows = None,
    beams: Beams = 1,
    out: Out = Path("runs"),
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """Train one method with one seed and score it; the same settings are not trained twice."""
    table = _run(locals(), [method], [seed])
    row = table.rows()[-1]
    if as_json:
        print(json.dumps(row))
        return
    print_comparison(replace(table, entries=table.entries[1:]))
    console.print(f"The run is in {row['runs'][0]}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def evaluate(
    run: Annotated[
        Path | None, typer.Argument(help="Folder of a run; without it the base or lead-2 is scored.")
    ] = None,
    model: Model = "nano",
    data: Data = "nano",
    columns: Columns = None,
    lead: Annotated[bool, typer.Option("--lead", help="Score the first two turns instead of a model.")] = False,
    rows: Rows = None,
    beams: Beams = 1,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """Score a run, a base model or the lead-2 baseline on the test split of any data."""
    from labkit.evaluation import Evaluation
    from labkit.evaluation import evaluate as score_model

    dialogues = _load(data, columns)
    used = None if lead else _open(run, model, device, precision)
    scores = score_model(used, dialogues, Evaluation(rows, beams))
    result: dict[str, Any] = {"data": dialogues.name, "rows": len(scores.ids)}
    for measure in ("rouge1", "rouge2", "rougeL", "rougeLsum"):
        result[measure] = scores.average(measure)
        result[f"{measure}_interval"] = list(scores.interval(measure))
        result[f"{measure}_max"] = scores.average(measure, "max")
    if as_json:
        print(json.dumps(result))
        return
    table = Table("measure", "mean of references", "95 % interval", "best reference")
    for measure in ("rouge1", "rouge2", "rougeL", "rougeLsum"):
        low, high = result[f"{measure}_interval"]
        table.add_row(measure, f"{result[measure]:.3f}", f"{low:.3f} to {high:.3f}", f"{result[f'{measure}_max']:.3f}")
    Console().print(table)


@app.command()
def summarize(
    dialogue: Annotated[str, typer.Argument(help="The dialogue, a turn a line; - reads it from standard input.")] = "-",
    run: Annotated[Path | None, typer.Option(help="Folder of a run; without it the base model writes.")] = None,
    model: Model = "nano",
    beams: Beams = 1,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """Summarize a dialogue of your own."""
    from labkit.generation import summarize as write

    try:
        words = sys.stdin.read() if dialogue == "-" else dialogue.replace("\\n", "\n")
        words.encode()
    except UnicodeError:
        raise LabError("the dialogue is not UTF-8 text: save it again as UTF-8") from None
    if not words.strip():
        raise LabError("the dialogue is empty: give turns such as '#Person1#: Are you coming?'")
    used = _open(run, model, device, precision)
    summary = write(used, [words], beams=beams)[0]
    print(json.dumps({"summary": summary}) if as_json else summary)


@app.command()
def params(
    method: OneMethod = "lora",
    model: Model = "nano",
    rank: Rank = None,
    alpha: Alpha = None,
    targets: Targets = None,
    lora_dropout: LoraDropout = None,
    bias: Bias = None,
    rslora: Rslora = None,
    dora: Dora = None,
    tokens: Tokens = None,
    init: Init = None,
    text: Text = None,
    as_json: AsJson = False,
) -> None:
    """Count what a method trains, from the model's shape alone: no weights, no network."""
    dials = _dials(locals())
    from labkit.methods import make_method
    from labkit.parameters import shape_of

    chosen = make_method(method, **dials)
    count = chosen.count(shape_of(model))
    result = {
        "model": model,
        **chosen.dials(),
        "trainable": count.trainable,
        "total": count.total,
        "percent": count.percent,
        "adapter_bytes": 4 * count.trainable,
    }
    if as_json:
        print(json.dumps(result))
        return
    print(f"{chosen.label} on {model} trains {count.trainable:,} of {count.total:,} parameters, {count.percent:.4g} %")


@app.command()
def runs(out: Out = Path("runs"), as_json: AsJson = False) -> None:
    """List the runs that are stored, the newest first."""
    from labkit.runs import list_runs

    found = []
    for run in list_runs(out):
        config = run.config
        found.append(
            {
                "run": str(run.folder),
                "method": (config.get("method") or {}).get("method", "base"),
                "model": (config.get("model") or {}).get("name"),
                "data": (config.get("data") or {}).get("name"),
                "seed": config.get("seed"),
                "finished": run.finished,
                "rouge1": run.scores.average("rouge1") if run.finished else None,
            }
        )
    if as_json:
        print(json.dumps({"runs": found}))
        return
    table = Table("run", "method", "model", "data", "seed", "ROUGE-1")
    for row in found:
        score = f"{row['rouge1']:.3f}" if row["finished"] else "not finished"
        table.add_row(
            *(str(row[k] if row[k] is not None else "") for k in ("run", "method", "model", "data", "seed")), score
        )
    Console().print(table if found else f"There are no runs in {out}: `labkit compare` makes some.")


def main() -> None:
    """Run the command line; a mistake is one line and exit status 2."""
    try:
        app()
    except (LabError, OSError) as error:
        if "--debug" in sys.argv:
            raise
        print(f"labkit: {error}", file=sys.stderr)
        sys.exit(2)
    except SystemExit as end:
        if end.code == 130:  # what typer makes of Ctrl-C
            print("labkit: stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        raise


DIALS = {
    "lora": ("rank", "alpha", "targets", "dropout", "bias", "rslora", "dora"),
    "prompt-tuning": ("tokens", "init", "text"),
}


def _dials(options: dict[str, Any]) -> dict[str, Any]:
    """The dials among a command's options, under the methods' own names."""
    dials = {name: options.get(name) for names in DIALS.values() for name in names if name != "dropout"}
    dials["dropout"] = options.get("lora_dropout")
    if dials["targets"] is not None:
        dials["targets"] = tuple(target.strip() for target in dials["targets"].split(","))
    return {name: value for name, value in dials.items() if value is not None}


def _run(options: dict[str, Any], names: Sequence[str], seeds: Sequence[int]) -> Any:
    """What `compare` and `train` have in common."""
    from labkit.comparison import compare as run_comparison
    from labkit.evaluation import Evaluation
    from labkit.methods import make_method
    from labkit.training import Training

    dials, names = _dials(options), [name.strip() for name in names]
    for dial in dials:
        if not any(dial in DIALS.get(name, ()) for name in names):
            raise LabError(f"the dial {dial} fits none of {', '.join(names)}: leave it out or add its method")
    chosen = [make_method(name, **{d: v for d, v in dials.items() if d in DIALS.get(name, ())}) for name in names]
    training = Training(
        steps=options["steps"],
        batch_size=options["batch_size"],
        learning_rate=options["lr"],
        weight_decay=options["weight_decay"],
        dropout=options["dropout"],
        patience=options["patience"],
    )
    with RunBars(training.steps) as progress:
        return run_comparison(
            chosen,
            options["model"],
            _load(options["data"], options["columns"]),
            seeds=seeds,
            training=training,
            evaluation=Evaluation(options["rows"], options["beams"]),
            root=options["out"],
            report=progress.report,
            device=options["device"],
            precision=options["precision"],
        )


def _load(data: str, columns: list[str] | None) -> Any:
    from labkit.dialogues import load_dialogues

    for column in columns or []:
        if "=" not in column:
            raise LabError(f"--columns {column} has no '=': write it as --columns dialogue=text")
    return load_dialogues(data, columns=dict(column.split("=", 1) for column in columns or []))


def _open(run: Path | None, model: str, device: str, precision: str) -> Any:
    """The base model, or a run's trained model on the base it was trained on."""
    from labkit.methods import from_dials, restore
    from labkit.models import load_model
    from labkit.runs import Run

    if run is None:
        return load_model(model, device=device, precision=precision)
    opened = Run.open(run)
    if not opened.config.get("method") or not opened.trained:
        raise LabError(f"{run} holds no trained weights: name a run of full, lora or prompt-tuning that is finished")
    base = load_model(opened.config["model"]["name"], device=device, precision=precision)
    return restore(base, from_dials(opened.config["method"]), opened.weights)


def _differences(table: Any) -> list[dict[str, Any]]:
    return [
        {"method": a, "against": b, "rouge1": d.mean, "interval": [d.low, d.high], "real": bool(d.real)}
        for a, b, d in table.differences()
    ]


if __name__ == "__main__":
    main()
