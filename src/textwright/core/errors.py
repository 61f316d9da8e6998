"""One family of errors. A user's mistake is one line; a bug of ours is a traceback.

Exit codes: 2 for the user's input, 3 for a failed acceptance, 1 for our bugs.
"""

import difflib
from collections.abc import Iterable

from textwright.core.renamed import PRESETS


class TextwrightError(Exception):
    """Anything Textwright reports on purpose; ``exit_code`` is what the command line ends with."""

    exit_code = 2


class InputError(TextwrightError):
    """The user's input cannot be used.

    ``str(error)`` is one line that says what was given, what was expected, where, and how to fix it.
    """

    def __init__(self, given: str, *, expected: str = "", where: str = "", fix: str = "") -> None:
        parts = [given]
        if where:
            parts.append(f"in {where}")
        if expected:
            parts.append(f"expected {expected}")
        if fix:
            parts.append(fix)
        self.given, self.expected, self.where, self.fix = given, expected, where, fix
        super().__init__("; ".join(" ".join(part.split()) for part in parts))


class TrainingStoppedError(TextwrightError):
    """Training cannot go on (for example, too many non-finite gradients in a row); what was saved stays whole."""


def check_is_text(*texts: str) -> None:
    """See that what was typed is text: Python holds bytes of a command line that are not UTF-8 as surrogates.

    Raises:
        InputError: it is not.
    """
    for text in texts:
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise InputError(f"{text[:80]!r} is not UTF-8", expected="UTF-8 text")


def nearest(name: str, names: Iterable[str], *, at_least: float = 0.5) -> str | None:
    """The closest of ``names`` to what was typed, or None when none is close: ``at_least`` is from 0 to 1, the same."""
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=at_least)
    return found[0] if found else None


def unknown_name(kind: str, name: str, names: Iterable[str]) -> InputError:
    """The error for a name that is in no table: says what it is called now, or the nearest name and all there are."""
    known = sorted(names)
    if PRESETS.get(name) in known:
        return InputError(f"{kind} {name!r} is now {PRESETS[name]!r}")
    close = nearest(name, known)
    fix = f"did you mean {close!r}?" if close else ""
    return InputError(f"unknown {kind} {name!r}", expected=f"one of {', '.join(known)}", fix=fix)
