"""The model card of what a run trained: what it is, how it came about, how good it is, how to load it."""

from html import escape
from pathlib import Path
from typing import Any

from labkit.intervals import paired_difference
from labkit.methods import METHODS, from_dials
from labkit.paths import model_folder
from labkit.prompts import AFTER, BEFORE, LONGEST_SUMMARY
from labkit.runs import Run

LICENCES = {"nano": "Apache-2.0", "handwritten": "Apache-2.0", "knkarthick/dialogsum": "CC BY-NC-SA 4.0"}  # of data
MEASURES = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}

CARD = """---
library_name: {library}
{base_model}pipeline_tag: summarization
tags: [{method}, labkit]
---

# {method} on {base}

{what} It was trained on the dialogues "{data}".

## Training

{training}

## Scores

{scores}

## Use

labkit is not needed. {notes}A dialogue has a turn a line; model and prompt together read up to 512 tokens.
What transformers may say of tied weights when it loads the model does no harm.

```python
{snippet}
```

## Limits

The scores speak of dialogues like those of the test rows above, and of no others. ROUGE counts words that a summary
shares with a reference and does not read: a summary can score well and be wrong. Nothing was measured of what it does
with names, with groups of people, or with harmful dialogues. Have a person read what it writes before it is used.

## Made with

{made}
"""

ADAPTER = """{system}from peft import PeftModel
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

base, adapter = "{source}", "path/to/this/folder"
{tuner}tokenizer = AutoTokenizer.from_pretrained(base{revision})
model = AutoModelForSeq2SeqLM.from_pretrained(base{revision}, dtype="float32")
model = PeftModel.from_pretrained(model, adapter).eval()
"""

TUNER = """sys.path.insert(0, adapter)
import {tuner}  # lies in this folder, and adds the method to peft
"""

WHOLE = """from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

folder = "path/to/this/folder"
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype="float32").eval()
"""

ASK = f"""
dialogue = "#Person1#: Are you coming?\\n#Person2#: At six."
batch = tokenizer({BEFORE!r} + dialogue + {AFTER!r}, return_tensors="pt")
asked = {{"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}}
"""

TASKS = 'asked["task_ids"] = batch["input_ids"].new_tensor([0])  # the task of each dialogue, a number below {tasks}\n'

WRITE = f"""out = model.generate(**asked, do_sample=False, num_beams=1, max_new_tokens={LONGEST_SUMMARY})
print(tokenizer.decode(out[0], skip_special_tokens=True).strip())"""

ALONE = "`{tuner}.py` in this folder adds the method to peft; it is a program, so read it before you run it. "
NOTES = {
    "adalora": (
        "Its trained numbers are counted before ranks were cut; the file holds what is left. "
        "What plain peft 0.21 loads of it writes, but gives no loss. "
    ),
    "bottleneck": "peft has no bottleneck adapters. ",
    "prefix-tuning": "peft's own prefix tuning is another one, in the decoder only. ",
    "llama-adapter": (
        "This is the method of arXiv:2303.16199 carried over to T5: there it was for LLaMA, which is a decoder alone, "
        "and what peft has of it, AdaptionPrompt, refuses T5. "
    ),
    "multitask-prompt-tuning": "Plain peft wants to be told the task of each dialogue. ",
}


def model_card(run: Run, base: Run | None = None, lead: Run | None = None) -> str:
    """All that somebody else needs to use, repeat and doubt what a run trained.

    Args:
        run: A finished run of a method.
        base: The run of the untouched base, to be shown beside it.
        lead: The run that copies the first two turns, to be shown beside it.

    Returns:
        Markdown, as model hubs show it.

    Raises:
        LabError: A run is not finished, or they were scored on different dialogues.
    """
    config, results = run.config, run.results
    name, method = public_name(config["model"]["name"]), config["method"]["method"]
    on_hub, whole, tuner = "/" in name, method == "full", METHODS[method].tuner
    rest = "It is the whole model." if whole else f"The base, {name}, is needed beside it."
    if bits := config["method"].get("bits"):
        rest += f" In training and for the scores its matrices were in {bits} bits; below they are in 32."
    return CARD.format(
        library="transformers" if whole else "peft",
        base_model=f"base_model: {name}\n" if on_hub else "",
        method=method,
        base=name,
        what=f"{results['trainable']:,} trained numbers, {run.weight_bytes / 1000:,.0f} kB. {rest}",
        data=_cell(config["data"]["name"]),
        training=_training(run, name),
        scores=_scores(run, base, lead),
        notes=NOTES.get(method, "") + (ALONE.format(tuner=tuner) if tuner else ""),
        snippet=_snippet(config, name, tuner),
        made=_made(config["environment"]),
    )


