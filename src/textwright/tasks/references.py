"""Several answers to one question, gathered, and what is learned of each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from textwright.core.errors import InputError
from textwright.tasks.base import Example


@dataclass(frozen=True)
class Gathered:
    """A source with all that stands for it somewhere."""

    source: str
    references: tuple[str, ...]
    id: str
    """Of the first of them."""


def gather(pairs: Iterable[tuple[str, str, str]]) -> Iterator[Gathered]:
    """Every different source once, in the order in which they come first.

    Args:
        pairs: of a source, a reference, and their name.
    """
    found = dict[str, tuple[str, list[str]]]()
    for source, reference, name in pairs:
        found.setdefault(source, (name, []))[1].append(reference)
    for source, (name, references) in found.items():
        yield Gathered(source, tuple(dict.fromkeys(references)), name)


def completions_of(example: Example) -> tuple[str, ...]:
    """All that may be learned after an example's prompt: a completion for each reference.

    Raises:
        InputError: there is nothing to be learned.
    """
    if not example.completion:
        raise InputError("an example without a completion", where=example.id, expected="what is to be learned")
    first = example.references[0] if example.references else ""
    if not first or not example.completion.endswith(first):
        return (example.completion,)
    before = example.completion[: -len(first)]
    return tuple(f"{before}{reference}" for reference in dict.fromkeys(example.references))
