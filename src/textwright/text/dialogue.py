"""A dialogue as one text that a model continues: who speaks is marked by prefixes. Data only; nothing is executed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from textwright.core.config import Config
from textwright.core.errors import InputError

Mark = Annotated[str, StringConstraints(max_length=200)]


class DialogueFormat(Config):
    """How a dialogue is written down. What is not set makes plain turns, for models that know of no format.

    ::

        You are a cat.          system text
        User: Who are you?      user's turn
        Assistant: A cat.       assistant's turn
        User: And now?
        Assistant:              the model goes on here
    """

    user: Mark = "User: "
    """Before what the user says."""
    assistant: Mark = "Assistant: "
    """Before what the model says."""
    turn_end: Mark = Field(default="\n", min_length=1)
    """After every turn, and after the system text."""
    system: Mark = ""
    """Before the system text."""

    @field_validator("user", "assistant")
    @classmethod
    def _marks_a_speaker(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("more than white space, to tell who speaks")
        return value

    @property
    def begin_answer(self) -> str:
        """The assistant's prefix as a prompt ends with it: in most tokenizers a space belongs to the word after it."""
        return self.assistant.rstrip(" ")

    @property
    def stops(self) -> tuple[str, ...]:
        """Where an answer ends: at a turn's end, where that is a mark of its own, or where anyone begins to speak."""
        begins = tuple(f"{self.turn_end}{prefix.rstrip(' ')}" for prefix in (self.user, self.assistant))
        return (self.turn_end,) if self.turn_end.strip() else begins


@dataclass(frozen=True)
class Turn:
    """What one of the two said."""

    role: Literal["user", "assistant"]
    text: str
    is_learned: bool = True
    """Whether who learns from the dialogue learns to say it, where it is the assistant's."""


class Rendered(str):
    """A dialogue as a text.

    Attributes:
        marks: where in it the format's own marks begin and end: what is said cannot pass for one of them.
    """

    __slots__ = ("marks",)
    marks: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, parts: Iterable[tuple[str, bool]]) -> "Rendered":
        """From texts, and whether each is a mark."""
        parts = [(text, is_mark) for text, is_mark in parts if text]
        stops = list(accumulate(len(text) for text, _ in parts))
        found = cls("".join(text for text, _ in parts))
        found.marks = tuple(
            (stop - len(text), stop) for (text, is_mark), stop in zip(parts, stops, strict=True) if is_mark
        )
        return found


def render(turns: Sequence[Turn], style: DialogueFormat, system: str = "") -> Rendered:
    """The prompt that the model's next answer continues.

    Args:
        turns: in order, the user's last.
        style: how they are written down.
        system: what stands above them all; an empty one is left out.
    """
    prefixes = {"user": style.user, "assistant": style.assistant}
    parts = [(style.system, True), (system, False), (style.turn_end, True)] if system else []
    for turn in turns:
        parts += [(prefixes[turn.role], True), (turn.text, False), (style.turn_end, True)]
    return Rendered.of([*parts, (style.begin_answer, True)])


def write_dialogue(
    turns: Sequence[Turn], style: DialogueFormat, system: str = ""
) -> tuple[Rendered, tuple[tuple[int, int], ...]]:
    """A whole dialogue to learn from, and what of it is learned: the assistant's turns, each with what ends it, as the
    model writes it when it is asked by ``render``.

    ::

        User: Who are you?
        Assistant: A cat.
                  ^^^^^^^^      " A cat." and the line's end

    Args:
        turns: in order.
        style: how they are written down.
        system: what stands above them all; an empty one is left out.

    Returns:
        The text, and [start, stop) of the characters of each turn that is learned.
    """
    parts = [(style.system, True), (system, False), (style.turn_end, True)] if system else []
    length, spans = sum(len(text) for text, _ in parts), list[tuple[int, int]]()
    for turn in turns:
        begin, space = style.user, ""
        if turn.role == "assistant":
            begin, space = style.begin_answer, style.assistant[len(style.begin_answer) :]
        start = length + len(begin)
        length = start + len(space) + len(turn.text) + len(style.turn_end)
        parts += [(begin, True), (space, True), (turn.text, False), (style.turn_end, True)]
        if turn.role == "assistant" and turn.is_learned:
            spans.append((start, length))
    return Rendered.of(parts), tuple(spans)


def render_within(
    turns: Sequence[Turn],
    style: DialogueFormat,
    system: str = "",
    *,
    count_tokens: Callable[[Rendered], int],
    context_length: int,
    room: int,
) -> tuple[Rendered, int]:
    """The prompt with the newest turns that fit, from a user's turn on; the system text always stays.

    Args:
        turns: in order, the user's last.
        style: how they are written down.
        system: what stands above them all.
        count_tokens: how many tokens a text has.
        context_length: the most tokens that the model sees.
        room: tokens to leave for the answer. The user's last turn may take of it.

    Returns:
        The prompt, and how many of the oldest turns were cut.

    Raises:
        InputError: the system text and the user's last turn leave the answer no room at all.
    """
    starts = [index for index, turn in enumerate(turns) if turn.role == "user"]
    start = starts[-1]
    prompt = render(turns[start:], style, system)
    if (num_tokens := count_tokens(prompt)) >= context_length:
        raise InputError(
            f"{'the system text and the turn make' if system else 'the turn makes'} {num_tokens:,} tokens",
            expected=f"fewer than {context_length:,}, the model's context",
            fix="say it shorter",
        )
    for earlier in reversed(starts[:-1]):
        longer = render(turns[earlier:], style, system)
        if count_tokens(longer) > context_length - room:
            break
        start, prompt = earlier, longer
    return prompt, start
