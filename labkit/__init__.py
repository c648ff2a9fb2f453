"""labkit: learn parameter-efficient fine-tuning by doing it.

Example:
    >>> import labkit as lk
    >>> table = lk.compare([lk.FullFineTuning(), lk.LoRA(rank=8), lk.PromptTuning(tokens=20)])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.comparison import Comparison as Comparison
    from labkit.comparison import compare as compare
    from labkit.dialogues import Dialogues as Dialogues
    from labkit.dialogues import lead as lead
    from labkit.dialogues import load_dialogues as load_dialogues
    from labkit.errors import LabError as LabError
    from labkit.evaluation import Evaluation as Evaluation
    from labkit.evaluation import evaluate as evaluate
    from labkit.generation import summarize as summarize
    from labkit.intervals import Scores as Scores
    from labkit.intervals import paired_difference as paired_difference
    from labkit.methods import FullFineTuning as FullFineTuning
    from labkit.methods import LoRA as LoRA
    from labkit.methods import PromptTuning as PromptTuning
    from labkit.methods import attach as attach
    from labkit.methods import restore as restore
    from labkit.models import Model as Model
    from labkit.models import load_model as load_model
    from labkit.parameters import count_parameters as count_parameters
    from labkit.parameters import shape_of as shape_of
    from labkit.rouge import Rouge as Rouge
    from labkit.runs import Run as Run
    from labkit.runs import list_runs as list_runs
    from labkit.training import Training as Training
    from labkit.training import train as train

# torch and transformers take seconds to import, so a name's module is imported when the name is first used (PEP 562)
_HOMES = {
    "Comparison": "comparison",
    "Dialogues": "dialogues",
    "Evaluation": "evaluation",
    "FullFineTuning": "methods",
    "LabError": "errors",
    "LoRA": "methods",
    "Model": "models",
    "PromptTuning": "methods",
    "Rouge": "rouge",
    "Run": "runs",
    "Scores": "intervals",
    "Training": "training",
    "attach": "methods",
    "compare": "comparison",
    "count_parameters": "parameters",
    "evaluate": "evaluation",
    "lead": "dialogues",
    "list_runs": "runs",
    "load_dialogues": "dialogues",
    "load_model": "models",
    "paired_difference": "intervals",
    "restore": "methods",
    "shape_of": "parameters",
    "summarize": "generation",
    "train": "training",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'labkit' has no attribute {name!r}")
    return getattr(import_module(f"labkit.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
