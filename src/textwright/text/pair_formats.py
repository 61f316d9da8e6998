"""Rows of which one part is given and the other is learned, known by the names of their fields: one row a format.

::

    prompt + completion               as they stand, one after the other; the completion is learned
    all others                        a conversation, of which the assistant's turns are learned, each with its end

    {"instruction": "Add.",           User: Add.
     "input": "1, 1",
     "output": "2"}                   1, 1
                                      Assistant: 2        (" 2" and the line's end)

How a conversation is written is the model's ``DialogueFormat``, so that who chats with it afterwards asks what it has
learned to answer.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any, Literal

from textwright.core.errors import InputError, nearest
from textwright.text.dialogue import DialogueFormat, Turn, write_dialogue
from textwright.text.normalise import as_text

Row = Mapping[str, Any]
Spans = tuple[tuple[int, int], ...]
PAIR = "prompt-completion"
"""The format whose two fields are written as they stand."""
ROLES: Mapping[str, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}
"""What those who speak are called in files."""
SHOWN_CHARACTERS = 40
"""Of a value in a message."""


class NothingToLearnError(InputError):
    """A row of a known format that holds nothing to be learned: ``null_text="skip"`` passes it over."""


@dataclass(frozen=True)
class Conversation:
    """Who said what in a row."""

    turns: tuple[Turn, ...]
    system: str = ""
    """What stands above them all."""


@dataclass(frozen=True)
class PairFormat:
    """One way in which rows say what is given and what is learned."""

    name: str
    fields: tuple[str, ...]
    """That a row has."""
    optional: tuple[str, ...] = ()
    """That it may have besides; what is in no field of either kind is not read."""
    read: Callable[[Row, str], Conversation] | None = None
    """The row, given where it is, as turns. None: its two fields are written as they stand."""

    def __str__(self) -> str:
        return " + ".join((*self.fields, *(f"{name}?" for name in self.optional)))


@dataclass(frozen=True)
class WrittenRow:
    """A row as a text."""

    text: str
    """A ``Rendered``, where it is a conversation."""
    spans: Spans
    """What of it is learned: [start, stop) of its characters."""
    format: str
    """The name of its format."""


def row_format(fields: Collection[str], where: str = "") -> str | None:
    """The name of the format that a row has, by the names of its fields; None where it has none.

    A format whose fields are all read by another that the row has, too, gives way to it: ``input`` and ``output`` are
    a pair by themselves, and parts of an instruction beside ``instruction``.

    Args:
        fields: a row, or the names of its fields.
        where: the row, for messages.

    Raises:
        InputError: it has two.
    """
    found = _formats_of(tuple(fields))
    for one, other in combinations(found, 2):
        first, second = (" + ".join(each.fields) for each in (one, other))
        raise InputError(
            f"a row of two formats: {first}, and {second}",
            where=where,
            expected="the fields of one",
            fix="leave the others out, or name the field of a text with --text-field",
        )
    return found[0].name if found else None


@lru_cache(maxsize=64)
def _formats_of(fields: tuple[str, ...]) -> tuple[PairFormat, ...]:
    """The formats that a row of these fields has. The rows of a file have the same ones, most of the time."""
    names = set(map(folded, fields))
    found = [one for one in FORMATS.values() if names.issuperset(one.fields)]
    return tuple(one for one in found if not any(_reads_more(other, one) for other in found))


def _reads_more(one: PairFormat, other: PairFormat) -> bool:
    return one is not other and {*one.fields, *one.optional} > set(other.fields)


def write_row(row: Row, where: str, style: DialogueFormat) -> WrittenRow | None:
    """A row of one of the formats as a text; None where it is of none.

    Args:
        row: fields and their values.
        where: it is, for messages.
        style: how a conversation is written down.

    Raises:
        NothingToLearnError: there is nothing to be learned in it.
        InputError: two formats at once, a field that is no text, or a role that nobody knows.
    """
    name = row_format(row, where)
    if name is None:
        return None
    row = {folded(field): value for field, value in row.items()}
    read = FORMATS[name].read
    if read is None:
        prompt, completion = (_text_in(row, field, where) for field in FORMATS[name].fields)
        if not completion:
            raise _nothing("the completion is empty", where, "what is to be learned after the prompt")
        return WrittenRow(prompt + completion, ((len(prompt), len(prompt) + len(completion)),), name)
    said = read(row, where)
    text, spans = write_dialogue(said.turns, style, said.system)
    return WrittenRow(text, spans, name)


def _nothing(given: str, where: str, expected: str) -> NothingToLearnError:
    fix = "pass over rows with nothing to learn with --null-text skip"
    return NothingToLearnError(given, where=where, expected=expected, fix=fix)


def _text_in(row: Row, field: str, where: str) -> str:
    """The text of a field; a whole number, such as a label, is its digits."""
    value = row[field]
    if value is None:
        raise _nothing(f"{field!r} is null", where, "text")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise InputError(f"{field!r} is {type(value).__name__}", where=where, expected="text")
    return as_text(value, where)


def _asked(*given: str, answer: str) -> Callable[[Row, str], Conversation]:
    """Reads a user's turn, of those of the fields that hold something with an empty line between, and the answer.

    ``system``, where the row has it, stands above.
    """

    def read(row: Row, where: str) -> Conversation:
        texts = [_text_in(row, field, where).strip() for field in given if row.get(field) is not None]
        said = _text_in(row, answer, where).strip()
        if not said:
            raise _nothing(f"{answer!r} is empty", where, "what is to be learned")
        question = "\n\n".join(filter(None, texts))
        return Conversation((Turn("user", question), Turn("assistant", said)), _system_of(row, where))

    return read


def _spoken(field: str) -> Callable[[Row, str], Conversation]:
    """Reads turns: a list of objects with ``role`` and ``content``, or ``from`` and ``value``; or a text that is this
    in JSON."""

    def read(row: Row, where: str) -> Conversation:
        above, turns = [_system_of(row, where)], list[Turn]()
        for number, value in enumerate(_listed(row[field], field, where)):
            role, text = _speaker(value, number, field, where), _speech(value, number, field, where)
            if role == "system":
                if number:
                    fix = "put it first, or leave it out"
                    raise InputError(f"turn {number} of {field!r} is a system's", where=where, fix=fix)
                above.append(text)
            elif role == "assistant" and not text:
                raise _nothing(f"turn {number} of {field!r}, the assistant's, is empty", where, "what is to be learned")
            else:
                turns.append(Turn(role, text, _is_learned(value, number, field, where)))
        if not any(turn.role == "assistant" and turn.is_learned for turn in turns):
            what = "no turn of the assistant that is learned" if turns else "nobody says anything"
            raise _nothing(f"{what} in {field!r}", where, "at least one")
        return Conversation(tuple(turns), "\n\n".join(filter(None, above)))

    return read


def _system_of(row: Row, where: str) -> str:
    return _text_in(row, "system", where).strip() if row.get("system") is not None else ""


def _listed(value: Any, field: str, where: str) -> Iterator[Any]:
    if value is None:
        raise _nothing(f"{field!r} is null", where, "a list of turns")
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{field!r} is not valid JSON: {error}", where=where, expected="a list of turns") from None
    if not isinstance(value, list | tuple):
        raise InputError(f"{field!r} is {type(value).__name__}", where=where, expected="a list of turns")
    return iter(value)


def _speaker(value: Any, number: int, field: str, where: str) -> Literal["system", "user", "assistant"]:
    given = _either(value, "role", "from")
    if not isinstance(given, str):
        expected = "an object with role and content, or from and value"
        raise InputError(f"turn {number} of {field!r} says not who speaks", where=where, expected=expected)
    role = ROLES.get(given.strip().lower())
    if role is None:
        close = nearest(given, ROLES, at_least=0.6)
        fix = f"did you mean {close!r}?" if close else "leave such turns out, or call them one of these"
        shown = repr(given[:SHOWN_CHARACTERS])
        expected = f"one of {', '.join(ROLES)}"
        raise InputError(f"unknown role {shown} in turn {number} of {field!r}", where=where, expected=expected, fix=fix)
    return role


def _speech(value: Any, number: int, field: str, where: str) -> str:
    """What is said in a turn: a text, or the texts of a list of parts."""
    text = _either(value, "content", "value")
    if isinstance(text, list | tuple) and text:
        parts = [part.get("text") if isinstance(part, Mapping) else part for part in text]
        texts = [part for part in parts if isinstance(part, str)]
        text = "".join(texts) if len(texts) == len(parts) else text
    if not isinstance(text, str):
        kind = "null" if text is None else type(text).__name__
        raise InputError(f"the content of turn {number} of {field!r} is {kind}", where=where, expected="text")
    return as_text(text, where).strip()


def _is_learned(value: Row, number: int, field: str, where: str) -> bool:
    """Whether a turn is learned where it is the assistant's: ``weight`` may say no."""
    weight = value.get("weight")
    if weight not in (None, 0, 1):
        raise InputError(f"weight {weight!r} of turn {number} of {field!r}", where=where, expected="0 or 1")
    return weight != 0


