"""Where a command's model comes from. Torch-free until it is loaded."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from textwright.api.model import Model


class ModelSource(NamedTuple):
    """Where a model comes from, and where it is to be."""

    model: str
    adapter: Path | None
    device: str

    def load(self) -> "Model":
        """The model itself."""
        from textwright.api.model import load

        return load(self.model, adapter=self.adapter, device=self.device)
