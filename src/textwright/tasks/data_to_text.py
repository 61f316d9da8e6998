"""Data as sentences: E2E's meanings (a table with ``mr`` and ``ref``, or the tokenised pair of files) and WebNLG's
triples (JSON with ``triples`` and ``lex``)."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from textwright.core.errors import InputError
from textwright.tasks.base import Example, Task
from textwright.tasks.meanings import Meaning, find_tokenised, read_meanings, read_tokenised
from textwright.tasks.references import Gathered, gather
from textwright.tasks.rows import Row, read_rows
from textwright.tasks.wording import after, one_line, spoken
from textwright.text.normalise import as_text


class DataToText(Task):
    """Facts, to be said in sentences. All texts for the same facts are references of one example."""

    name = "data_to_text"
    summary = "say facts in sentences"
    metrics = ("bleu", "meteor", "rouge", "chrf")
    max_new_tokens = 96
    baseline = "copy"

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        """Those of E2E in the order in which each meaning comes first, those of WebNLG a row each."""
        for found in _found(paths):
            prompt = f"{found.source}\nText:"
            completion = after(prompt, found.references[0])
            yield Example(prompt, completion, found.references, source=found.source, id=found.id)


def _found(paths: Sequence[Path]) -> Iterator[Gathered]:
    tokenised = find_tokenised(paths)
    if tokenised is not None:
        yield from _of_meanings(read_tokenised(tokenised))
        return
    rows = read_rows(paths)
    first = next(rows)
    rows = chain([first], rows)
    yield from map(_of_triples, rows) if first.has("triples") else _of_meanings(read_meanings(rows))


def _of_meanings(meanings: Iterator[Meaning]) -> Iterator[Gathered]:
    return gather(("; ".join(map(": ".join, one.slots)), one.text, one.id) for one in meanings)


def _of_triples(row: Row) -> Gathered:
    """Of texts that people found fault with none is taken where there are others."""
    parts = [triple.split(" | ") for triple in row.texts("triples")]
    if any(len(part) != 3 for part in parts):
        raise InputError("a triple of another form", where=row.where, expected="subject | property | object")
    source = "; ".join(f"{_thing(subject)} | {spoken(name)} | {_thing(value)}" for subject, name, value in parts)
    texts = [one if isinstance(one, dict) else {"text": one} for one in row.items("lex")]
    good = [text for text in texts if text.get("comment", "good") == "good"]
    references = tuple(dict.fromkeys(one_line(as_text(str(text.get("text", "")), row.where)) for text in good or texts))
    if not references or not all(references):
        raise InputError("no text in 'lex'", where=row.where, expected="at least one")
    return Gathered(source, references, row.id)


def _thing(name: str) -> str:
    """What a triple speaks of, as it is written in texts."""
    return one_line(name.strip().strip('"').replace("_", " "))
