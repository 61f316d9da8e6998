"""``textwright chat``: a dialogue in the terminal, or with a program through pipes."""

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import Field

from textwright.core.config import read_config
from textwright.core.console import Console, stderr_console, stdout_console
from textwright.core.errors import InputError, check_is_text, unknown_name
from textwright.core.files import write_atomically
from textwright.core.interrupts import finish_piece_first
from textwright.core.result import Result
from textwright.core.user_paths import check_can_be_written, given_path
from textwright.engines.config import EngineConfig
from textwright.generation.conversation import Conversation, Show
from textwright.generation.request import Completion, SamplingConfig
from textwright.text.dialogue import DialogueFormat, Rendered


class ChatSampling(SamplingConfig):
    """How to choose the tokens of an answer."""

    max_new_tokens: int = Field(default=200, ge=1)
    """Most tokens to write for each answer."""


@dataclass(frozen=True)
class Chatted(Result):
    """A dialogue that ended; a person has seen it."""

    turns: list[dict[str, str]]
    tokens_per_s: float

    def as_json(self) -> dict[str, Any]:
        return vars(self)

    def show(self) -> None:
        pass


def chat(
    model: str,
    /,
    *,
    system: str = "",
    sampling: Annotated[ChatSampling | None, Parameter(name="*")] = None,
    engine: Annotated[EngineConfig | None, Parameter(name="*")] = None,
    adapter: Path | None = None,
    device: str = "auto",
    live: Console | None = None,
) -> Chatted:
    """Talk with a model: each line is a turn; a line that ends in a backslash goes on. /help lists the commands.

    Ctrl-C stops an answer; Ctrl-C at an empty prompt, Ctrl-D or /quit end the chat. Without a terminal, lines come from
    standard input and only answers go to standard output.

    Parameters
    ----------
    model
        A model folder, or a Hugging Face name (with the hub extra).
    system
        A text that stands above the dialogue, and stays when the context is full.
    sampling
        How to choose tokens. Every answer has the next seed.
    engine
        What computes.
    live
        Where answers go as they are written.
    """
    chosen = sampling or read_config(ChatSampling, {}, "the command line")
    if chosen.n != 1:
        raise InputError(f"--n {chosen.n}", expected="1 in a chat", fix="/retry gives another answer")
    if chosen.top_logprobs is not None:
        raise InputError("--top-logprobs in a chat", expected="it with textwright generate")

    check_is_text(system)
    with stderr_console().announced(f"loading {model} ..."):
        conversation = open_conversation(model, adapter, chosen, system, device, engine or EngineConfig())
    is_drawn = live is not None and sys.stdin.isatty() and sys.stdout.isatty()
    session = Session(conversation, is_drawn=is_drawn, on_text=_ignore if live is None else live.write)
    if is_drawn:
        stderr_console().print(f"a chat with {model}; /help lists the commands, Ctrl-D ends it")
    with _line_editing() if is_drawn else contextlib.nullcontext() as readline:
        session.run(lambda: ask(readline) if is_drawn else read())
    seconds = conversation.elapsed_s
    return Chatted(conversation.as_json(), conversation.num_tokens / seconds if seconds else 0.0)


def open_conversation(
    model: str, adapter: Path | None, sampling: SamplingConfig, system: str, device: str, engine: EngineConfig
) -> Conversation:
    """A conversation with the model in a folder, in the folder's own format."""
    from textwright.api import load

    loaded = load(model, adapter=adapter, device=device)

    tokenizer, style = loaded.tokenizer, loaded.dialogue or DialogueFormat()

    def encode(prompt: Rendered) -> list[int]:
        ids, begin = tokenizer.encode_marked(prompt, prompt.marks), list(tokenizer.begin_ids)
        return ids if ids[: len(begin)] == begin else begin + ids

    def complete(prompt: Rendered, sampling: SamplingConfig, on_text: Show) -> Completion:
        settings = sampling.model_dump()
        settings["stop_token_ids"] = (*sampling.stop_token_ids, *tokenizer.special_ids_in(style.turn_end))
        done = loaded.complete([encode(prompt)], on_text=lambda _, text: on_text(text), engine=engine, **settings)
        return done[0]

    return Conversation(
        complete, lambda text: len(encode(text)), loaded.network.context_length, style, sampling, system
    )