def _snippet(config: dict[str, Any], name: str, tuner: str) -> str:
    """What somebody types who has the folder."""
    on_hub, tasks = "/" in name, config["method"].get("tasks")
    load = ADAPTER.format(
        system="import sys\n\n" if tuner else "",
        source=name if on_hub else f"path/to/{name}",
        tuner=TUNER.format(tuner=tuner) if tuner else "",
        revision=f', revision="{config["loaded"]["revision"]}"' if on_hub else "",
    )
    load = WHOLE if config["method"]["method"] == "full" else load
    return load + ASK + (TASKS.format(tasks=tasks) if tasks else "") + WRITE


def public_name(name: str) -> str:
    """The name of a model without the folders of this machine that lead to it; a Hub id stays whole."""
    on_hub = name.count("/") == 1 and not name.startswith(("/", ".")) and model_folder(name) is None
    return name if on_hub else Path(name).name


def _training(run: Run, name: str) -> str:
    config, results = run.config, run.results
    data, method = config["data"]["name"], config["method"]["method"]
    dials = {key: value for key, value in from_dials(config["method"]).used().items() if key != "method"}
    return _table(
        ["", ""],
        [
            ["base model", f"{name}, revision {config['loaded']['revision']}, {config['model']['precision']}"],
            ["data", f"{data}, fingerprint {config['data']['fingerprint']}"],
            [
                "licence of the data",
                LICENCES.get(data.split(" (")[0], "not known here: look it up before you share this"),
            ],
            *([f"{method}: {key}", value] for key, value in dials.items()),
            *([f"training: {key.replace('_', ' ')}", value] for key, value in config["training"].items()),
            ["seed", config["seed"]],
            [
                "took",
                f"{results['steps']} steps, {results['train_seconds']} s, {results['peak_memory_mib']} MiB at most",
            ],
            ["validation loss", round(results["validation_loss"], 4)],
        ],
    )


def _scores(run: Run, base: Run | None, lead: Run | None) -> str:
    others = {"first two turns (lead-2)": lead, "untouched base": base}
    beside = {label: each for label, each in others.items() if each}
    beams = run.config["evaluation"]["beams"]
    search = "greedy search" if beams == 1 else f"{beams} beams"
    rows = [[label, *_measured(each)] for label, each in (beside | {"this": run}).items()]
    lines = [
        _table(["", *MEASURES.values(), "words"], rows),
        "",
        f"Mean over the references of {len(run.scores.ids):,} test dialogues, {search}, "
        "with 95 % intervals over the dialogues.",
    ]
    for label, each in beside.items():
        gain = paired_difference(run.scores, each.scores, "rouge1")
        lines.append(f"ROUGE-1 over {label}: {gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}], paired by dialogue.")
    return "\n".join(lines)


def _measured(run: Run) -> list[str]:
    row = run.scores.row()
    cells = [f"{row[m]:.3f} [{row[f'{m}_interval'][0]:.3f}, {row[f'{m}_interval'][1]:.3f}]" for m in MEASURES]
    return [*cells, f"{row['words']:.1f}"]


def _made(environment: dict[str, Any]) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in environment["versions"].items())
    hardware = environment["hardware"]
    gpus = ", ".join(hardware["gpus"]) or "no GPU"
    return (
        f"{versions}, Python {environment['python']}; labkit's commit {environment['commit']}; "
        f"{hardware['system']} {hardware['machine']}, {hardware['cores']} cores, {gpus}."
    )


def _table(titles: list[str], rows: list[list[Any]]) -> str:
    lines = [titles, ["---"] * len(titles), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    """A value on one line, whatever text is in it."""
    text = "not set" if value is None else ", ".join(value) if isinstance(value, list | tuple) else str(value)
    return escape(" ".join(text.split()), quote=False).replace("|", "\\|")
