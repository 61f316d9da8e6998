"""Examples in memory: texts, which are learned whole, and those of which a part is read only, as pairs and chats.

::

    text                    The cat sat. |                                 all of it      (| is the end token)
    prompt and completion   Q: 1+1? two |                                  two |
    chat                    User: 1+1?/Assistant: two/User: 2+2?/Assistant: four/|
                                                 two/                       four/|        (/ is a line's end)

A part that is read and one that is learned are made into tokens by themselves: a prompt has those that it has when the
model is asked to continue it.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from textwright.core.errors import InputError
from textwright.data.dataset import Ids, TokenDataset
from textwright.data.documents import make_table
from textwright.data.encode import num_bytes
from textwright.data.fill_in_middle import Middle, rearranged_ids
from textwright.data.id_buffer import IdBuffer
from textwright.text.dialogue import Rendered
from textwright.text.document import Document
from textwright.text.files import VALIDATED_ON, describe_left_out
from textwright.text.pair_formats import PAIR
from textwright.tokens.tokenizer import Tokenizer

TooLong = Literal["error", "skip", "cut"]
"""What is done with a pair or a chat that is longer than a row: it is refused; it is left out; or it is cut at its
beginning, where nothing is learned."""
ROW_LENGTH = "the length of a row (the model's context, or --sequence-length)"
"""For messages."""
TOKENS_PER_ROW = 256
"""At most, but where a pair is longer: one that is cut would be learned without its prompt."""


@dataclass(frozen=True)
class Example:
    """One document to learn from."""

    text: str
    """What is learned, and with it that it ends there; or where the document has spans, in characters, those of it."""
    document: Document
    """What is known of it."""
    prompt: str | None = None
    """What is given before the text: it is read, and not learned. None where the text stands by itself."""
    header: str = ""
    """What is read before all else, and never cut."""
    is_last: bool = True
    """False for a piece of a document that goes on: no end follows it."""
    middle: Middle | None = None
    """Of a text that is learned whole, the part that is put last: see ``data.fill_in_middle``."""

    @property
    def has_text(self) -> bool:
        """Whether there is anything to learn; a completion may be a space."""
        return self.prompt is not None or bool(self.text.strip())

    @property
    def has_given(self) -> bool:
        """Whether a part of it is read and not learned: such a one is not cut into pieces."""
        return self.prompt is not None or self.document.spans is not None


@dataclass(frozen=True)
class EncodedExample:
    """An example as token ids."""

    example: Example
    ids: Ids
    """All of them."""
    spans: tuple[tuple[int, int], ...] | None
    """What of them is learned, [start, stop). None: all."""
    num_kept: int
    """Those at the beginning that are never cut: what begins every text, and the header."""
    cut: tuple[int, int] = (0, 0)
    """What was cut off, [start, stop) of the ids."""
    is_left_out: bool = False
    """Whether nothing of it is learned from, as it is too long."""

    @property
    def num_cut(self) -> int:
        """How many were cut off."""
        return self.cut[1] - self.cut[0]

    @property
    def begins_given(self) -> bool:
        """Whether the first is given, and not learned: so no place of a row is needed before it."""
        return len(self.ids) > 1 and self.spans is not None and not (self.spans and self.spans[0][0] == 0)

    @property
    def num_learned(self) -> int:
        """How many are learned, before anything is cut off."""
        return len(self.ids) if self.spans is None else sum(stop - start for start, stop in self.spans)

    def shortened(self) -> "EncodedExample":
        """Without what was cut off."""
        start, stop = self.cut
        if start == stop:
            return self
        spans = self.spans
        if spans is not None:
            spans = tuple((first - self.num_cut, last - self.num_cut) for first, last in spans if first >= stop)
        return replace(self, ids=np.concatenate([self.ids[:start], self.ids[stop:]]), spans=spans, cut=(0, 0))


def row_length(longest_pair: int, num_tokens: int, context_length: int) -> int:
    """Places of a row that holds each pair whole: at most 256, or those of the longest pair, or of the context.

    Args:
        longest_pair: tokens of the longest example of which a part is read only.
        num_tokens: of all examples.
        context_length: of the model.
    """
    return min(context_length, max(TOKENS_PER_ROW, longest_pair), num_tokens)


def encode_each(
    examples: Iterable[Example], tokenizer: Tokenizer, *, max_pair_tokens: int, too_long: TooLong = "error"
) -> Iterator[EncodedExample]:
    """Examples as token ids, in their order; of those that are too long what is cut off, or that they are left out.

    Args:
        examples: those without any text are left out by who asks.
        tokenizer: makes the ids.
        max_pair_tokens: of one of which a part is read only, its end counted.
        too_long: see ``TooLong``.

    Raises:
        InputError: a longer one, where that is an error, or one whose last learned part alone is longer.
    """
    encoder = _Encoder(tokenizer)
    for example in examples:
        encoded = encoder.encode(example)
        if encoded.spans is not None and len(encoded.ids) > max_pair_tokens:
            encoded = _fitted(encoded, max_pair_tokens, too_long)
        yield encoded


class ExampleTokens(TokenDataset):
    """Examples as token ids in memory."""

    def __init__(
        self,
        examples: Iterable[Example],
        tokenizer: Tokenizer,
        *,
        max_pair_tokens: int,
        too_long: TooLong = "error",
        scratch: Path | None = None,
    ) -> None:
        """
        Args:
            examples: one is held at a time; those without any text are left out.
            tokenizer: makes the ids.
            max_pair_tokens: of one of which a part is read only, its end counted: in rows that are shorter it would be
                cut, and learned without what is given.
            too_long: what is done with a longer one.
            scratch: a folder on whose disk the ids are kept, in a file without a name; without it they are in memory.

        Raises:
            InputError: a longer one, where that is an error; or there are examples, and nothing of them is learned.
        """
        ends, documents = array("q"), list[Document]()
        self.validated_on: list[str] = []
        """Names of files of which nothing was taken, as they are validated on."""
        self.num_left_out = 0
        """Examples without any text."""
        self.num_null = 0
        """Rows without text, or with nothing to be learned, that were passed over before."""
        self.num_too_long = 0
        """Pairs and chats that are longer than the context: cut, or left out."""
        self.num_cut = 0
        """Those of them that were cut; the others were left out."""
        self.num_tokens_cut = self.num_learned_cut = 0
        """Tokens that were cut off or left out with them, and how many of these would have been learned."""
        self.longest_pair = self.num_learned = size_bytes = num_characters = 0
        whole = encode_each(self._with_text(examples), tokenizer, max_pair_tokens=max_pair_tokens, too_long=too_long)
        with IdBuffer(scratch) as ids:
            for encoded in whole:
                found = self._counted(encoded)
                if found is None:
                    continue
                example = found.example
                ids.add(found.ids.astype(np.uint32, copy=False))
                ends.append(ids.num_ids)
                document = example.document
                documents.append(document if found.spans == document.spans else document.with_spans(found.spans))
                for text in filter(None, (example.header, example.prompt, example.text)):
                    size_bytes += num_bytes(text)
                    num_characters += len(text)
            parts = [ids.as_array()] if ids.num_ids else []
        self._documents = documents
        self._check_something_is_learned(max_pair_tokens)
        super().__init__(
            parts,
            np.array(ends, dtype=np.int64),
            num_bytes=size_bytes,
            num_characters=num_characters,
            has_spans=any(document.spans is not None for document in documents),
        )

    def _with_text(self, examples: Iterable[Example]) -> Iterator[Example]:
        for example in examples:
            if example.has_text:
                yield example
            else:
                self.num_left_out += 1

    def _counted(self, encoded: EncodedExample) -> EncodedExample | None:
        """What is left of an example once it is counted; None where it is left out."""
        left = encoded
        if encoded.is_left_out or encoded.num_cut:
            left = encoded.shortened()
            self.num_too_long += 1
            self.num_tokens_cut += len(encoded.ids) if encoded.is_left_out else encoded.num_cut
            self.num_learned_cut += encoded.num_learned - (0 if encoded.is_left_out else left.num_learned)
        if encoded.is_left_out:
            return None
        self.num_cut += encoded.num_cut > 0
        self.num_learned += left.num_learned
        if left.spans is not None or left.example.middle is not None:
            self.longest_pair = max(self.longest_pair, len(left.ids))
        return left

    def _check_something_is_learned(self, max_pair_tokens: int) -> None:
        if self.num_learned or not (self._documents or self.num_too_long):
            return
        if not self._documents:
            given = f"all {self.num_too_long:,} examples are longer than {max_pair_tokens:,} tokens, {ROW_LENGTH}"
            raise InputError(given, expected="at least one that fits", fix="set too_long to cut (--too-long)")
        raise InputError(
            f"nothing to learn in {len(self._documents):,} examples: all of their tokens are read only",
            expected="at least one token to learn",
        )

    @property
    def notes(self) -> list[str]:
        """What was left out and cut off, in lines."""
        lines = []
        if self.num_left_out:
            lines.append(f"{self.num_left_out:,} without any text left out")
        if self.num_null:
            lines.append(f"{self.num_null:,} rows with nothing to learn passed over")
        if self.validated_on:
            lines.append(describe_left_out({VALIDATED_ON: self.validated_on}))
        if self.num_too_long:
            num_whole = self.num_too_long - self.num_cut
            what = [f"{self.num_cut:,} cut at their beginning"] * (self.num_cut > 0)
            what += [f"{num_whole:,} left out"] * (num_whole > 0)
            lines.append(
                f"{' and '.join(what)}, longer than the context: {self.num_tokens_cut:,} tokens, "
                f"{self.num_learned_cut:,} of them to learn"
            )
        return lines

    def row_length(self, context_length: int) -> int:
        """As the function of this name, for these examples."""
        return row_length(self.longest_pair, self.num_tokens, context_length)

    @property
    def fingerprint(self) -> str:
        """A hash of ids, documents, and what is learned of them."""
        from textwright.data.sources.base import fingerprint_of  # loads torch, which who checks data does without

        return fingerprint_of(super().fingerprint, [document.spans for document in self._documents])

    @cached_property
    def documents(self) -> Any:
        """See ``TokenDataset``."""
        return make_table(self._documents)


class _Encoder:
    """Makes the ids of whole examples."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._begin, self._end = (np.array(ids, dtype=np.uint32) for ids in (tokenizer.begin_ids, [tokenizer.end_id]))

    def encode(self, example: Example) -> EncodedExample:
        """The whole of an example."""
        if _is_plain_pair(example) and not len(self._begin):
            return self._encode_pair(example)
        parts = [
            (_ids_of(text, start, stop, self._tokenizer), learned) for text, start, stop, learned in _parts(example)
        ]
        if example.middle is not None:
            parts = [(rearranged_ids(example.text, example.middle, self._tokenizer), True)]
        found, num_kept = [self._begin], len(self._begin)
        if example.header:
            found.append(self._tokenizer.encode_array(example.header))
            num_kept += len(found[-1])
        elif num_kept and parts and np.array_equal(parts[0][0][:num_kept], self._begin):
            found = []  # the marks of a dialogue begin it already
        if example.is_last:
            parts.append((self._end, parts[-1][1] if parts else True))
        place, spans = sum(map(len, found)), list[tuple[int, int]]()
        for ids, is_learned in parts:
            start, place = place, place + len(ids)
            found.append(ids)
            if is_learned and len(ids):
                if spans and spans[-1][1] == start:
                    start = spans.pop()[0]
                spans.append((start, place))
        is_whole = not example.has_given and not example.header
        return EncodedExample(example, np.concatenate(found), None if is_whole else tuple(spans), num_kept)

    def _encode_pair(self, example: Example) -> EncodedExample:
        """The same of a prompt and its completion: of many short ones the way above would take half of the time."""
        assert example.prompt is not None
        prompt, completion = (self._tokenizer.encode_array(text) for text in (example.prompt, example.text))
        ids = np.concatenate((prompt, completion, self._end))
        return EncodedExample(example, ids, ((len(prompt), len(ids)),), 0)


