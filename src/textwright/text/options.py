"""How files are read."""

from dataclasses import dataclass
from typing import Literal

OnInvalid = Literal["error", "replace"]
Quoting = Literal["auto", "csv", "none"]
OnNull = Literal["error", "skip"]


@dataclass(frozen=True)
class ReadOptions:
    """What a person may choose of how files are read."""

    invalid_utf8: OnInvalid = "error"
    """``error`` refuses a file with bytes that are not UTF-8; ``replace`` puts U+FFFD for them."""
    text_field: str = "text"
    """The field, column or key that holds the text, in formats that have such; ``data.text`` is one in another."""
    quoting: Quoting = "auto"
    """Whether quotation marks enclose fields: ``auto`` in csv and not in tsv, ``csv`` in both, ``none`` in neither."""
    null_text: OnNull = "error"
    """``error`` refuses a row whose text is null; ``skip`` passes it over, and it is counted."""

    @property
    def errors(self) -> str:
        """What Python's decoders call it."""
        return "strict" if self.invalid_utf8 == "error" else "replace"
