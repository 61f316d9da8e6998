"""What may reach a terminal. A model can write escape sequences, and a terminal would obey them."""

import sys

REPLACEMENT = "\ufffd"
_HARMLESS = "\n\t"
_CONTROLS = {code: REPLACEMENT for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in _HARMLESS}


def without_controls(text: str) -> str:
    """The text with U+FFFD for every control character (C0, DEL and C1) but the new line and the tab."""
    return text.translate(_CONTROLS)


def for_output(text: str) -> str:
    """The text as standard output may have it: without control characters for a terminal, else as it is."""
    return without_controls(text) if sys.stdout.isatty() else text


def show(text: str) -> None:
    """A piece of text on standard output, at once."""
    sys.stdout.write(for_output(text))
    sys.stdout.flush()