def _is_plain_pair(example: Example) -> bool:
    """Whether it is a prompt and a completion, and nothing else."""
    return (
        example.prompt is not None
        and example.document.spans is None
        and example.middle is None
        and not example.header
        and example.is_last
        and not isinstance(example.prompt, Rendered)
        and not isinstance(example.text, Rendered)
    )


def _parts(example: Example) -> Iterator[tuple[str, int, int, bool]]:
    """(text, start, stop, whether it is learned) of each part, none of them empty."""
    text, spans = example.text, example.document.spans
    if example.prompt is not None:
        yield example.prompt, 0, len(example.prompt), False
    place = 0
    for start, stop in ((0, len(text)),) if spans is None else spans:
        if place < start:
            yield text, place, start, False
        yield text, start, stop, True
        place = stop
    if place < len(text):
        yield text, place, len(text), False


def _ids_of(text: str, start: int, stop: int, tokenizer: Tokenizer) -> Ids:
    """The ids of a part of a text; marks of a dialogue that are special tokens are those."""
    if not isinstance(text, Rendered) or not tokenizer.special_ids:
        return tokenizer.encode_array(text[start:stop])
    marks = [(max(first, start) - start, min(last, stop) - start) for first, last in text.marks]
    marks = [(first, last) for first, last in marks if first < last]
    return np.array(tokenizer.encode_marked(text[start:stop], marks), dtype=np.uint32)


