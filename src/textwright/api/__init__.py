"""Textwright from Python: ``load`` a model folder, ``train`` a run, and what goes into both and comes out."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from textwright.core.renamed import CLASSES

if TYPE_CHECKING:
    from textwright.api.config import ModelOptions as ModelOptions
    from textwright.api.config import RunConfig as RunConfig
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
    from textwright.training.config import TrainConfig as TrainConfig
    from textwright.training.plan import Plan as Plan
    from textwright.training.report import TrainReport as TrainReport

_PLACES = {
    "Completion": "generation.request",
    "EngineConfig": "engines.config",
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
    "load": "api.model",
    "plan": "api.runs",
    "resume": "api.runs",
    "train": "api.runs",
    "verify": "api.runs",
}
"""Name -> module. Each is imported when it is asked for: torch takes seconds, and errors and configs do without it."""

__all__ = [
    "CheckResult",
    "Completion",
    "EngineConfig",
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
    "evaluate_task",
    "load",
    "plan",
    "resume",
    "train",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"textwright.{_PLACES[name]}"), name)
    now = f"; it is now {CLASSES[name]}" if name in CLASSES else ""
    raise AttributeError(f"module 'textwright.api' has no attribute {name!r}{now}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
