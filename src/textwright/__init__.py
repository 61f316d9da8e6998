"""Textwright: from raw text to a text generator you can trust, on the machine you have.

::

    import textwright as tw

    model = tw.load("runs/demo/model")  # a folder; a Hugging Face name with the `hub` extra
    report = model.fit(["example sentence one", "another example sentence two"])
    print(model.evaluate(["a sentence it has not seen"]).perplexity_per_token)
    print(model.generate("This is a test sentence", max_new_tokens=40))

Whole runs: ``train``, ``resume``, ``plan`` and ``verify``, with a ``RunConfig``; ``finetune`` and ``plan_finetune``,
with ``FineTuneOptions``. How well a model does a task: ``evaluate_task``, which gives a ``TaskReport``. What a user can
mend is raised as ``InputError``; every error raised on purpose is a ``TextwrightError``.
"""

from typing import TYPE_CHECKING, Any

from textwright.api import __all__ as _names
from textwright.core.renamed import CLASSES

if TYPE_CHECKING:
    from textwright.api import CheckResult as CheckResult
    from textwright.api import Classified as Classified
    from textwright.api import Classifier as Classifier
    from textwright.api import Clusters as Clusters
    from textwright.api import Completion as Completion
    from textwright.api import EngineConfig as EngineConfig
    from textwright.api import FineTuneConfig as FineTuneConfig
    from textwright.api import FineTuneOptions as FineTuneOptions
    from textwright.api import InputError as InputError
    from textwright.api import Model as Model
    from textwright.api import ModelOptions as ModelOptions
    from textwright.api import Plan as Plan
    from textwright.api import Request as Request
    from textwright.api import RunConfig as RunConfig
    from textwright.api import RunResult as RunResult
    from textwright.api import SamplingConfig as SamplingConfig
    from textwright.api import TaskReport as TaskReport
    from textwright.api import TextScore as TextScore
    from textwright.api import TextwrightError as TextwrightError
    from textwright.api import TrainConfig as TrainConfig
    from textwright.api import TrainingStoppedError as TrainingStoppedError
    from textwright.api import TrainReport as TrainReport
    from textwright.api import cluster_texts as cluster_texts
    from textwright.api import evaluate_task as evaluate_task
    from textwright.api import finetune as finetune
    from textwright.api import load as load
    from textwright.api import load_classifier as load_classifier
    from textwright.api import load_clusters as load_clusters
    from textwright.api import plan as plan
    from textwright.api import plan_finetune as plan_finetune
    from textwright.api import resume as resume
    from textwright.api import train as train
    from textwright.api import train_classifier as train_classifier
    from textwright.api import verify as verify

__all__ = [*_names]


def __getattr__(name: str) -> Any:
    # torch takes seconds to import, and metadata of packages a tenth of one; `import textwright` and
    # `textwright --help` should not wait for them.
    if name == "__version__":
        from importlib.metadata import version

        return version("textwright")
    if name in __all__:
        from textwright import api

        return getattr(api, name)
    now = f"; it is now {CLASSES[name]}" if name in CLASSES else ""
    raise AttributeError(f"module 'textwright' has no attribute {name!r}{now}")


def __dir__() -> list[str]:
    return sorted([*globals(), "__version__", *__all__])
