"""Last-word prediction: does the model see how a passage must end?"""

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from textwright.core.errors import InputError
from textwright.generation.scoring import ScoredText, score
from textwright.models.protocols import Decoder
from textwright.tokens import Tokenizer


@dataclass(frozen=True)
class LastWordScore:
    """How often the last word was predicted."""

    accuracy: float
    """Share of passages whose last word, all its tokens, is what the model finds likeliest."""
    perplexity: float
    """exp of the mean loss of a last word, in nats per word."""
    num_passages: int

    def as_json(self) -> dict[str, Any]:
        """The figures by name."""
        return asdict(self)


def last_word_accuracy(
    model: Decoder,
    tokenizer: Tokenizer,
    passages: Iterable[str],
    *,
    rows: int = 16,
    progress: Callable[[int], None] | None = None,
) -> LastWordScore:
    """Predict the last word of each passage from what is before it.

    The word is what follows the last space; it counts as predicted when each of its tokens is the likeliest given
    those before it. Passages longer than the context keep their end.

    Raises:
        InputError: no passage, or one of a single word.

    Source: Paperno et al. 2016 (arXiv:1606.06031); scored as in Radford et al. 2019, without its stop-word filter.
    """
    hits, total, count = 0, 0.0, 0
    texts = (_as_scored(passage, tokenizer, model.context_length) for passage in passages)
    for scores in score(model, texts, batch_size=rows):
        hits += int(bool(scores.is_likeliest.all()))
        total -= float(scores.logprobs.double().sum())
        count += 1
        if progress is not None:
            progress(count)
    if not count:
        raise InputError("no passage", expected="at least one")
    return LastWordScore(hits / count, math.exp(min(total / count, 700.0)), count)


def _as_scored(passage: str, tokenizer: Tokenizer, context_length: int) -> ScoredText:
    before, _, word = passage.rstrip().rpartition(" ")
    if not before or not word:
        raise InputError(f"the passage {passage[:40]!r} has no last word", expected="at least two words")
    start, whole = tokenizer.encode(before), tokenizer.encode(f"{before} {word}")
    is_plain = whole[: len(start)] == start and len(whole) > len(start)
    end = whole[len(start) :] if is_plain else tokenizer.encode(" " + word)
    ids = [*tokenizer.before_text, *start, *end][-(context_length + 1) :]
    if len(end) >= len(ids):
        raise InputError(f"the word {word[:40]!r} alone fills the context", expected="a shorter last word")
    return ScoredText(ids, len(ids) - len(end))
