"""One text while it is written: its prompt, what was chosen so far, and how the next token is chosen."""

import copy
from collections.abc import Callable, Iterable

from textwright.core.errors import InputError
from textwright.core.seeds import hash_u64
from textwright.generation.constraints import Constraint
from textwright.generation.processors.catalog import SamplingPipeline
from textwright.generation.request import (
    ABORT,
    CONSTRAINT,
    EOS,
    Completion,
    FinishReason,
    SamplingConfig,
    TokenLogprobs,
)
from textwright.generation.stopping import StopStrings
from textwright.generation.text_index import TextIndex
from textwright.generation.token_history import TokenHistory
from textwright.tokens.tokenizer import Tokenizer

CONTEXT_OF_TEXT = 16
"""Tokens of a prompt that the beginning of a text may depend on: whether it begins with a space."""


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


class Sequence:
    """A prompt and the tokens chosen so far, as ids and as text, with settings of its own.

    Attributes:
        index: the ids of the prompt and the text.
        num_prompt_ids: how many of them are the prompt's.
        sampling: how its tokens are chosen.
        pipeline: what becomes of its logits; sequences of equal settings share one.
        end_ids: the tokens that end it.
        constraint: which tokens may follow; None where any may.

    Args:
        prompt: as it was given, for the completion.
        ids: of the prompt, at least one.
        sample: which of the prompt's completions this is.
        on_text: called with each new piece of text as soon as it is certain.
        constraint: what the text must be, at its beginning; the sequence takes a copy. One that nothing can meet ends
            it at once.
    """

    def __init__(
        self,
        prompt: str,
        ids: Iterable[int],
        sample: int,
        tokenizer: Tokenizer,
        sampling: SamplingConfig,
        pipeline: SamplingPipeline,
        on_text: Callable[[str], None],
        constraint: Constraint | None = None,
    ) -> None:
        ids = list(ids)
        self.index, self.num_prompt_ids = TextIndex(ids, len(ids)), len(ids)
        self.sampling, self.pipeline = sampling, pipeline
        self.finish_reason: FinishReason | None = None
        self.stop_reason: str | None = None
        self.end_ids = frozenset({*tokenizer.end_ids, *sampling.stop_token_ids})
        self._prompt, self._sample, self._on_text = prompt, sample, on_text
        self._decoder, self._stops = tokenizer.stream(ids[-CONTEXT_OF_TEXT:]), StopStrings(sampling.stop)
        self._pieces: list[str] = []
        self._logprob = 0.0
        self._reports: list[TokenLogprobs] = []
        self.constraint = constraint.copy() if constraint is not None else None
        self._finish_if_nothing_can_follow()

    @property
    def ids(self) -> list[int]:
        """Of the prompt and the text."""
        return self.index.ids

    @property
    def history(self) -> TokenHistory:
        """Its text, for logits processors."""
        return TokenHistory(self.index, constraint=self.constraint)

    @property
    def num_new_tokens(self) -> int:
        """How many tokens have been chosen."""
        return len(self.ids) - self.num_prompt_ids

    @property
    def is_open(self) -> bool:
        """Whether it wants another token."""
        return self.finish_reason is None

    def uniform(self, purpose: str = "sampling", offset: int = 0) -> float:
        """The random number that the token ``offset`` after the next is drawn with, in [0, 1).

        A hash of (purpose, seed, sample, position), so that it depends on nothing else that is going on.
        """
        return (hash_u64(purpose, self.sampling.seed, self._sample, self.num_new_tokens + offset) >> 11) * 2.0**-53

    def append(self, token_id: int, logprob: float, report: TokenLogprobs | None = None) -> None:
        """The next token, as chosen; its log-probability as the model saw it; what else there was to choose."""
        assert self.is_open, "the completion has ended"
        self.ids.append(token_id)
        self._logprob += logprob
        if report is not None:
            self._reports.append(report)
        if token_id in self.end_ids:
            # Processors can rule out all that a constraint allows, and leave the end token as the only way out.
            self._finish("stop", EOS if self.constraint is None or self.constraint.is_accepting else CONSTRAINT)
            return
        if self.constraint is not None:
            self.constraint.push(token_id)
        self._write(self._decoder.push(token_id))
        self._finish_if_nothing_can_follow()
        if self.is_open and self.num_new_tokens == self.sampling.max_new_tokens:
            self._finish("length")

    def abort(self, reason: str) -> None:
        """End it here, for a reason outside of the text."""
        if self.is_open:
            self._finish(ABORT, reason)

    def fork(self) -> "Sequence":
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
            logprob=self._logprob,
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
        if self.is_open and self.constraint is not None and not self.constraint.has_next:
            self._finish("stop", EOS if self.constraint.is_accepting else CONSTRAINT)

    def _finish(self, reason: FinishReason, stop_reason: str | None = None) -> None:
        self._write(self._decoder.flush())
        if self.is_open:
            self._show(self._stops.flush())
            self.finish_reason, self.stop_reason = reason, stop_reason

    def _show(self, text: str) -> None:
        if text:
            self._pieces.append(text)
            self._on_text(text)


def check_fits(sequence: Sequence, context_length: int) -> None:
    """See that a text never outgrows the context: a search compares texts that the model sees from their beginning.

    Raises:
        InputError: the prompt and its new tokens are more than the context holds.
    """
    sampling, num_prompt_ids = sequence.sampling, sequence.num_prompt_ids
    room = context_length - num_prompt_ids
    if sampling.max_new_tokens > room:
        fewer = f"set max_new_tokens to at most {room:,}, " if room > 0 else ""
        raise InputError(
            f"a prompt of {num_prompt_ids:,} tokens and {sampling.max_new_tokens:,} new ones in a context of "
            f"{context_length:,}, which does not slide in a search",
            fix=f"{fewer}shorten the prompt, or leave out {sampling.search_setting}",
        )
