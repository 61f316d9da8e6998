"""Facts out of a text, as JSON: E2E's meanings out of their sentences (``mr`` and ``ref``, or the tokenised pair of
files), and the slots that a customer names in a turn of SGD."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from textwright.core.errors import InputError
from textwright.tasks.base import Answer, Example, Task
from textwright.tasks.meanings import find_tokenised, read_meanings, read_tokenised
from textwright.tasks.rows import Row, read_rows
from textwright.tasks.wording import one_line, spoken
from textwright.text.normalise import as_text


class InformationExtraction(Task):
    """A text, of whose facts an object of names and values is to be made."""

    name = "information_extraction"
    summary = "say the facts of a text as JSON"
    metrics = ("entity_f1", "accuracy")
    max_new_tokens = 128
    stop = ()
    json_schema: Mapping[str, Any] = {"type": "object", "additionalProperties": {"type": "string"}}

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        """An example a sentence, or a customer's turn that names a slot."""
        for text, facts, name in _found(paths):
            answer = _as_json(facts)
            # JSON begins with its brace: what is constrained has no space before it.
            yield Example(
                f"{text}\nJSON:", answer, (answer,), source=text, id=name, details={"gold_entities": _as_pairs(facts)}
            )

    def read_answer(self, text: str, example: Example) -> Answer:  # noqa: ARG002
        """The object, its names in order; what is no object says nothing."""
        try:
            facts = json.loads(text)
        except (ValueError, RecursionError):
            facts = None
        if not isinstance(facts, dict) or not all(isinstance(value, str) for value in facts.values()):
            return Answer(text.strip(), {"entities": []})
        return Answer(_as_json(facts), {"entities": _as_pairs(facts)})


def _as_json(facts: Mapping[str, str]) -> str:
    return json.dumps(facts, ensure_ascii=False, sort_keys=True)


def _as_pairs(facts: Mapping[str, str]) -> list[list[str]]:
    return [[name, facts[name]] for name in sorted(facts)]


def _found(paths: Sequence[Path]) -> Iterator[tuple[str, dict[str, str], str]]:
    """(text, facts, name)"""
    tokenised = find_tokenised(paths)
    if tokenised is not None:
        yield from ((one.text, dict(one.slots), one.id) for one in read_tokenised(tokenised))
        return
    rows = read_rows(paths)
    first = next(rows)
    rows = chain([first], rows)
    if first.has("mr"):
        yield from ((one.text, dict(one.slots), one.id) for one in read_meanings(rows))
    else:
        yield from (found for row in rows if not row.has("service_name") for found in _of_dialogue(row))


def _of_dialogue(row: Row) -> Iterator[tuple[str, dict[str, str], str]]:
    """The customer's turns of a dialogue, each slot by the words that are said for it."""
    try:
        for number, turn in enumerate(row.items("turns"), 1):
            text = as_text(turn["utterance"], row.where)
            slots = [slot for frame in turn["frames"] for slot in frame["slots"]] if turn["speaker"] == "USER" else []
            facts = {spoken(slot["slot"]): one_line(text[slot["start"] : slot["exclusive_end"]]) for slot in slots}
            if facts:
                yield one_line(text), facts, f"{row.text('dialogue_id')}:{number}"
    except (TypeError, KeyError) as error:
        raise InputError(
            f"a turn of another form: {error}", where=row.where, expected="dialogues as SGD has them"
        ) from None
