"""Record what a base in 8 bits saves and costs (QLoRA): quality and memory on nano, memory alone on larger shapes.

    python data/record_quantized.py     # goes on where it was stopped

Writes data/recorded/quantized.json: LoRA with and without bits=8, three seeds each, as briefly as in the labs; bytes of
the weights; how far 8 bits take the logits; seconds a step; and the memory of networks with the shapes of flan-t5-small
and -base, whose weights are random: they learn nothing, and nothing but their memory is measured. Each training is in
a process of its own, so that its peak is its own. What the whole process takes is mostly torch itself on small models.
Runs are kept in data/.record/quantized, apart from those that were trained several in a process.
"""

import argparse
import copy
import gc
import json
import subprocess
import sys
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from record import GIVING_BACK, plain_rows, size, step_seconds
from transformers import T5Config, T5ForConditionalGeneration

import labkit as lk
from labkit import stored
from labkit.memory import PeakMemory
from labkit.methods import in_full_precision
from labkit.quantization import quantize, weight_bytes
from labkit.runs import environment, write_json

HERE = Path(__file__).parent
RUNS = HERE / ".record" / "quantized"
SEEDS = (0, 1, 2)
BITS = (None, 8)
METHODS = [lk.LoRA(bits=bits) for bits in BITS]
SHORT: dict[str, Any] = {"training": lk.Training(steps=150), "evaluation": lk.Evaluation(rows=200)}
SHAPES = ("google/flan-t5-small", "google/flan-t5-base")
STEPS = lk.Training(steps=3, batch_size=8, validations=1, validation_rows=8)


def apart(*words: object) -> Any:
    """What this script prints in a process of its own."""
    command = [sys.executable, __file__, *map(str, words)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=GIVING_BACK).stdout)


def train(method: int, seed: int) -> None:
    """One training and its scores, to be found by the comparison."""
    lk.compare([METHODS[method]], "nano", seeds=(seed,), root=RUNS, report=lambda *_: None, **SHORT)
    print("null")


def random_model(shape: str) -> lk.Model:
    """A network of a FLAN-T5's shape with random weights, and nano's tokenizer."""
    sizes = lk.shape_of(shape)
    config = T5Config(
        vocab_size=sizes.vocabulary,
        d_model=sizes.d_model,
        d_kv=sizes.d_kv,
        d_ff=sizes.d_ff,
        num_heads=sizes.heads,
        num_layers=sizes.layers,
        feed_forward_proj="gated-gelu",
        decoder_start_token_id=0,
        tie_word_embeddings=False,
    )
    config._attn_implementation = "eager"  # as load_model has it on a CPU
    net = T5ForConditionalGeneration(config)
    # transformers ties every T5's head to its embeddings; FLAN-T5 has a head of its own
    net.lm_head = torch.nn.Linear(config.d_model, config.vocab_size, bias=False)
    return lk.Model(f"random weights, shape of {shape}", net.eval(), lk.load_model("nano").tokenizer, "random")


def memory(shape: str, method: lk.LoRA) -> None:
    """Peak memory of three steps, without the base beside the copy that is trained."""
    base = random_model(shape)
    model = lk.attach(base, method)
    del base
    gc.collect()
    with PeakMemory() as before:
        pass
    with TemporaryDirectory() as folder:
        run = lk.Run(Path(folder) / "run")
        run.start({"method": method.dials()})
        peak = lk.train(model, lk.load_dialogues(), run, STEPS)["peak_memory_mib"]
    found = {"shape": shape, "bits": method.bits, "total": lk.count_parameters(model).total}
    print(json.dumps(found | {"weight_bytes": weight_bytes(model.net), "before_mib": before.mib, "peak_mib": peak}))


def rounded_twice(model: lk.Model) -> lk.Model:
    """What merge does not do: the sum of what was learned and the numbers of the 8 bits, in 8 bits again."""
    merged = lk.merge(model)
    return replace(merged, net=quantize(merged.net, 8))


def merging(run: lk.Run, base: lk.Model) -> dict[str, dict[str, float]]:
    """How far apart the logits are, as shares of the largest; and root mean squares of what happened to q and v."""
    model, distance = lk.open_run(run, base), lk.logit_difference
    merged, twice = lk.merge(model, base), rounded_twice(model)
    errors: dict[str, list[Any]] = {"learned": [], "rounded once": [], "rounded twice": []}
    for name, layer in model.net.get_base_model().named_modules():
        if hasattr(layer, "lora_A"):
            weight, learned = base.net.get_submodule(name).weight, layer.get_delta_weight("default")
            errors["learned"].append(learned)
            errors["rounded once"].append(stored.numbers(layer.base_layer.weight) - weight)
            errors["rounded twice"].append(stored.numbers(twice.net.get_submodule(name).weight) - weight - learned)
    return {
        "logits": {
            "learned": distance(replace(base, net=quantize(copy.deepcopy(base.net), 8)), model),
            "merged from the same unmerged": distance(in_full_precision(model, base), merged),
            "merged from what was trained": distance(model, merged),
            "rounded twice from what was trained": distance(model, twice),
            "rounded twice from merged": distance(merged, twice),
        },
        "weights": {
            name: float(torch.cat([one.detach().flatten() for one in each]).square().mean().sqrt())
            for name, each in errors.items()
        },
    }


def main() -> None:
    """Measure, and write everything down."""
    base, data = lk.load_model("nano", device="cpu"), lk.load_dialogues()
    few = replace(base, net=quantize(copy.deepcopy(base.net), 8))
    weights = {"fp32": base.net, "bf16": copy.deepcopy(base.net).bfloat16(), "8 bits": few.net}
    for method in range(len(METHODS)):
        for seed in SEEDS:
            apart("train", method, seed)
    table = lk.compare(METHODS, base, data, seeds=SEEDS, root=RUNS, **SHORT)
    merged = [merging(run, base) for run in table[METHODS[1].label].runs]
    shapes = [apart("memory", shape, method) for shape in SHAPES for method in range(len(METHODS))]
    where = environment()
    where["versions"]["torchao"] = version("torchao")
    found = {
        # times are below: a whole training takes as long as what else the machine does lets it
        "rows": [row | {"train_seconds": None, "generation_seconds": None} for row in plain_rows(table)],
        "differences": table.difference_rows(),
        **size(table),
        "weight_bytes": {name: weight_bytes(net) for name, net in weights.items()},
        "base_in_8_bits_from_base": lk.logit_difference(base, few),
        "merging": merged,
        "step_seconds": step_seconds({method.label: lk.attach(base, method) for method in METHODS}),
        "random_weights_memory_only": {"training": asdict(STEPS), "shapes": shapes},
        "data": data.fingerprint,
        "environment": where,
    }
    write_json(HERE / "recorded" / "quantized.json", found, indent=None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", help="what the script asks of itself in a process of its own")
    match parser.parse_args().part:
        case ["train", method, seed]:
            train(int(method), int(seed))
        case ["memory", shape, method]:
            memory(shape, METHODS[int(method)])
        case _:
            main()
