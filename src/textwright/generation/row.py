"""One completion while it is written: what any engine reads, and where it puts what it chose. Torch-free."""

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from textwright.core.errors import InputError
from textwright.core.seeds import hash_u64
from textwright.generation.constraints import Constraint
from textwright.generation.request import CONSTRAINT, EOS, Completion, FinishReason, SamplingConfig, TokenReport
from textwright.generation.stopping import StopStrings
from textwright.generation.text_index import Ids, TextIndex
from textwright.tokens.tokenizer import Tokenizer


def window_start(num_tokens: int, context_length: int) -> int:
    """How many of the first tokens the model no longer sees when it predicts the one after ``num_tokens``.

    The window moves by half the context at a time, whenever it is full. Where it begins depends on the number of
    tokens alone, so a text that was begun as a prompt goes on as one that was written in one go.

    ::

        context 8      tokens 8   [abcdefgh]
                       tokens 9    abcd[efghi]
                       tokens 12   abcd[efghijkl]
                       tokens 13   abcdefgh[ijklm]
    """
    step = max(1, context_length // 2)
    too_many = max(0, num_tokens - context_length)
    return -(-too_many // step) * step


@dataclass(frozen=True)
class Written:
    """What filters look at of a text: a row's, or one that is only being thought of.

    Attributes:
        index: of the row's text.
        thought: ids after it that are only being thought of, a few.
        constraint: which tokens may follow; None where any may.
    """

    index: TextIndex
    thought: tuple[int, ...] = ()
    constraint: Constraint | None = None

    def followed_by(self, token_id: int, end_id: int) -> "Written | None":
        """The text with one more token; None where the constraint does not allow it, or the text ends with it."""
        constraint = self.constraint
        if token_id == end_id:
            return None
        if constraint is not None:
            if not constraint.allows(token_id):
                return None
            constraint = constraint.copy()
            constraint.push(token_id)
        return Written(self.index, (*self.thought, token_id), constraint)

    def backwards(self) -> Iterator[int]:
        """The ids of prompt and text, the last one first."""
        yield from reversed(self.thought)
        yield from reversed(self.index.ids)

    def seen_ids(self) -> Ids:
        """The different ids of prompt and text; one that is being thought of may come again."""
        return np.append(self.index.counts(0)[0], np.array(self.thought, np.int64))

    def counts_of_new(self) -> tuple[Ids, Ids]:
        """The ids of the text, the prompt left aside, and how often each comes: where one comes again, the sum."""
        ids, times = self.index.counts(self.index.num_prompt_ids)
        thought = np.array(self.thought, np.int64)
        return np.append(ids, thought), np.append(times, np.ones_like(thought))

    def repeats(self, n: int) -> list[int]:
        """The tokens with which the last n tokens would be there a second time."""
        if n == 1:
            return [int(token_id) for token_id in self.seen_ids()]
        end = [*itertools.islice(self.backwards(), n - 1 + len(self.thought))][::-1]
        run = end[max(0, len(end) - (n - 1)) :]
        if len(run) < n - 1:
            return []
        first = len(end) - len(self.thought)
        follow_run = (place for place in range(max(first, n - 1), len(end)) if end[place - (n - 1) : place] == run)
        return [*self.index.followers(run), *(end[place] for place in follow_run)]


def check_fits(rows: Sequence["Row"], sampling: SamplingConfig, context_length: int) -> None:
    """See that rows never outgrow the context: a search compares texts that the model sees from their beginning.

    Raises:
        InputError: a prompt and its new tokens are more than the context holds.
    """
    longest = max((len(row.ids) for row in rows), default=0)
    room = context_length - longest
    if sampling.max_new_tokens > room:
        fewer = f"set max_new_tokens to at most {room:,}, " if room > 0 else ""
        raise InputError(
            f"a prompt of {longest:,} tokens and {sampling.max_new_tokens:,} new ones in a context of "
            f"{context_length:,}, which does not slide in a search",
            fix=f"{fewer}shorten the prompt, or leave out {sampling.search_setting}",
        )


class Row:
    """A prompt and the tokens chosen so far, as ids and as text.

    An engine reads ``window``, or ``ids[-1]`` while ``starts_at`` stays, and calls ``push`` until ``is_open`` is
    false.

    Attributes:
        index: the ids of the prompt and the text.
        num_prompt_ids: how many of them are the prompt's.
        end_id: the end token.
        constraint: which tokens may follow; None where any may.

    Args:
        prompt: the text to continue; an empty one begins a document, so it is read as the end token.
        sample: which of the prompt's completions this is.
        on_text: called with each new piece of text as soon as it is certain.
        constraint: what the text must be, at its beginning; the row takes a copy. One that nothing can meet ends the
            row at once.
    """

    def __init__(
        self,
        prompt: str,
        sample: int,
        tokenizer: Tokenizer,
        sampling: SamplingConfig,
        on_text: Callable[[str], None],
        constraint: Constraint | None = None,
    ) -> None:
        ids = tokenizer.encode(prompt) or [tokenizer.end_id]
        self.index, self.num_prompt_ids = TextIndex(ids, len(ids)), len(ids)
        self.finish_reason: FinishReason | None = None
        self.stop_reason: str | None = None
        self._prompt, self._sample, self._sampling, self._on_text = prompt, sample, sampling, on_text
        self.end_id = tokenizer.end_id
        self._decoder, self._stops = tokenizer.stream(), StopStrings(sampling.stop)
        self._pieces: list[str] = []
        self._log_p = 0.0
        self._reports: list[TokenReport] = []
        self.constraint = constraint.copy() if constraint is not None else None
        self._finish_if_nothing_can_follow()

    @property
    def ids(self) -> list[int]:
        """Of the prompt and the text."""
        return self.index.ids

    @property
    def written(self) -> Written:
        """Its text, for the filters."""
        return Written(self.index, constraint=self.constraint)

    @property
    def num_new(self) -> int:
        """How many tokens have been chosen."""
        return len(self.ids) - self.num_prompt_ids

    @property
    def is_open(self) -> bool:
        """Whether it wants another token."""
        return self.finish_reason is None

    def starts_at(self, context_length: int) -> int:
        """The place of the first token that the model sees."""
        return window_start(len(self.ids), context_length)

    def window(self, context_length: int) -> list[int]:
        """The ids that the model sees: at most ``context_length``."""
        return self.ids[self.starts_at(context_length) :]

    def uniform(self, purpose: str = "sampling", ahead: int = 0) -> float:
        """The random number that the token ``ahead`` of the next is drawn with, in [0, 1).

        A hash of (purpose, seed, sample, position), so that it depends on nothing else that is going on.
        """
        return (hash_u64(purpose, self._sampling.seed, self._sample, self.num_new + ahead) >> 11) * 2.0**-53

    def push(self, token_id: int, log_p: float, report: TokenReport | None = None) -> None:
        """The next token, as chosen; its log-probability as the model saw it; what else there was to choose."""
        assert self.is_open, "the completion has ended"
        self.ids.append(token_id)
        self._log_p += log_p
        if report is not None:
            self._reports.append(report)
        if token_id == self.end_id:
            # Filters can rule out all that a constraint allows, and leave the end token as the only way out.
            self._finish("stop", EOS if self.constraint is None or self.constraint.is_met else CONSTRAINT)
            return
        if self.constraint is not None:
            self.constraint.push(token_id)
        self._write(self._decoder.push(token_id))
        self._finish_if_nothing_can_follow()
        if self.is_open and self.num_new == self._sampling.max_new_tokens:
            self._finish("length")

    def fork(self) -> "Row":
        """A copy that goes its own way and shows its text to nobody: a search tries tokens on it."""
        fork = copy.copy(self)
        fork.index, fork._pieces, fork._reports = self.index.copy(), self._pieces.copy(), self._reports.copy()
        fork._decoder, fork._stops = self._decoder.fork(), copy.copy(self._stops)
        fork._on_text = lambda _text: None
        fork.constraint = self.constraint.copy() if self.constraint is not None else None
        return fork

    def completion(self, context_length: int) -> Completion:
        """The result, once it is no longer open."""
        assert self.finish_reason is not None, "the completion is still being written"
        return Completion(
            prompt=self._prompt,
            text="".join(self._pieces),
            token_ids=tuple(self.ids[self.num_prompt_ids :]),
            logprob=self._log_p,
            reports=tuple(self._reports),
            finish_reason=self.finish_reason,
            stop_reason=self.stop_reason,
            context_shifted=window_start(len(self.ids) - 1, context_length) > 0,
        )

    def _write(self, text: str) -> None:
        self._show(self._stops.push(text))
        if self._stops.found is not None:
            self.finish_reason, self.stop_reason = "stop", self._stops.found

    def _finish_if_nothing_can_follow(self) -> None:
        if self.is_open and self.constraint is not None and not self.constraint.can_go_on:
            self._finish("stop", EOS if self.constraint.is_met else CONSTRAINT)

    def _finish(self, reason: FinishReason, stop_reason: str | None = None) -> None:
        self._write(self._decoder.flush())
        if self.is_open:
            self._show(self._stops.flush())
            self.finish_reason, self.stop_reason = reason, stop_reason

    def _show(self, text: str) -> None:
        if text:
            self._pieces.append(text)
            self._on_text(text)
