"""labkit: learn parameter-efficient fine-tuning by doing it.

Example:
    >>> import labkit as lk
    >>> table = lk.compare([lk.FullFineTuning(), lk.LoRA(rank=8), lk.PromptTuning(tokens=20)])
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

# transformers and peft import torchao where it is installed, which then tells of each GPU library that it does not find
for _name in ("torchao", "torch.utils._pytree"):
    logging.getLogger(_name).setLevel(logging.ERROR)

if TYPE_CHECKING:
    from labkit.adapters.combining import combine as combine
    from labkit.adapters.exporting import export as export
    from labkit.adapters.foreign import open_adapter as open_adapter
    from labkit.adapters.merging import logit_difference as logit_difference
    from labkit.adapters.merging import merge as merge
    from labkit.adapters.serving import throughput as throughput
    from labkit.adapters.several import Adapters as Adapters
    from labkit.adapters.sharing import push as push
    from labkit.adapters.timing import latency as latency
    from labkit.adapters.together import together as together
    from labkit.comparison import Comparison as Comparison
    from labkit.comparison import compare as compare
    from labkit.costs.activations import Step as Step
    from labkit.costs.budget import MemoryBudget as MemoryBudget
    from labkit.costs.budget import plot_memory as plot_memory
    from labkit.costs.budget import predict_memory as predict_memory
    from labkit.costs.measured import measure_memory as measure_memory
    from labkit.costs.tradeoffs import pareto_front as pareto_front
    from labkit.costs.tradeoffs import storage as storage
    from labkit.costs.tradeoffs import storage_plot as storage_plot
    from labkit.costs.tradeoffs import tradeoff_plot as tradeoff_plot
    from labkit.curves import plot_budget as plot_budget
    from labkit.curves import plot_curves as plot_curves
    from labkit.dialogues import Dialogues as Dialogues
    from labkit.dialogues import lead as lead
    from labkit.dialogues import load_dialogues as load_dialogues
    from labkit.errors import LabError as LabError
    from labkit.evaluation import Evaluation as Evaluation
    from labkit.evaluation import evaluate as evaluate
    from labkit.generation import prompt_tokens as prompt_tokens
    from labkit.generation import summarize as summarize
    from labkit.inside.anatomy import layer_changes as layer_changes
    from labkit.inside.anatomy import lora_weights as lora_weights
    from labkit.inside.anatomy import update as update
    from labkit.inside.forgetting import Forgetting as Forgetting
    from labkit.inside.forgetting import forgetting as forgetting
    from labkit.inside.gates import gates as gates
    from labkit.inside.gates import gates_map as gates_map
    from labkit.inside.hidden import hidden_changes as hidden_changes
    from labkit.inside.neighbours import soft_prompt as soft_prompt
    from labkit.inside.ranks import ranks as ranks
    from labkit.intervals import Scores as Scores
    from labkit.intervals import paired_difference as paired_difference
    from labkit.live import LiveRun as LiveRun
    from labkit.live import start as start
    from labkit.methods import IA3 as IA3
    from labkit.methods import AdaLoRA as AdaLoRA
    from labkit.methods import Bottleneck as Bottleneck
    from labkit.methods import FullFineTuning as FullFineTuning
    from labkit.methods import LayerNormTuning as LayerNormTuning
    from labkit.methods import LlamaAdapter as LlamaAdapter
    from labkit.methods import LoRA as LoRA
    from labkit.methods import MultitaskPromptTuning as MultitaskPromptTuning
    from labkit.methods import PrefixTuning as PrefixTuning
    from labkit.methods import PromptTuning as PromptTuning
    from labkit.methods import PTuning as PTuning
    from labkit.methods import Selective as Selective
    from labkit.methods import attach as attach
    from labkit.methods import choose_task as choose_task
    from labkit.methods import restore as restore
    from labkit.models import Model as Model
    from labkit.models import load_model as load_model
    from labkit.opening import open_run as open_run
    from labkit.parameters import count_parameters as count_parameters
    from labkit.parameters import shape_of as shape_of
    from labkit.prompts import Prompt as Prompt
    from labkit.published import load_published as load_published
    from labkit.reading.judging import Judging as Judging
    from labkit.reading.overlap import overlap as overlap
    from labkit.recordings import recorded as recorded
    from labkit.recordings import recorded_sweep as recorded_sweep
    from labkit.rouge import Rouge as Rouge
    from labkit.runs import Run as Run
    from labkit.runs import list_runs as list_runs
    from labkit.sweep_results import SweepResult as SweepResult
    from labkit.sweeps import sweep as sweep
    from labkit.tasks import load_tasks as load_tasks
    from labkit.training import Training as Training
    from labkit.training import train as train

# torch and transformers take seconds to import, so a name's module is imported when the name is first used (PEP 562)
_HOMES = {
    "AdaLoRA": "methods",
    "Adapters": "adapters.several",
    "Bottleneck": "methods",
    "Comparison": "comparison",
    "Dialogues": "dialogues",
    "Evaluation": "evaluation",
    "Forgetting": "inside.forgetting",
    "FullFineTuning": "methods",
    "IA3": "methods",
    "Judging": "reading.judging",
    "LabError": "errors",
    "LayerNormTuning": "methods",
    "LiveRun": "live",
    "LlamaAdapter": "methods",
    "LoRA": "methods",
    "MemoryBudget": "costs.budget",
    "Model": "models",
    "MultitaskPromptTuning": "methods",
    "PTuning": "methods",
    "PrefixTuning": "methods",
    "Prompt": "prompts",
    "PromptTuning": "methods",
    "Rouge": "rouge",
    "Run": "runs",
    "Scores": "intervals",
    "Selective": "methods",
    "Step": "costs.activations",
    "SweepResult": "sweep_results",
    "Training": "training",
    "attach": "methods",
    "choose_task": "methods",
    "combine": "adapters.combining",
    "compare": "comparison",
    "count_parameters": "parameters",
    "evaluate": "evaluation",
    "export": "adapters.exporting",
    "forgetting": "inside.forgetting",
    "gates": "inside.gates",
    "gates_map": "inside.gates",
    "hidden_changes": "inside.hidden",
    "latency": "adapters.timing",
    "layer_changes": "inside.anatomy",
    "lead": "dialogues",
    "list_runs": "runs",
    "load_dialogues": "dialogues",
    "load_model": "models",
    "load_published": "published",
    "load_tasks": "tasks",
    "logit_difference": "adapters.merging",
    "lora_weights": "inside.anatomy",
    "measure_memory": "costs.measured",
    "merge": "adapters.merging",
    "open_adapter": "adapters.foreign",
    "open_run": "opening",
    "overlap": "reading.overlap",
    "paired_difference": "intervals",
    "pareto_front": "costs.tradeoffs",
    "plot_budget": "curves",
    "plot_curves": "curves",
    "plot_memory": "costs.budget",
    "predict_memory": "costs.budget",
    "prompt_tokens": "generation",
    "push": "adapters.sharing",
    "ranks": "inside.ranks",
    "recorded": "recordings",
    "recorded_sweep": "recordings",
    "restore": "methods",
    "shape_of": "parameters",
    "soft_prompt": "inside.neighbours",
    "start": "live",
    "storage": "costs.tradeoffs",
    "storage_plot": "costs.tradeoffs",
    "summarize": "generation",
    "sweep": "sweeps",
    "throughput": "adapters.serving",
    "together": "adapters.together",
    "tradeoff_plot": "costs.tradeoffs",
    "train": "training",
    "update": "inside.anatomy",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'labkit' has no attribute {name!r}")
    return getattr(import_module(f"labkit.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
