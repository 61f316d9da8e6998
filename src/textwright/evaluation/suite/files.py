"""The data of a suite, which its user has and names: nothing is downloaded. Torch-free."""

from pathlib import Path

from textwright.core.config import Config
from textwright.core.errors import InputError
from textwright.text.files import find_files


class SuiteFiles(Config):
    """The data of a suite; what no file is given for is left out."""

    lambada: Path | None = None
    """LAMBADA: passages, as JSON lines with a text each (lambada_test.jsonl), or one a line."""
    wikitext: Path | None = None
    """WikiText-2: wiki.test.raw, or wiki.test.tokens."""
    bytes: Path | None = None
    """Any text, such as a part of enwik8, for bits per byte."""
    cloze: Path | None = None
    """Texts with a blank and options for it, such as the Children's Book Test: JSON lines, or a table."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """The names of what no file is given for."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) is None)

    def check(self) -> None:
        """See that there is something to measure.

        Raises:
            InputError: no file is given, or one that is not there.
        """
        if len(self.left_out) == len(type(self).model_fields):
            options = ", ".join(f"--{name}" for name in self.left_out)
            raise InputError("a suite without data", expected=f"a file after one of {options} at least")
        for name in type(self).model_fields:
            path: Path | None = getattr(self, name)
            if path is not None:
                find_files([path])
