"""How files are read."""

from dataclasses import dataclass
from typing import Literal

from textwright.text.dialogue import DialogueFormat

OnInvalid = Literal["error", "replace"]
Quoting = Literal["auto", "csv", "none"]
OnNull = Literal["error", "skip"]
PLAIN_TURNS = DialogueFormat()


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
    """``error`` refuses a row whose text is null, or of a format of pairs with nothing to be learned; ``skip`` passes
    it over, and it is counted."""
    dialogue: DialogueFormat | None = None
    """How rows that are conversations are written down; None writes plain turns."""

    label_field: str | None = None
    """The field of a row that says what its text is; ``data.genre`` is one in another. None: none is read."""
    by_speaker: bool = False
    """Whether a row with messages is the text of its dialogue, in which everyone is named; see ``speakers``."""

    @property
    def style(self) -> DialogueFormat:
        """How conversations are written down."""
        return self.dialogue or PLAIN_TURNS

    @property
    def knows_formats(self) -> bool:
        """Whether a row without text may be of a format of pairs: where nobody said which field is the text."""
        return self.text_field == ReadOptions.text_field

    @property
    def errors(self) -> str:
        """What Python's decoders call it."""
        return "strict" if self.invalid_utf8 == "error" else "replace"
