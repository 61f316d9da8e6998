"""The requests of EleutherAI's lm-evaluation-harness (lm-eval), answered by our scoring and our scheduler.

::

    loglikelihood          (context, continuation) --> log-probability, and whether it is what greedy decoding writes
    loglikelihood_rolling  a text of any length    --> log-probability, window by window
    generate_until         (context, settings)     --> text

Texts are cut into tokens and windows as lm-eval's own class for transformers does it (0.4.13), so that figures are the
same. lm-eval itself is not needed here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from textwright.core.errors import InputError, unknown_name
from textwright.evaluation.language_modelling import windows_of
from textwright.generation.generate import generate
from textwright.generation.request import Request, SamplingConfig
from textwright.generation.scoring import ScoredText, score
from textwright.models.protocols import Decoder
from textwright.tokens import Tokenizer

MAX_NEW_TOKENS = 256
"""Where a request does not say how many."""
_LIMITS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed")


class HarnessRequests:
    """Answers requests with one model.

    Args:
        decoder: scores and writes.
        tokenizer: the model's.
        batch_size: texts that are scored side by side.
    """

    def __init__(self, decoder: Decoder, tokenizer: Tokenizer, *, batch_size: int = 8) -> None:
        self._decoder, self._tokenizer, self._batch_size = decoder, tokenizer, batch_size

    def loglikelihood(self, requests: Sequence[tuple[str, str]]) -> Iterator[tuple[float, bool]]:
        """Of each continuation its log-probability in nats, and whether each of its tokens is the likeliest.

        Raises:
            InputError: a continuation of no token, or longer than the context.
        """
        texts = (self._scored(context, continuation) for context, continuation in requests)
        for scores in score(self._decoder, texts, batch_size=self._batch_size):
            yield float(scores.logprobs.double().sum()), bool(scores.is_likeliest.all())

    def loglikelihood_rolling(self, texts: Sequence[str]) -> Iterator[float]:
        """Of each text its log-probability in nats, after the end token."""
        windows = [rolling_texts(self._decoder, self._tokenizer, text) for text in texts]
        flat = (window for some in windows for window in some)
        found = score(self._decoder, flat, batch_size=self._batch_size)
        for some in windows:
            yield sum(float(next(found).logprobs.double().sum()) for _ in some)

    def generate_until(self, requests: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
        """Of each context what follows it, greedy where nothing else is asked for.

        Raises:
            InputError: a setting that is not known, or outside its range.
        """
        made = [self._request(context, settings) for context, settings in requests]
        if not made:
            return []
        return [one.text for one in generate(self._decoder, self._tokenizer, made, SamplingConfig())]

    def _scored(self, context: str, continuation: str) -> ScoredText:
        given, scored = encode_pair(self._tokenizer, context, continuation)
        try:
            return within_context(given or self._tokenizer.before_text[-1:], scored, self._decoder.context_length)
        except ValueError as error:
            expected = f"1 to {self._decoder.context_length:,}"
            raise InputError(f"{error}", where=f"the continuation {continuation[:40]!r}", expected=expected) from None

    def _request(self, context: str, settings: Mapping[str, Any]) -> Request:
        sampling = sampling_of(settings)
        room = max(1, self._decoder.context_length - sampling.max_new_tokens)
        ids = self._tokenizer.encode(context)[-room:]
        return Request(ids or list(self._tokenizer.before_text[-1:]), sampling)


def sampling_of(settings: Mapping[str, Any]) -> SamplingConfig:
    """How a text is written, from the settings of a request.

    Args:
        settings: ``until``, a text or several; ``max_gen_toks`` or what else it is called; ``do_sample``; and, where it
            is true, ``temperature``, ``top_k`` and such.

    Raises:
        InputError: another setting, or one outside its range.
    """
    left = dict(settings)
    until = left.pop("until", None) or []
    stop = tuple(text for text in ([until] if isinstance(until, str) else until) if text)
    limits = [left.pop(name) for name in _LIMITS if left.get(name) is not None]
    does_sample = left.pop("do_sample", None)
    unknown = next((name for name in left if name not in (*_SAMPLING, *_LIMITS)), None)
    if unknown is not None:
        raise unknown_name("setting", unknown, ("until", "do_sample", *_LIMITS, *_SAMPLING))
    values: dict[str, Any] = {name: left[name] for name in _SAMPLING if left.get(name) is not None}
    if does_sample is False or (does_sample is None and not values.get("temperature")):
        values = {name: value for name, value in values.items() if name in ("repetition_penalty", "seed")}
        values["temperature"] = 0.0
    values.setdefault("temperature", 1.0)
    return SamplingConfig(stop=stop, max_new_tokens=limits[0] if limits else MAX_NEW_TOKENS, **values)


def encode_pair(tokenizer: Tokenizer, context: str, continuation: str) -> tuple[list[int], list[int]]:
    """The tokens of a text in two parts: spaces at the context's end go over to the continuation, which has the tokens
    of the whole that are beyond the context's number."""
    stripped = context.rstrip()
    if not stripped:
        return [], tokenizer.encode(context + continuation)
    continuation = context[len(stripped) :] + continuation
    given = tokenizer.encode(stripped)
    return given, tokenizer.encode(stripped + continuation)[len(given) :]


def within_context(given: Iterable[int], scored: Sequence[int], context_length: int) -> ScoredText:
    """What is given and what is scored, of which a model sees the end where both are longer than its context.

    Raises:
        ValueError: what is scored alone does not fit, or there is nothing.
    """
    ids = [*given, *scored][-(context_length + 1) :]
    if not 0 < len(scored) < len(ids):
        raise ValueError(f"{len(scored):,} tokens to score")
    return ScoredText(ids, len(ids) - len(scored))


def rolling_texts(model: Decoder, tokenizer: Tokenizer, text: str) -> list[ScoredText]:
    """The windows that a text is read in: each begins with the last token of the one before, the first with the end
    token; the last one goes back as far as it can."""
    ids = [*tokenizer.before_text[-1:], *tokenizer.encode(text)]
    return list(windows_of(ids, model.context_length, model.context_length))