class Session:
    """Messages in, answers out, until the last.

    Args:
        conversation: with the model.
        is_drawn: whether a person sits at a terminal: mistakes are shown and the chat goes on, and Ctrl-C stops an
            answer. Otherwise both end it.
        on_text: called with the text of answers as it comes.
    """

    def __init__(self, conversation: Conversation, *, is_drawn: bool, on_text: Show) -> None:
        self._conversation, self._is_drawn, self._on_text = conversation, is_drawn, on_text
        self._is_over, self._has_told = False, False
        self._saved: set[Path] = set()

    def run(self, next_message: Callable[[], str | None]) -> None:
        """Take messages until there is none."""
        while not self._is_over:
            try:
                message = next_message()
                if message is None:
                    return
                self._take(message)
            except InputError as error:
                if not self._is_drawn:
                    raise
                stderr_console().print(str(error))

    def _take(self, message: str) -> None:
        if message.startswith("/") and not message.startswith("//"):
            name, _, rest = message.partition(" ")
            if name not in COMMANDS:
                raise unknown_name("command", name, COMMANDS)
            COMMANDS[name][0](self, rest.strip())
        elif message.strip():
            text = message[1:] if message.startswith("//") else message
            self._answer(lambda on_text: self._conversation.say(text, on_text))

    def _answer(self, speak: Callable[[Show], object]) -> None:
        is_empty = True

        def hear(text: str) -> None:
            nonlocal is_empty
            is_empty = False
            self._on_text(text)

        try:
            with finish_piece_first(hear) as on_text:
                speak(on_text)
        except KeyboardInterrupt as stop:
            self._on_text("\n")
            # A second Ctrl-C did not wait for the answer to stop where it can go on.
            if stop.args or not self._is_drawn:
                raise
            return
        self._on_text("\n")
        if is_empty:
            stderr_console().print("note: the answer is empty: the model ended its turn at once; /retry asks again")
        if self._conversation.has_forgotten and not self._has_told:
            self._has_told = True
            stderr_console().print("note: the dialogue outgrew the model's context; its oldest turns were forgotten")

    def help(self, _: str) -> None:
        """This list."""
        for name, (_command, text) in COMMANDS.items():
            stderr_console().print(f"{name:14} {text}")

    def reset(self, _: str) -> None:
        """Forget what was said; the system text stays."""
        self._conversation.reset()
        self._has_told = False

    def undo(self, _: str) -> None:
        """Take back the last turn and its answer."""
        self._conversation.undo()

    def retry(self, _: str) -> None:
        """Answer again, with the next seed."""
        self._answer(self._conversation.retry)

    def change_system(self, text: str) -> None:
        """Put TEXT above the dialogue; without TEXT there is none."""
        self._conversation.system = text

    def save(self, name: str) -> None:
        """Write the dialogue to FILE as JSON lines, for your eyes only."""
        path = Path(os.path.expanduser(name)).absolute()
        if not name:
            raise InputError("/save", expected="a file's name", fix="for example: /save dialogue.jsonl")
        check_can_be_written(path, is_file=True)
        if os.path.lexists(path) and path not in self._saved:
            raise InputError(f"{path} is there already", fix="choose another name")
        rows = [json.dumps(row, ensure_ascii=False) + "\n" for row in self._conversation.as_json()]
        with given_path(path):
            write_atomically(path, "".join(rows), is_private=True)
        self._saved.add(path)
        stderr_console().print(f"saved in {path}")

    def quit(self, _: str) -> None:
        """End the chat."""
        self._is_over = True


COMMANDS: dict[str, tuple[Callable[[Session, str], None], str]] = {
    "/help": (Session.help, "this list"),
    "/reset": (Session.reset, "forget what was said; the system text stays"),
    "/undo": (Session.undo, "take back your last turn and the answer to it"),
    "/retry": (Session.retry, "answer again, with the next seed"),
    "/system": (Session.change_system, "TEXT: put it above the dialogue; without TEXT, take it away"),
    "/save": (Session.save, "FILE: write the dialogue as JSON lines that only you can read"),
    "/quit": (Session.quit, "end the chat"),
}
"""What a line that begins with a slash may do. Two slashes say one."""


def ask(readline: ModuleType | None) -> str | None:
    """A message as a person types it; None at the end: Ctrl-D, or Ctrl-C when nothing was typed."""
    lines: list[str] = []
    while True:
        try:
            line = stdout_console().ask("... " if lines else "> ")
        except EOFError:
            stdout_console().write("\n")
            return None
        except KeyboardInterrupt:
            stdout_console().write("\n")
            if not lines and not (readline and readline.get_line_buffer()):
                return None
            lines = []
            continue
        if not line.endswith("\\"):
            return "\n".join([*lines, line])
        lines.append(line[:-1])


def read() -> str | None:
    """A message from standard input; None at its end."""
    lines: list[str] = []
    while True:
        try:
            line = sys.stdin.readline()
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            raise InputError(f"the byte {byte:#x} in standard input", expected="UTF-8 text") from None
        if not line:
            return "\n".join(lines) if lines else None
        line = line.removesuffix("\n")
        lines.append(line.removesuffix("\\"))
        if not line.endswith("\\"):
            return "\n".join(lines)


@contextlib.contextmanager
def _line_editing() -> Iterator[ModuleType | None]:
    """Lines can be edited and called back, where the platform has readline; nothing of them outlives the chat."""
    try:
        readline = importlib.import_module("readline")
    except ImportError:
        yield None
        return
    readline.clear_history()
    try:
        yield readline
    finally:
        readline.clear_history()


def _ignore(_: str) -> None:
    pass
