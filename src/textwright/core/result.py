"""What a command returns; the command line prints it."""

from abc import ABC, abstractmethod
from typing import Any


class Result(ABC):
    """What a command found: plain values for a program, lines for a person."""

    @property
    def exit_code(self) -> int:
        """What the command line ends with."""
        return 0

    @abstractmethod
    def as_json(self) -> dict[str, Any]:
        """The result by the names that others rely on."""

    @abstractmethod
    def show(self) -> None:
        """Tell a person: the result itself on standard output; what to know of it, and to type next, beside it."""
