"""The command line: `labkit compare`, `train`, `evaluate`, `summarize`, `params`, `runs`, `doctor`."""

import json
import re
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from labkit import options as opt
from labkit.errors import LabError
from labkit.evaluation import Evaluation
from labkit.jobs import load_data, open_model, run_methods
from labkit.parameters import shape_of
from labkit.progress import console
from labkit.runs import RUNS
from labkit.terminal import print_comparison
from labkit.training import Training

app = typer.Typer(
    help="Fine-tune a small T5 on dialogue summarization in full, with LoRA, adapters or soft prompts, and compare.\n\n"
    "Start with `labkit compare`: it needs no network and no GPU, and takes some minutes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(asked: bool) -> None:
    if asked:
        print(version("labkit"))
        raise typer.Exit


@app.callback()
def top(
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
    _: Annotated[bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)] = False,
) -> None:
    """Take the options that stand before the command."""


@app.command()
@opt.takes(opt.dials(), opt.settings(Training), opt.settings(Evaluation))
def compare(
    model: opt.Model = "nano",
    data: opt.Data = "nano",
    methods: opt.Methods = "full,lora,prompt-tuning",
    columns: opt.Columns = None,
    seeds: opt.Seeds = 1,
    out: opt.Out = RUNS,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    as_json: opt.AsJson = False,
    **options: Any,
) -> None:
    """Train what is missing, reuse what is there, and print one table with intervals.

    Lead-2 (the first two turns) and the untouched base come first; then each method.
    """
    where = {"model": model, "root": out, "device": device, "precision": precision}
    table = run_methods(methods.split(","), load_data(data, columns), options, seeds=range(seeds), **where)
    if as_json:
        print(json.dumps({"rows": table.rows(), "differences": table.difference_rows()}))
        return
    print_comparison(table)


@app.command()
@opt.takes(opt.dials(), opt.settings(Training), opt.settings(Evaluation))
def train(
    method: opt.OneMethod = "lora",
    model: opt.Model = "nano",
    data: opt.Data = "nano",
    columns: opt.Columns = None,
    seed: opt.Seed = 0,
    out: opt.Out = RUNS,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    as_json: opt.AsJson = False,
    **options: Any,
) -> None:
    """Train one method with one seed and score it; the same settings are not trained twice."""
    where = {"model": model, "root": out, "device": device, "precision": precision}
    table = run_methods([method], load_data(data, columns), options, seeds=[seed], **where)
    row = table.rows()[-1]
    if as_json:
        print(json.dumps(row))
        return
    print_comparison(replace(table, entries=table.entries[1:]))
    console.print(f"The run is in {row['runs'][0]}", markup=False, highlight=False, soft_wrap=True)


@app.command()
@opt.takes(opt.settings(Evaluation))
def evaluate(
    run: Annotated[
        Path | None,
        typer.Argument(help="Folder of a run or an adapter, which knows its model; without it --model is scored."),
    ] = None,
    model: opt.BaseModel = None,
    data: opt.Data = "nano",
    columns: opt.Columns = None,
    lead: Annotated[bool, typer.Option("--lead", help="Score the first two turns instead of a model.")] = False,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    as_json: opt.AsJson = False,
    **options: Any,
) -> None:
    """Score a run, a base model or the lead-2 baseline on the test split of any data."""
    from labkit.evaluation import evaluate as score_model
    from labkit.generation import turns_cut
    from labkit.intervals import MEASURES
    from labkit.plots import title, with_interval

    if run and lead:
        raise LabError(f"--lead is no model, and {run} is one: score one at a time")
    if model and lead:
        raise LabError(f"--model {model} has no effect beside --lead: leave it out")
    dialogues = load_data(data, columns)
    used = None if lead else open_model(run, model, device, precision)
    evaluation = opt.built(Evaluation, options)
    if lead and evaluation != Evaluation(rows=evaluation.rows):
        raise LabError("--lead copies and writes nothing: leave out --beams and --max-new-tokens")
    scores = score_model(used, dialogues, evaluation)
    read = list(dialogues.head(test=evaluation.rows).test["dialogue"])
    cut = sum(turns > 0 for turns in turns_cut(used, read)) if used else 0
    result = {"data": dialogues.name, "rows": len(scores.ids), "cut": cut} | scores.row()
    if as_json:
        print(json.dumps(result))
        return
    table = Table("", "mean of references", "best reference")
    for measure in MEASURES:
        mean = with_interval(result[measure], result[f"{measure}_interval"])
        table.add_row(title(measure), mean, f"{result[f'{measure}_max']:.3f}".replace("0.", "."))
    Console().print(table)
    print("± is half of the 95 % interval over the test dialogues.")
    print(f"A summary has {result['words']:.1f} words on average.")
    if cut:
        console.print(f"{cut} of {len(read)} dialogues were too long for the model, and lost their oldest turns.")


