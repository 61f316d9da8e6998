"""Dialogue: lines whose turns end in ``__eou__`` (DailyDialog), JSON with ``turns`` (SGD), or with ``messages``.

Who speaks first is the user; every answer of the other is an example, given the turns before it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from textwright.core.errors import InputError
from textwright.tasks.base import Example, Task
from textwright.tasks.rows import LINE, Row, read_rows
from textwright.tasks.wording import after, one_line
from textwright.text.dialogue import DialogueFormat, Turn, render
from textwright.text.normalise import as_text

END = "__eou__"
MOST_TURNS = 7
"""Before an answer; of more the last ones, from a user's on."""
ROLES: Mapping[str, Literal["user", "assistant"]] = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
}


@dataclass(frozen=True)
class Conversation:
    """Who said what."""

    turns: tuple[Turn, ...]
    system: str
    """What stands above it; empty where there is nothing."""
    id: str


class Dialogue(Task):
    """A conversation, to which the next answer is to be given."""

    name = "dialogue"
    summary = "give the next answer in a conversation"
    metrics = ("bleu", "meteor", "distinct_n")
    baseline = "ngram"

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        """An example an answer; those of one conversation are one document."""
        style = DialogueFormat()
        for conversation in map(_conversation, _rows(paths)):
            for place, turn in enumerate(conversation.turns):
                before = _newest(conversation.turns[:place])
                if turn.role == "user" or not before or not turn.text:
                    continue
                prompt = str(render(before, style, conversation.system))
                yield Example(
                    prompt,
                    after(prompt, turn.text),
                    (turn.text,),
                    source=before[-1].text,
                    id=f"{conversation.id}:{place + 1}",
                    document=conversation.id,
                )


def _rows(paths: Sequence[Path]) -> Iterator[Row]:
    """Those of conversations; SGD's descriptions of its services lie beside them."""
    return (row for row in read_rows(paths) if not row.has("service_name"))


def _newest(turns: Sequence[Turn]) -> Sequence[Turn]:
    """The last turns, from a user's on; nothing where the user said nothing last."""
    if not turns or turns[-1].role != "user":
        return ()
    newest = turns[-MOST_TURNS:]
    return newest if newest[0].role == "user" else newest[1:]


def _conversation(row: Row) -> Conversation:
    if row.has(LINE):
        said = [one_line(text) for text in row.text(LINE).split(END)]
        if len(said) < 2:
            raise InputError("a line without __eou__", where=row.where, expected="turns that end in __eou__, or JSON")
        turns = [Turn("assistant" if place % 2 else "user", text) for place, text in enumerate(said[:-1])]
        return Conversation(tuple(turns), "", row.id)
    spoken = [_turn(one, row.where) for one in row.items("turns", "messages", "conversations")]
    name = row.text("dialogue_id", "id") if row.has("dialogue_id", "id") else row.id
    system = "\n".join(text for role, text in spoken if role == "system")
    return Conversation(tuple(Turn(ROLES[role], text) for role, text in spoken if role in ROLES), system, name)


def _turn(turn: Any, where: str) -> tuple[str, str]:
    """(role, text). SGD calls the one who answers SYSTEM; elsewhere a system's text stands above a conversation."""
    named = turn if isinstance(turn, Mapping) else {}
    is_sgd = "utterance" in named
    role, text = (named.get(key, named.get(other)) for key, other in (("role", "from"), ("content", "value")))
    if is_sgd:
        role, text = {"USER": "user", "SYSTEM": "assistant"}.get(named.get("speaker", "")), named["utterance"]
    if not isinstance(text, str) or not isinstance(role, str) or (role not in ROLES and role != "system"):
        raise InputError(
            f"the turn {str(turn)[:60]!r}", where=where, expected="a role (user, assistant or system) and its content"
        )
    return role, one_line(as_text(text, where))
