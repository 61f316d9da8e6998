"""The one way out: everything that a person or a program gets to see passes through a ``Console``.

Results own standard output; what a person is told meanwhile, and errors, go to standard error. A model can write escape
sequences, a file can be named by them, and a terminal would obey: a terminal gets U+FFFD for every control character.
Files and pipes get the text as it is.
"""

import contextlib
import io
import json
import math
import os
import shlex
import shutil
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, cast

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from textwright.core.errors import InputError

REPLACEMENT = "\ufffd"
FILE_WIDTH = 120
MOMENT_S = 1.0
"""So long nobody minds silence."""
_HARMLESS = "\n\t"
_CONTROLS = {code: REPLACEMENT for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in _HARMLESS}
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), REPLACEMENT)
_UNSAFE = _CONTROLS | _SURROGATES
# JSON escapes all other control characters by itself.
_ESCAPES = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}


def strip_controls(text: str) -> str:
    """The text with U+FFFD for every control character (C0, DEL, C1) but new line and tab, and for surrogates."""
    return text.translate(_UNSAFE)


class Console(rich.console.Console):
    """Standard output or standard error, or a stream in their place.

    Args:
        stderr: whether it is standard error.
        file: the stream in their place.
        width: of the terminal; what it says of itself when not given.
    """

    def __init__(self, *, stderr: bool = False, file: io.TextIOBase | None = None, width: int | None = None) -> None:
        stream = cast(IO[str] | None, file)
        super().__init__(stderr=stderr, file=stream, width=width, highlight=False, markup=False, emoji=False)
        if not self.is_terminal:
            # A file or a pipe has no width: lines stay whole.
            self.soft_wrap = True
            self.width = width or FILE_WIDTH

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What rich makes of a text, a table or a panel, and of all that is in them, as this stream may have it."""
        if isinstance(renderable, Text):
            # Before it is laid out, too: what takes no room now would take some then.
            safe = renderable.copy()
            safe.plain = self.safe(renderable.plain)
            renderable = safe
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=self.safe(segment.text))

    def render_str(self, text: str, **options: Any) -> Text:
        """As rich does, of the safe text."""
        return super().render_str(self.safe(text), **options)

    def write(self, text: str) -> None:
        """A piece of text as it is: never wrapped, and at once."""
        self.file.write(self.safe(text))
        self.file.flush()

    @contextlib.contextmanager
    def announced(self, line: str) -> Iterator[None]:
        """Say what is going on, if the block takes longer than a moment."""
        timer = threading.Timer(MOMENT_S, self.print, (line,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def write_json(self, value: Any) -> None:
        """One line of strict JSON: null for a number that is not finite, U+FFFD for surrogates, which are no text."""
        is_unicode = self._encoding().lower().startswith("utf")
        text = json.dumps(_strict(value), ensure_ascii=not is_unicode, allow_nan=False)
        self.file.write(text.translate(_ESCAPES) + "\n")
        self.file.flush()

    def ask(self, question: str) -> str:
        """A line that a person types; at a terminal it can be edited.

        Raises:
            EOFError: there is none.
            InputError: it is not UTF-8.
        """
        try:
            if sys.stdin.isatty() and sys.stdout.isatty():
                return input(strip_controls(question))
            self.write(question)
            return input()
        except UnicodeDecodeError:
            raise InputError("what was typed is not UTF-8", expected="UTF-8 text", fix="re-type it") from None

    def show_command(self, label: str, *arguments: object) -> None:
        """A command to type, on a line that is never wrapped, so that it can be copied."""
        self.print(f"{label}{command_line(*arguments)}", soft_wrap=True)

    def safe(self, text: str) -> str:
        """The text as this stream may have it."""
        if self._is_terminal():
            text = strip_controls(text)
        encoding = self._encoding()
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            text = text.encode(encoding, "backslashreplace").decode(encoding)
        return text

    def _encoding(self) -> str:
        return getattr(self.file, "encoding", None) or "utf-8"

    def _is_terminal(self) -> bool:
        # Settings such as TTY_COMPATIBLE tell rich that a terminal is none; it obeys all the same.
        return self.is_terminal or self.file.isatty()


def stdout_console() -> Console:
    """Standard output: results."""
    return Console()


def stderr_console() -> Console:
    """Standard error: progress, notes, errors, and what to type next."""
    return Console(stderr=True)


def command_line(*arguments: object) -> str:
    """``textwright ARGUMENTS`` as this person can type it here: the program by a name that the shell finds, and quotes
    where they are needed."""
    return " ".join([_program(), *(_quoted(str(argument)) for argument in arguments)])


def _program() -> str:
    ours = Path(sys.executable).with_name("textwright")
    found = shutil.which("textwright")
    if not ours.is_file():
        return "textwright" if found else f"{_quoted(sys.executable)} -m textwright"
    if found and os.path.samefile(found, ours):
        return "textwright"
    try:
        near = os.path.relpath(ours)
    except (OSError, ValueError):
        return _quoted(str(ours))
    if near.startswith(".."):
        return _quoted(str(ours))
    return _quoted(near if os.sep in near else os.path.join(".", near))


def _quoted(text: str) -> str:
    """Quoted for a shell; what cannot be printed by its bytes."""
    if text.isprintable():
        return shlex.quote(text)
    raw = text.encode("utf-8", "surrogateescape")
    plain = (chr(byte) if 0x20 <= byte < 0x7F and byte not in b"\\'" else f"\\x{byte:02x}" for byte in raw)
    return f"$'{''.join(plain)}'"


def _strict(value: Any) -> Any:
    """The value as strict JSON can say it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.translate(_SURROGATES)
    if isinstance(value, dict):
        return {_strict(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return value