@app.command()
def summarize(
    dialogue: Annotated[str, typer.Argument(help="The dialogue, a turn a line; - reads it from standard input.")] = "-",
    run: Annotated[
        Path | None,
        typer.Option(help="Folder of a run or an adapter, which knows its model; without it --model writes."),
    ] = None,
    model: opt.BaseModel = None,
    beams: Annotated[int, typer.Option(help="Beams of the search; 1 is greedy.")] = 1,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    as_json: opt.AsJson = False,
) -> None:
    """Summarize a dialogue of your own."""
    from labkit.generation import summarize as write
    from labkit.generation import turns_cut

    try:
        words = sys.stdin.read() if dialogue == "-" else dialogue.replace("\\n", "\n")
        words.encode()
    except UnicodeError:
        raise LabError("the dialogue is not UTF-8 text: save it again as UTF-8") from None
    if len(words) < 255 and Path(words).is_file():
        raise LabError(f"{words} is a file, not a dialogue: write labkit summarize < {words}")
    if re.fullmatch(r"\S+\.(txt|md|csv|jsonl?)", words):
        raise LabError(f"{words} looks like a file, and there is none: give the dialogue, or a file after <")
    if not words.strip():
        raise LabError("the dialogue is empty: give turns such as '#Person1#: Are you coming?'")
    used = open_model(run, model, device, precision)
    summary, cut = write(used, [words], beams=beams)[0], turns_cut(used, [words])[0]
    print(json.dumps({"summary": summary, "turns_cut": cut}) if as_json else summary)
    if cut and not as_json:
        console.print(f"The dialogue was too long for the model: its first {cut} turns were not read in full.")


@app.command()
@opt.takes(opt.dials())
def params(
    method: opt.OneMethod = "lora",
    model: opt.Model = "nano",
    as_json: opt.AsJson = False,
    **options: Any,
) -> None:
    """Count what a method trains, from the model's shape alone: no weights, no network."""
    from labkit.costs.budget import base_bytes

    (chosen,) = opt.methods([method], options)
    count = chosen.count(shape_of(model))
    result = {
        "model": model,
        **chosen.dials(),
        "trainable": count.trainable,
        "total": count.total,
        "percent": count.percent,
        "adapter_bytes": 4 * chosen.stored(shape_of(model)),
        "base_bytes": sum(base_bytes(shape_of(model), chosen).values()),
    }
    if as_json:
        print(json.dumps(result))
        return
    print(f"{chosen.label} on {model} trains {count.trainable:,} of {count.total:,} parameters, {count.percent:.4g} %")
    if result.get("bits"):
        print(f"The base takes {result['base_bytes']:,} bytes, with its matrices in {result['bits']} bits")


@app.command()
def runs(out: opt.Out = RUNS, as_json: opt.AsJson = False) -> None:
    """List the runs that are stored, the newest first."""
    from labkit.experiment import turned
    from labkit.methods import label
    from labkit.runs import list_runs

    found = []
    for run in list_runs(out):
        config = run.config
        found.append(
            {
                "run": str(run.folder),
                "method": (config.get("method") or {}).get("method", "base"),
                "label": label(config.get("method") or {}),
                "model": (config.get("model") or {}).get("name"),
                "data": (config.get("data") or {}).get("name"),
                "seed": config.get("seed"),
                "steps": (config.get("training") or {}).get("steps"),
                "rows": (config.get("evaluation") or {}).get("rows"),
                "turned": turned(config),
                "finished": run.finished,
                "rouge1": run.scores.average("rouge1") if run.finished else None,
            }
        )
    if as_json:
        print(json.dumps({"runs": found}))
        return
    shown = Console(soft_wrap=True)
    if not found:
        shown.print(f"There are no runs in {out}: `labkit compare` makes some.")
        return
    names = Column("run", no_wrap=True, min_width=max(len(Path(row["run"]).name) for row in found))  # to be copied
    table = Table(names, "method", "model", "data", "seed", "steps", "rows", "ROUGE-1", "turned")
    for row in found:
        score = f"{row['rouge1']:.3f}" if row["finished"] else "not finished"
        told = (
            Path(row["run"]).name,
            *(row[name] for name in ("label", "model", "data", "seed", "steps")),
            row["rows"] or "all",
            score,
            " ".join(f"{name}={value}" for name, value in row["turned"].items()),
        )
        table.add_row(*(escape("" if each is None else str(each)) for each in told))
    shown.print(table)
    shown.print(f"The runs are in {out}.", markup=False, highlight=False)


@app.command()
def doctor(model: opt.Model = "nano", as_json: opt.AsJson = False) -> None:
    """Tell what was found on this machine, which precision was chosen for a model, and why."""
    from labkit.doctor import examine

    found = examine(model)
    if as_json:
        print(json.dumps(found))
        return
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in found.items():
        table.add_row(name, escape(value))
    Console(soft_wrap=True).print(table)


def main() -> None:
    """Run the command line; a mistake is one line and exit status 2."""
    debug = "--debug" in sys.argv  # wherever it stands
    sys.argv = [word for word in sys.argv if word != "--debug"]
    try:
        app()
    except (LabError, OSError) as error:
        if debug:
            raise
        where = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else error
        print(f"labkit: {where}", file=sys.stderr)
        sys.exit(2)
    except SystemExit as end:
        if end.code == 130:  # what typer makes of Ctrl-C
            print("labkit: stopped; the same command goes on from a checkpoint if there is one", file=sys.stderr)
        raise


if __name__ == "__main__":
    main()
