"""Textwright: from raw text to a text generator you can trust, on the machine you have."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textwright.api import Model as Model
    from textwright.api import load as load

__version__ = version("textwright")
__all__ = ["Model", "load"]


def __getattr__(name: str) -> Any:
    # torch takes seconds to import; `import textwright` and `textwright --help` should not wait for it.
    if name in __all__:
        from textwright import api

        return getattr(api, name)
    raise AttributeError(f"module 'textwright' has no attribute {name!r}")
