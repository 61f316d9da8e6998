"""Textwright: from raw text to a text generator you can trust, on the machine you have."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textwright.api import Model as Model
    from textwright.api import ModelChoice as ModelChoice
    from textwright.api import RunConfig as RunConfig
    from textwright.api import load as load
    from textwright.api import resume as resume
    from textwright.api import train as train

__version__ = version("textwright")
__all__ = ["Model", "ModelChoice", "RunConfig", "load", "resume", "train"]


def __getattr__(name: str) -> Any:
    # torch takes seconds to import; `import textwright` and `textwright --help` should not wait for it.
    if name in __all__:
        from textwright import api

        return getattr(api, name)
    raise AttributeError(f"module 'textwright' has no attribute {name!r}")
