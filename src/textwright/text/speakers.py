"""Who says what in a dialogue that is written down with names: one speaker's turns, as spans of the text.

::

    Ann: Hello.                      DUKE:                          [12.01.26, 10:11] Ann: Hello.
    Bob: Hello yourself.             If music be the food           12/01/2026, 10:12 - Bob: And you?
    How are you?                     of love, play on.

A line that begins with a name of at most four words and a colon begins a turn, which goes on to the next such line. A
time may stand before the name, as messengers write it. Where most names stand on lines of their own, as in plays, only
such lines count; and of these only those after an empty line, if most are. Learned of a turn is what follows the colon,
up to the end of its last line that is not empty (of the last turn: the end of the text); the name is read.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from textwright.core.errors import InputError, nearest

MOST_WORDS, SHOWN_NAMES = 4, 8
_TIME = r"\u200e?(?:\[[^\]\n]{1,40}\][ \t]*|\d[\d/.:, -]{4,24}(?:[ \t\u202f]?[AaPp]\.?[Mm]\.?)?[ \t]*-[ \t]+)?"
_BEGINS_TURN = re.compile(_TIME + r"(?P<name>[^\W\d_][\w .'’&()-]{0,39}?)[ \t]*(?::(?=[ \t\n]|\Z)|：)")
_LINE = re.compile(r"^", re.MULTILINE)
MESSAGES = ("messages", "conversations", "conversation", "turns", "dialogue", "dialog")
SPEAKER = ("name", "speaker", "from", "role", "author")
CONTENT = ("content", "value", "text", "utterance")
"""Fields of rows with a list of messages, and of each message who says what; the first that is there counts."""


@dataclass(frozen=True)
class SpokenTurn:
    """What somebody says in a text."""

    name: str
    start: int
    """Its first character after the colon."""
    stop: int
    """After the end of its last line that is not empty; of the last turn the text's end."""


def turns_of(text: str) -> list[SpokenTurn]:
    """The turns of a text, in order; turns in which nothing is said are left out."""
    begun = _beginnings(text)
    stops = [*(one.start() for one in begun[1:]), len(text)]
    turns = list[SpokenTurn]()
    for one, stop in zip(begun, stops, strict=False):
        said = text[one.end() : stop].rstrip()
        if said.strip():
            # Spaces may stand before the line's end; and where the turn is the last, it ends with the text.
            line_end = text.find("\n", one.end() + len(said), stop) if stop < len(text) else -1
            turns.append(SpokenTurn(one["name"].strip(), one.end(), stop if line_end < 0 else line_end + 1))
    return turns


def _beginnings(text: str) -> list[re.Match[str]]:
    """The names with their colons. Where most stand on lines of their own, as in plays, only those on such lines count;
    and where most of these follow an empty line, only those that do: a verse may end in a colon."""
    matches = [found for line in _LINE.finditer(text) if (found := _BEGINS_TURN.match(text, line.start()))]
    begun = [one for one in matches if len(one["name"].split()) <= MOST_WORDS]
    alone = [one for one in begun if text[one.end() : one.end() + 1] in ("", "\n")]
    apart = [one for one in alone if text[max(0, one.start() - 2) : one.start()] in ("", "\n", "\n\n")]
    for fewer in (alone, apart):
        if 2 * len(fewer) > len(begun):
            begun = fewer
    return begun


def dialogue_text(row: Any, where: str) -> str | None:
    """The messages of a row as a text in which everyone is named: ``Ann: Hello.``; None: it has no messages.

    A message's speaker is its ``name`` (or ``speaker``, ``from``, ``role``). A further line of a message that reads as
    if somebody else began to speak has a space put before it.

    Args:
        row: an object with a list of objects under one of the usual names.
        where: the row, for messages.

    Raises:
        InputError: a message without a speaker, or without text.
    """
    if not isinstance(row, Mapping):
        return None
    lists = (row[field] for field in MESSAGES if isinstance(row.get(field), list))
    messages = next((found for found in lists if found and all(isinstance(one, Mapping) for one in found)), None)
    if messages is None:
        return None
    lines = list[str]()
    for number, message in enumerate(messages):
        name, content = _first(message, SPEAKER), _first(message, CONTENT)
        if name is None or content is None:
            missing, fields = ("speaker", SPEAKER) if name is None else ("text", CONTENT)
            raise InputError(f"message {number} has no {missing}", where=where, expected=f"one of {', '.join(fields)}")
        first, *others = content.strip().split("\n")
        others = [f" {line}" if _BEGINS_TURN.match(line) else line for line in others]
        lines.append("\n".join([f"{' '.join(name.split())}: {first}", *others, ""]))
    return "".join(lines)


def _first(message: Mapping[str, Any], fields: tuple[str, ...]) -> str | None:
    return next((message[field] for field in fields if isinstance(message.get(field), str)), None)


class OneSpeaker:
    """Finds what one speaker says, and who speaks else.

    Args:
        name: as it stands before the colon.
    """

    def __init__(self, name: str) -> None:
        self._name = " ".join(name.split())
        self._num_turns: Counter[str] = Counter()
        self.num_without = 0
        """Texts in which the speaker says nothing."""
        if not self._name:
            raise InputError("no name of a speaker", expected="one, as it stands before the colon of a turn")

    @property
    def num_turns(self) -> int:
        """Of the speaker, so far."""
        return self._num_turns[self._name]

    def spans(self, text: str) -> tuple[tuple[int, int], ...]:
        """What the speaker says in a text: [start, stop) in characters, in order and apart; nothing where that is
        nothing."""
        turns = turns_of(text)
        self._num_turns.update(turn.name for turn in turns)
        found = tuple((turn.start, turn.stop) for turn in turns if turn.name == self._name)
        self.num_without += not found
        return found

    def check_was_heard(self) -> None:
        """See that the speaker said something in the texts that were gone through.

        Raises:
            InputError: nobody of that name did, with the nearest name and those who speak most.
        """
        if self.num_turns:
            return
        often = [name for name, _ in self._num_turns.most_common()]
        if not often:
            expected = "lines that begin with a name and a colon, such as 'Ann: Hello.'"
            raise InputError(f"nobody speaks in the texts, {self._name!r} neither", expected=expected)
        folded = {name.casefold(): name for name in reversed(often)}
        close = nearest(self._name.casefold(), folded)
        shown = ", ".join(often[:SHOWN_NAMES]) + (", ..." if len(often) > SHOWN_NAMES else "")
        fix = f"did you mean {folded[close]!r}?" if close is not None else ""
        raise InputError(f"nobody called {self._name!r} speaks", expected=f"one of {shown}", fix=fix)
