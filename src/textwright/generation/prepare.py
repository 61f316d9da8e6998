"""From a request to what decodes it: its sequences, their settings, and what it is about."""

from collections.abc import Callable, Hashable
from collections.abc import Sequence as Several
from dataclasses import dataclass
from functools import partial

import torch

from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.generation.constraints import Constraint, compile_constraint
from textwright.generation.decoding import Decoding
from textwright.generation.processors.catalog import SamplingPipeline
from textwright.generation.request import Request, SamplingConfig
from textwright.generation.sequence import Sequence, check_fits
from textwright.generation.speculative import Speculation
from textwright.generation.strategies import STRATEGIES
from textwright.models.protocols import Decoder
from textwright.tokens.tokenizer import Tokenizer

MAX_KEPT_SETTINGS = 256
"""Settings whose processors and constraint are kept for the next request that has them."""
OWN_FIELDS = {"seed", "n", "stop", "max_new_tokens"}
"""What a sequence's pipeline and constraint do not depend on."""


@dataclass
class Prepared:
    """A request with all that its decoding needs.

    Attributes:
        decodings: its clients: one a sample where samples are drawn each for itself, else one.
        source: what its texts are about, a batch of one row.
        source_key: equal where two requests are about the same.
        deadline_s: see ``Request``.
        number: given by the scheduler.
    """

    decodings: list[Decoding]
    source: Batch | None
    source_key: Hashable
    deadline_s: float | None
    number: int = -1


class Preparer:
    """Checks requests against a model, and makes their sequences."""

    def __init__(self, decoder: Decoder, tokenizer: Tokenizer, speculation: Speculation | None) -> None:
        """
        Args:
            decoder: what will decode them.
            tokenizer: the model's own.
            speculation: how to guess ahead; None where nobody does.

        Raises:
            InputError: a tokenizer that is not the model's, or a decoder that cannot take back a guess.
        """
        if tokenizer.vocab_size > decoder.vocab_size:
            raise InputError(
                f"a tokenizer of {tokenizer.vocab_size:,} tokens for a model of {decoder.vocab_size:,}",
                fix="use the tokenizer that the model was trained with",
            )
        if speculation is not None and not decoder.can_crop:
            raise InputError("guessing ahead with a model that cannot take back what it has read", fix="leave it out")
        self._decoder, self._tokenizer, self._speculation = decoder, tokenizer, speculation
        self._settings: dict[str, tuple[SamplingPipeline, Constraint | None]] = {}

    def prepare(self, request: Request, on_text: Callable[[int, str], None]) -> Prepared:
        """Check a request and make what decodes it.

        Args:
            request: see there.
            on_text: called with (sample, text) as text becomes certain.

        Raises:
            InputError: see ``generate``.
        """
        sampling, ids = request.sampling, self._prompt_ids(request)
        if self._speculation is not None and sampling.strategy != "sample":
            raise InputError(f"guessing ahead with {sampling.search_setting}", fix="leave one of them out")
        pipeline, constraint = self.settings(sampling)
        prompt = request.prompt if isinstance(request.prompt, str) else request.shown
        prompt = self._tokenizer.decode(ids) if prompt is None else prompt
        sequences = [
            Sequence(prompt, ids, sample, self._tokenizer, sampling, pipeline, partial(on_text, sample), constraint)
            for sample in range(sampling.n)
        ]
        source, key = self._source(request)
        room = self._decoder.context_length - (source.prefix.shape[1] if source and source.prefix is not None else 0)
        if room < 1:
            raise InputError("a prefix that fills the context", expected=f"less than {self._decoder.context_length:,}")
        if sampling.strategy != "sample":
            check_fits(sequences[0], room)
        decodings = self._decodings(sampling, sequences)
        for decoding in decodings:
            decoding.context_length = room
        return Prepared(decodings, source, key, request.deadline_s)

    def _decodings(self, sampling: SamplingConfig, sequences: list[Sequence]) -> list[Decoding]:
        vocab_size = self._tokenizer.vocab_size
        if self._speculation is not None:
            return [self._speculation.decoding(sequence, vocab_size) for sequence in sequences]
        kind = STRATEGIES[sampling.strategy]
        if sampling.strategy == "sample":
            return [kind([sequence], vocab_size) for sequence in sequences]
        return [kind(sequences, vocab_size)]

    def _prompt_ids(self, request: Request) -> list[int]:
        if isinstance(request.prompt, str):
            _check_text(request.prompt, "the prompt")
            ids = self._tokenizer.encode(request.prompt, special_tokens=request.special_tokens)
            return [*self._tokenizer.begin_ids, *ids] or [self._tokenizer.end_id]
        return self._checked(request.prompt, "the prompt")

    def _checked(self, ids: Several[int], what: str) -> list[int]:
        if not ids:
            raise InputError(f"{what} has no token", expected="at least one; an empty text begins a document")
        wrong = [token_id for token_id in ids if not 0 <= token_id < self._tokenizer.vocab_size]
        if wrong:
            raise InputError(f"{what} has the id {wrong[0]}", expected=f"0 to {self._tokenizer.vocab_size - 1:,}")
        return list(ids)

    def _source(self, request: Request) -> tuple[Batch | None, Hashable]:
        """What the texts are about, as the model wants it."""
        needs = self._decoder.conditioning
        given = {"source_ids": request.source, "prefix": request.prefix}
        for name, value in given.items():
            option = name.removesuffix("_ids")
            if value is None and needs == name:
                raise InputError(f"no {option} for a model that needs one", fix=f"give the request a {option}")
            if value is not None and needs != name:
                raise InputError(f"a {option} for a model that reads none", fix="leave it out, or use another model")
        batch = Batch.for_inputs(torch.zeros((1, 1), dtype=torch.int64))
        if needs is None:
            return None, None
        if needs == "prefix":
            return batch.with_fields(prefix=request.prefix[None]).to(self._decoder.device), id(request.prefix)
        assert request.source is not None
        if isinstance(request.source, str):
            _check_text(request.source, "the source")
            ids = self._tokenizer.encode(request.source, special_tokens=request.special_tokens)
            ids = ids or [self._tokenizer.end_id]
        else:
            ids = self._checked(request.source, "the source")
        source_ids = torch.tensor([ids])
        batch = batch.with_fields(source_ids=source_ids, source_mask=torch.ones_like(source_ids))
        return batch.to(self._decoder.device), tuple(ids)

    def settings(self, sampling: SamplingConfig) -> tuple[SamplingPipeline, Constraint | None]:
        """The pipeline and the constraint of settings; of equal ones the same.

        Raises:
            InputError: a bias for what is no token, or a constraint that cannot be used.
        """
        key = sampling.model_dump_json(exclude=OWN_FIELDS)
        if key not in self._settings:
            made = SamplingPipeline.of(sampling, self._tokenizer), compile_constraint(sampling, self._tokenizer)
            for token_id in sampling.stop_token_ids:
                if token_id >= self._tokenizer.vocab_size:
                    last = self._tokenizer.vocab_size - 1
                    raise InputError(f"stop_token_ids has {token_id}", expected=f"ids of tokens, 0 to {last:,}")
            while len(self._settings) >= MAX_KEPT_SETTINGS:
                del self._settings[next(iter(self._settings))]
            self._settings[key] = made
        return self._settings[key]


def _check_text(text: str, what: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{what} holds bytes that are not UTF-8", expected="text", fix="re-type it")
