"""What a check of this machine came to. Torch-free."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Checked:
    """What a check came to."""

    name: str
    most: float
    difference: float | None
    """None where it ended with an error."""
    error: str | None
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether it holds; NaN does not."""
        return self.difference is not None and self.difference <= self.most
