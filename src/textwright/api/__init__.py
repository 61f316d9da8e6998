"""Textwright from Python: ``load`` a model folder, ``train`` a run, and what goes into both and comes out."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from textwright.core.collecting import without_collecting
from textwright.core.renamed import CLASSES

if TYPE_CHECKING:
    from textwright.api.classifier import Classified as Classified
    from textwright.api.classifier import Classifier as Classifier
    from textwright.api.classifier import load_classifier as load_classifier
    from textwright.api.classifier import train_classifier as train_classifier
    from textwright.api.clusters import Clusters as Clusters
    from textwright.api.clusters import cluster_texts as cluster_texts
    from textwright.api.clusters import load_clusters as load_clusters
    from textwright.api.config import FineTuneOptions as FineTuneOptions
    from textwright.api.config import ModelOptions as ModelOptions
    from textwright.api.config import RunConfig as RunConfig
    from textwright.api.fine_tuning import finetune as finetune
    from textwright.api.fine_tuning import plan_finetune as plan_finetune
    from textwright.api.model import Model as Model
    from textwright.api.model import load as load
    from textwright.api.run_result import RunResult as RunResult
    from textwright.api.runs import plan as plan
    from textwright.api.runs import resume as resume
    from textwright.api.runs import train as train
    from textwright.api.runs import verify as verify
    from textwright.api.task_evaluation import TaskReport as TaskReport
    from textwright.api.task_evaluation import evaluate_task as evaluate_task
    from textwright.core.errors import InputError as InputError
    from textwright.core.errors import TextwrightError as TextwrightError
    from textwright.core.errors import TrainingStoppedError as TrainingStoppedError
    from textwright.engines.config import EngineConfig as EngineConfig
    from textwright.evaluation.language_modelling import TextScore as TextScore
    from textwright.generation.request import Completion as Completion
    from textwright.generation.request import Request as Request
    from textwright.generation.request import SamplingConfig as SamplingConfig
    from textwright.runs.verify import CheckResult as CheckResult
    from textwright.training.config import FineTuneConfig as FineTuneConfig
    from textwright.training.config import TrainConfig as TrainConfig
    from textwright.training.plan import Plan as Plan
    from textwright.training.report import TrainReport as TrainReport

_PLACES = {
    "Classified": "api.classifier",
    "Classifier": "api.classifier",
    "Clusters": "api.clusters",
    "Completion": "generation.request",
    "EngineConfig": "engines.config",
    "FineTuneConfig": "training.config",
    "FineTuneOptions": "api.config",
    "CheckResult": "runs.verify",
    "InputError": "core.errors",
    "Model": "api.model",
    "ModelOptions": "api.config",
    "Plan": "training.plan",
    "Request": "generation.request",
    "RunConfig": "api.config",
    "RunResult": "api.run_result",
    "SamplingConfig": "generation.request",
    "TaskReport": "api.task_evaluation",
    "TextScore": "evaluation.language_modelling",
    "TextwrightError": "core.errors",
    "TrainConfig": "training.config",
    "TrainReport": "training.report",
    "TrainingStoppedError": "core.errors",
    "evaluate_task": "api.task_evaluation",
    "finetune": "api.fine_tuning",
    "cluster_texts": "api.clusters",
    "load": "api.model",
    "load_classifier": "api.classifier",
    "load_clusters": "api.clusters",
    "plan": "api.runs",
    "plan_finetune": "api.fine_tuning",
    "resume": "api.runs",
    "train": "api.runs",
    "train_classifier": "api.classifier",
    "verify": "api.runs",
}
"""Name -> module. Each is imported when it is asked for: torch takes seconds, and errors and configs do without it."""

__all__ = [
    "CheckResult",
    "Classified",
    "Classifier",
    "Clusters",
    "Completion",
    "EngineConfig",
    "FineTuneConfig",
    "FineTuneOptions",
    "InputError",
    "Model",
    "ModelOptions",
    "Plan",
    "Request",
    "RunConfig",
    "RunResult",
    "SamplingConfig",
    "TaskReport",
    "TextScore",
    "TextwrightError",
    "TrainConfig",
    "TrainReport",
    "TrainingStoppedError",
    "cluster_texts",
    "evaluate_task",
    "finetune",
    "load",
    "load_classifier",
    "load_clusters",
    "plan",
    "plan_finetune",
    "resume",
    "train",
    "train_classifier",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        with without_collecting():  # most places import torch
            return getattr(import_module(f"textwright.{_PLACES[name]}"), name)
    now = f"; it is now {CLASSES[name]}" if name in CLASSES else ""
    raise AttributeError(f"module 'textwright.api' has no attribute {name!r}{now}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