def _either(value: Any, name: str, other: str) -> Any:
    if not isinstance(value, Mapping):
        return None
    found = value.get(name)
    return value.get(other) if found is None else found


def _table(*formats: PairFormat) -> Mapping[str, PairFormat]:
    return {one.name: one for one in formats}


FORMATS: Mapping[str, PairFormat] = _table(
    PairFormat(PAIR, ("prompt", "completion")),
    PairFormat(
        "instruction-output",
        ("instruction", "output"),
        ("input", "system"),
        _asked("instruction", "input", answer="output"),
    ),
    PairFormat(
        "instruction-response",
        ("instruction", "response"),
        ("context", "input", "system"),
        _asked("instruction", "context", "input", answer="response"),
    ),
    PairFormat("question-answer", ("question", "answer"), ("context",), _asked("context", "question", answer="answer")),
    PairFormat("source-target", ("source", "target"), (), _asked("source", answer="target")),
    PairFormat("input-output", ("input", "output"), (), _asked("input", answer="output")),
    PairFormat("messages", ("messages",), ("system",), _spoken("messages")),
    PairFormat("conversations", ("conversations",), ("system",), _spoken("conversations")),
)
"""By name. Alpaca's rows are ``instruction-output``, Dolly's ``instruction-response``, ShareGPT's ``conversations``."""
GROUP_FIELD = "document"
"""Of such rows: what one belongs to, as further completions of the prompt do."""


def fields_read(name: str) -> Sequence[str]:
    """All fields that a format reads, beside the row's ``id``."""
    one = FORMATS[name]
    return (*one.fields, *one.optional, GROUP_FIELD)


def has_format(fields: Sequence[str]) -> bool:
    """Whether these fields have a format, or two."""
    return any(set(map(folded, fields)).issuperset(one.fields) for one in FORMATS.values())


def half_format(fields: Collection[str]) -> PairFormat | None:
    """The first format of which a row without any has a part of the fields."""
    names = set(map(folded, fields)) - {"source", "input"}  # which rows of many kinds have
    return next((one for one in FORMATS.values() if names.intersection(one.fields)), None)


def folded(field: str) -> str:
    """A field's name as it is compared: in small letters, without white space around it."""
    return field.strip().lower()
