"""Textwright from Python: ``load`` a model folder, ``train`` a run, and the ``Model`` between them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textwright.api.config import ModelChoice as ModelChoice
    from textwright.api.config import RunConfig as RunConfig
    from textwright.api.model import Model as Model
    from textwright.api.model import load as load
    from textwright.api.runs import resume as resume
    from textwright.api.runs import train as train
    from textwright.training.config import TrainConfig as TrainConfig

_PLACES = {
    "ModelChoice": "api.config",
    "RunConfig": "api.config",
    "TrainConfig": "training.config",
    "Model": "api.model",
    "load": "api.model",
    "resume": "api.runs",
    "train": "api.runs",
}
__all__ = ["Model", "ModelChoice", "RunConfig", "TrainConfig", "load", "resume", "train"]


def __getattr__(name: str) -> Any:
    # The config is torch-free and must stay so to import; the rest is not.
    if name in _PLACES:
        return getattr(import_module(f"textwright.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'textwright.api' has no attribute {name!r}")
