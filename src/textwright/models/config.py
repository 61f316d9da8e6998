"""What every model's config has. Torch-free."""

from typing import Self

from pydantic import Field

from textwright.core.config import Config


class ModelConfig(Config):
    """The shape and the arithmetic of a model; each family has its own."""

    family: str
    """A row of the table of families."""
    vocab_size: int = Field(ge=1, le=1 << 24)
    """Number of different tokens."""
    context_length: int = Field(ge=1, le=1 << 24)
    """The most tokens the model sees at once."""

    def reduced(self, *, num_layers: int, vocab_size: int) -> Self:
        """A smaller one of the same width, for what is timed before a model is used.

        Args:
            num_layers: at most so many, where the family has layers.
            vocab_size: at most so many tokens.
        """
        changes = {"vocab_size": min(self.vocab_size, vocab_size)}
        if "num_layers" in type(self).model_fields:
            changes["num_layers"] = min(vars(self)["num_layers"], num_layers)
        return self.model_copy(update=changes)