def _fitted(encoded: EncodedExample, most: int, too_long: TooLong) -> EncodedExample:
    """One that is too long, with what becomes of it."""
    if too_long == "skip":
        return replace(encoded, is_left_out=True)
    if too_long == "error":
        fix = "shorten it, or set too_long to skip or cut (--too-long)"
        raise _too_long(encoded, f"has {len(encoded.ids):,} tokens with its end", most, fix)
    spans = encoded.spans or ()
    start, stop = encoded.num_kept, encoded.num_kept + len(encoded.ids) - most
    for first, last in spans:
        if first < stop:  # half an answer is not learned
            stop = max(stop, last)
    if spans and spans[-1][1] <= stop:
        size = len(encoded.ids) - spans[-1][0]
        fix = "shorten it, or leave such out: set too_long to skip (--too-long)"
        raise _too_long(encoded, f"has {size:,} tokens to learn at its end", most - encoded.num_kept, fix)
    return replace(encoded, cut=(start, stop))


def _too_long(encoded: EncodedExample, what: str, most: int, fix: str) -> InputError:
    document = encoded.example.document
    kind = "pair" if document.format in (None, PAIR) else "chat"
    expected = f"at most {most:,}, {ROW_LENGTH}"
    return InputError(f"{kind} {document.id} {what}", where=document.source, expected=expected, fix=fix)
