"""Which text is kept for validation: whole documents, or where they are few the end of each.

::

    many documents, by the hash of their text          few, or where that is out of proportion
    [a][b][c][d][e][f][g][h][i][j]...                  [aaaaaaaaaa][bbbbbbbbbb]
           val                                                  val         val

Documents of one group go by the hash of its name, so that all are on one side.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from textwright.core.seeds import hash_u64
from textwright.text.chunks import find_boundary
from textwright.text.document import Chunk, Document

TRAIN, VAL = "train", "val"
VALIDATION_OF = 10
FEWEST_DOCUMENTS = 20
"""Of fewer, each gives its end."""
MOST_VALIDATION_OF = 5
"""So do documents of which the hash would take more than one part in so many."""
SEARCHED_OF = 20
"""For white space, so small a part of a document before its last tenth is searched, where spans of it are learned."""
SEARCHED_CHARACTERS = 1000
"""And no more of it."""

Sided = Iterator[tuple[str, Chunk]]
Passes = Callable[[], Iterable[Chunk]]
Spans = tuple[tuple[int, int], ...] | None


def is_validation(text: str) -> bool:
    """Whether a document is kept for validation: a tenth is, chosen by the hash of its text.

    The same text is always on the same side, in whatever order and company it comes, so copies never straddle.
    """
    return _hash(text) % VALIDATION_OF == 0


def _hash(text: str) -> int:
    return hash_u64("validation", text)


@dataclass(frozen=True)
class Split:
    """How documents are split."""

    description: str
    """In words."""
    sides: Callable[[Iterable[Chunk]], Sided]
    """The chunks with the side that each is on; those of one document on one side follow each other."""


def choose_split(passes: Passes) -> Split:
    """How a text is split: by the hash of its documents, or of the groups that they are of; or the last tenth of each.

    Args:
        passes: goes through the chunks of all documents; called twice at most.
    """
    tails, is_val = array("Q"), bytearray()
    groups, members = dict[str, int](), array("q")
    num_bytes = [0, 0]
    for document in documents_of(passes()):
        side, tail, size, group = _measure(document)
        is_val.append(side)
        tails.append(tail)
        members.append(-1 if group is None else groups.setdefault(group, len(groups)))
        num_bytes[side] += size
    if len(is_val) >= FEWEST_DOCUMENTS and 0 < num_bytes[True] * MOST_VALIDATION_OF <= sum(num_bytes):
        share = 100 * num_bytes[True] / sum(num_bytes)
        description = f"{sum(is_val):,} of {len(is_val):,} documents, by hash: {share:.2g} % of the text"
        return Split(description, lambda chunks: _by_hash(chunks, is_val))
    if len(groups) >= MOST_VALIDATION_OF and min(members) >= 0:
        held_out = {groups[name] for name in sorted(groups, key=_hash)[: -(-len(groups) // VALIDATION_OF)]}
        is_val = bytearray(member in held_out for member in members)
        description = f"{sum(is_val):,} of {len(is_val):,} documents: {len(held_out):,} of {len(groups):,} groups"
        return Split(description, lambda chunks: _by_hash(chunks, is_val))
    places = array("Q", _places(passes(), tails))
    return Split(_describe_tails(places), lambda chunks: _tails(chunks, places))


def documents_of(chunks: Iterable[Chunk]) -> Iterator[Iterator[Chunk]]:
    """Each document's chunks; documents without text are left out."""
    stream = iter(chunks)
    for first in stream:
        if first.is_last and not first.text.strip():
            continue
        document = _document(first, stream)
        yield document
        for _ in document:  # what nobody took
            pass


def all_on(side: str, chunks: Iterable[Chunk]) -> Sided:
    """All documents on one side."""
    return ((side, chunk) for document in documents_of(chunks) for chunk in document)


def _document(first: Chunk, stream: Iterator[Chunk]) -> Iterator[Chunk]:
    """The chunks of one document, the others taken from the stream."""
    yield first
    while not first.is_last:
        first = next(stream)
        yield first


