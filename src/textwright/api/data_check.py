"""What a model would learn from: looked at before anything is trained, with its tokenizer alone.

::

    files ----> formats ----> examples ----> tokens: read, learned, cut off ----> rows of an epoch
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from textwright.api.data_check_lines import show_check
from textwright.api.given_examples import EXAMPLES, given_examples, paths_in
from textwright.core.errors import InputError
from textwright.core.result import Result
from textwright.data.check import (
    CountRepetitions,
    Epoch,
    Lengths,
    Repetitions,
    SeenExamples,
    epoch_of,
    lengths_of,
    place_of,
)
from textwright.data.examples import ROW_LENGTH, EncodedExample, Example, TooLong, encode_each, row_length
from textwright.text.files import describe_left_out, search
from textwright.text.options import ReadOptions
from textwright.tokens.tokenizer import Ids, Tokenizer

State = Literal["read", "learned", "cut"]
NUM_SHOWN = 3

Transform = Callable[[Iterable[Example]], Iterable[Example]]


@dataclass(frozen=True)
class FileFound:
    """Examples of one format in one file."""

    source: str
    format: str | None
    """The name of a format of pairs, or None: texts."""
    num_examples: int


@dataclass(frozen=True)
class ShownExample:
    """An example as its tokens are."""

    place: str
    """Its file, and its name or number there."""
    parts: tuple[tuple[str, State], ...]
    """Stretches of it, special tokens by their names."""
    num_tokens: int
    is_left_out: bool


@dataclass(frozen=True)
class SideCheck:
    """What was found in what is learned from, or validated on."""

    files: tuple[FileFound, ...]
    left_out: str
    """Files that are none of text, or validated on, in one line."""
    examples: tuple[ShownExample, ...]
    """The first ones."""
    num_examples: int
    """Those with text."""
    num_empty: int
    """Those without any, which are left out."""
    num_null: int
    """Rows without text, or with nothing to learn, that were passed over."""
    lengths: Lengths | None
    """In tokens with the end, before anything is cut off."""
    num_too_long: int
    """Pairs and chats longer than the context."""
    first_too_long: str | None
    """The place of the first."""
    num_cut: int
    """Those that are cut at their beginning; the others are left out, or refused."""
    num_tokens_cut: int
    """Tokens that go with both kinds."""
    num_learned_cut: int
    """How many of these would have been learned."""
    num_read: int
    """Tokens that are read and not learned, of what is left."""
    num_learned: int
    """Tokens that are learned, of what is left."""
    repetitions: Repetitions
    """Examples that come again."""


@dataclass(frozen=True)
class DataCheck(Result):
    """What a model would learn from, and what speaks against it."""

    train: SideCheck
    val: SideCheck | None
    in_both: Repetitions
    """Examples that are validated on and learned from, too."""
    epoch: Epoch | None
    """None where nothing could be learned."""
    batch_size: int
    context_length: int
    too_long: TooLong
    problem: str | None
    """Why training would refuse it."""
    frozen_bytes: int | None = None
    """What ``cache_frozen`` keeps of the rows that are learned from; None where that is not asked for."""

    @property
    def exit_code(self) -> int:
        return 0 if self.problem is None else 2

    def as_json(self) -> dict[str, Any]:
        return {
            "train": _as_json(self.train),
            "val": None if self.val is None else _as_json(self.val),
            "in_both": asdict(self.in_both),
            "epoch": None if self.epoch is None else asdict(self.epoch) | {"batch_size": self.batch_size},
            "context_length": self.context_length,
            "too_long": self.too_long,
            "problem": self.problem,
            "frozen_bytes": self.frozen_bytes,
        }

    def show(self) -> None:
        show_check(self)


def _as_json(side: SideCheck) -> dict[str, Any]:
    found = asdict(side)
    for example in found["examples"]:
        example["parts"] = [{"text": text, "state": state} for text, state in example["parts"]]
    return found


def check_examples(
    examples: Any,
    tokenizer: Tokenizer,
    *,
    context_length: int,
    options: ReadOptions | None = None,
    validation: Any = None,
    too_long: TooLong = "error",
    batch_size: int = 8,
    seed: int = 0,
    transform: Transform | None = None,
) -> DataCheck:
    """Look at what is to be learned from: no weights are needed, and nothing is written.

    Args:
        examples: see ``given_examples.Examples``.
        tokenizer: the model's.
        context_length: the model's, in tokens.
        options: how files and rows are read, and conversations written.
        validation: what is validated on, of which no file is learned from.
        too_long: what training would do with pairs and chats longer than the context. With ``error`` they are counted
            here, and training would refuse the first.
        batch_size: rows of a step.
        seed: of the order.
        transform: what is done with examples before they are learned from, where anything is.

    Raises:
        InputError: what training would refuse for another reason: a file, a row, a value.
    """
    if batch_size < 1:
        raise InputError(f"batch_size = {batch_size}", expected="at least 1")
    options, seen = options or ReadOptions(), SeenExamples()
    look = _Look(tokenizer, context_length, too_long, transform)
    but = paths_in(validation)
    train = look.at(examples, "texts", options, but, repeated=CountRepetitions(seen), seen=seen)
    lengths, in_rows, longest_pair = look.kept, look.places, look.longest_pair
    in_both = CountRepetitions(seen)
    val = None
    if validation is not None:
        val = look.at(validation, "validation", options, [], repeated=None, seen=None, among=in_both)
    epoch = None
    if lengths and train.num_learned:
        places = row_length(longest_pair, sum(lengths), context_length)
        epoch = epoch_of(in_rows, row_length=places, batch_size=batch_size, seed=seed)
    problem = _problem(train, "learn from", context_length, too_long)
    if problem is None and val is not None:
        problem = _problem(val, "validate on", context_length, too_long)
    return DataCheck(train, val, in_both.result(), epoch, batch_size, context_length, too_long, problem)


def _problem(side: SideCheck, purpose: str, context_length: int, too_long: TooLong) -> str | None:
    """Why training would refuse it."""
    if not side.num_examples:
        return f"no text to {purpose}; expected {EXAMPLES}, at least one that is not empty"
    if side.num_too_long and too_long == "error":
        return (
            f"{side.num_too_long:,} of {side.num_examples:,} to {purpose} are longer than {context_length:,} tokens, "
            f"{ROW_LENGTH}, the first in {side.first_too_long}; shorten them, or give --too-long skip or cut"
        )
    if not side.num_learned:
        return f"nothing to learn in what is to {purpose}: every token is read only, or cut off"
    return None


class _Look:
    """Goes through examples once."""

    def __init__(
        self, tokenizer: Tokenizer, context_length: int, too_long: TooLong, transform: Transform | None
    ) -> None:
        self._tokenizer, self._context_length, self._transform = tokenizer, context_length, transform
        self._too_long: TooLong = "skip" if too_long == "error" else too_long
        self.kept: list[int] = []
        """Tokens of each example of the last side, as it is learned from."""
        self.places: list[int] = []
        """Places of a row that each takes."""
        self.longest_pair = 0
        self._num_empty = 0

    def at(
        self,
        given: Any,
        name: str,
        options: ReadOptions,
        but: list[Path],
        *,
        repeated: CountRepetitions | None,
        seen: SeenExamples | None,
        among: CountRepetitions | None = None,
    ) -> SideCheck:
        """One side: what repeats itself is counted by ``repeated``, what is on the other side too by ``among``."""
        self.kept, self.places, self.longest_pair, self._num_empty = [], [], 0, 0
        source = given_examples(given, name, options, but=but)
        examples: Iterable[Example] = source if self._transform is None else self._transform(source)
        files, shown, lengths = Counter[tuple[str, str | None]](), list[ShownExample](), list[int]()
        first_too_long: str | None = None
        counts = Counter[str]()
        for encoded in encode_each(
            self._with_text(examples),
            self._tokenizer,
            max_pair_tokens=self._context_length,
            too_long=self._too_long,
        ):
            example = encoded.example
            files[example.document.source, example.document.format] += 1
            lengths.append(len(encoded.ids))
            if len(shown) < NUM_SHOWN:
                shown.append(_shown(encoded, self._tokenizer))
            if encoded.is_left_out or encoded.num_cut:
                first_too_long = first_too_long or place_of(example)
            self._count(encoded, counts)
            if repeated is not None:
                repeated.see(example)
            if seen is not None:
                seen.add(example)
            if among is not None:
                among.see(example)
        paths = paths_in(given)
        return SideCheck(
            files=tuple(FileFound(source, kind, number) for (source, kind), number in files.items()),
            left_out=describe_left_out(search(paths, but=but).left_out) if paths else "",
            examples=tuple(shown),
            num_examples=len(lengths),
            num_empty=self._num_empty,
            num_null=source.num_null,
            lengths=lengths_of(lengths),
            num_too_long=counts["too long"],
            first_too_long=first_too_long,
            num_cut=counts["cut"],
            num_tokens_cut=counts["tokens cut"],
            num_learned_cut=counts["learned cut"],
            num_read=counts["read"],
            num_learned=counts["learned"],
            repetitions=Repetitions() if repeated is None else repeated.result(),
        )

    def _with_text(self, examples: Iterable[Example]) -> Iterable[Example]:
        for example in examples:
            if example.has_text:
                yield example
            else:
                self._num_empty += 1

    def _count(self, encoded: EncodedExample, counts: Counter[str]) -> None:
        left = encoded.shortened()
        if encoded.is_left_out:
            counts.update({"too long": 1, "tokens cut": len(encoded.ids), "learned cut": encoded.num_learned})
            return
        if encoded.num_cut:
            lost = encoded.num_learned - left.num_learned
            counts.update({"too long": 1, "cut": 1, "tokens cut": encoded.num_cut, "learned cut": lost})
        counts.update({"learned": left.num_learned, "read": len(left.ids) - left.num_learned})
        self.kept.append(len(left.ids))
        self.places.append(len(left.ids) - left.begins_given)
        if left.spans is not None:
            self.longest_pair = max(self.longest_pair, len(left.ids))


def _shown(encoded: EncodedExample, tokenizer: Tokenizer) -> ShownExample:
    """An example in stretches of tokens of one state."""
    states = np.full(len(encoded.ids), 1 if encoded.spans is None else 0)
    for start, stop in encoded.spans or ():
        states[start:stop] = 1
    states[slice(*encoded.cut)] = 2
    if encoded.is_left_out:
        states[:] = 2
    names: tuple[State, State, State] = ("read", "learned", "cut")
    edges = [0, *(np.flatnonzero(np.diff(states)) + 1).tolist(), len(states)]
    parts = tuple(
        (_named(encoded.ids[start:stop], tokenizer), names[int(states[start])])
        for start, stop in itertools.pairwise(edges)
    )
    return ShownExample(place_of(encoded.example), parts, len(encoded.ids), encoded.is_left_out)


def _named(ids: Ids, tokenizer: Tokenizer) -> str:
    """The text of some ids, in which special tokens stand by their names."""
    names = {number: name for name, number in tokenizer.special_ids.items()} | {tokenizer.end_id: tokenizer.eos_text}
    found, held = list[str](), list[int]()
    for number in ids.tolist():
        if number in names:
            found += [tokenizer.decode(held), names[number]]
            held = []
        else:
            held.append(number)
    return "".join([*found, tokenizer.decode(held)])