def _measure(document: Iterator[Chunk]) -> tuple[bool, int, int, str | None]:
    """Whether the hash keeps it for validation; where its last tenth begins, 0 if that is nothing; its bytes; its
    group."""
    side, end, length, size, group = False, 0, 0, 0, None
    for chunk in document:
        group = chunk.document.group
        side = side if length else is_validation(chunk.text if group is None else group)
        text = chunk.text.rstrip()
        end = length + len(text) if text else end
        length += len(chunk.text)
        size += chunk.num_bytes
    tail = length + 1 - (length + 1) // VALIDATION_OF  # with the end token
    if tail >= end:  # of what is no white space then
        tail = end - end // VALIDATION_OF
    return side, tail if tail < end else 0, size, group


def _by_hash(chunks: Iterable[Chunk], is_val: Sequence[int]) -> Sided:
    for document, side in zip(documents_of(chunks), is_val, strict=True):
        yield from ((VAL if side else TRAIN, chunk) for chunk in document)


def _describe_tails(places: Sequence[int]) -> str:
    num_whole = sum(not place for place in places)
    if num_whole == len(places):
        return "none: a tenth of each document is nothing" if places else "none"
    if len(places) == 1:
        return "the last tenth of the text"
    small = f", but for {num_whole:,} of which a tenth is nothing" if num_whole else ""
    return f"the last tenth of each of {len(places):,} documents{small}"


def _places(chunks: Iterable[Chunk], tails: Iterable[int]) -> Iterator[int]:
    """Where each document is cut, in characters: where its last tenth begins, or before the learned span that this is
    in; 0 for one that stays whole."""
    for document, tail in zip(documents_of(chunks), tails, strict=True):
        length, place = 0, tail
        spans: Spans = None
        for chunk in document:
            spans, stop = chunk.document.spans, length + len(chunk.text)
            wanted = _before_span(tail, spans, tail)
            if spans and length < wanted < stop:
                place = length + _cut(chunk, wanted - length, length, tail)
            length = stop
        yield place if _are_ranges(spans, length) else 0


def _cut(chunk: Chunk, wanted: int, before: int, tail: int) -> int:
    """A place in a chunk at white space, at the wanted one or a little before, and in no span where that can be."""
    margin = min(SEARCHED_CHARACTERS, tail // SEARCHED_OF)
    while True:
        found = find_boundary(chunk.text, max(1, wanted - margin), wanted + 1)
        wanted = _before_span(before + found, chunk.document.spans, tail) - before
        if wanted == found or wanted <= 0:
            return found


def _before_span(place: int, spans: Spans, tail: int) -> int:
    """The place, or the beginning of the span that it would tear apart, unless that is too far from the tail."""
    for start, stop in spans or ():
        if tail // 2 < start < place <= stop:
            return start
    return place


def _are_ranges(spans: Spans, length: int) -> bool:
    """Whether they are ranges of a text, in order and apart; who encodes it refuses all others."""
    edges = [edge for span in spans or () for edge in span]
    return not edges or (edges == sorted(edges) and edges[0] >= 0 and edges[-1] <= length)


def _tails(chunks: Iterable[Chunk], places: Sequence[int]) -> Sided:
    """Each document up to its place to train on, as a document of its own, and the rest to validate on."""
    for document, place in zip(documents_of(chunks), places, strict=True):
        start = 0
        for chunk in document:
            text, stop = chunk.text, start + len(chunk.text)
            if not place:
                yield TRAIN, chunk
            elif stop <= place:
                yield TRAIN, Chunk(text, _part(chunk.document, 0, place), is_last=stop == place)
            elif start < place:
                yield TRAIN, Chunk(text[: place - start], _part(chunk.document, 0, place))
            if place and stop > place:
                rest = text[max(0, place - start) :]
                yield VAL, Chunk(rest, _part(chunk.document, place, None), chunk.is_last)
            start = stop


def _part(document: Document, start: int, stop: int | None) -> Document:
    """The document as its characters from ``start`` to ``stop`` are one, with the spans that lie in these."""
    if document.spans is None:
        return document
    found = []
    for first, last in document.spans:
        first, last = max(first, start), last if stop is None else min(last, stop)
        if first < last:
            found.append((first - start, last - start))
    return replace(document, spans=tuple(found))
