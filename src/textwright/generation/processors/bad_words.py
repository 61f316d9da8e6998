"""Rules out texts, however they are cut into tokens."""

import bisect
from collections.abc import Sequence

from textwright.generation.processors.base import RULED_OUT, Logits, LogitsProcessor
from textwright.generation.request import SamplingConfig
from textwright.generation.token_history import TokenHistory
from textwright.tokens.tokenizer import Tokenizer


class BadWords:
    """Rules out tokens with which a bad word would be complete::

        bad "cat"     text "a c"    rules out "at", "ate", ... which begin with the rest of the word
                         any text      rules out "cat", "scat", ... which hold it

    It compares bytes: UTF-8 holds a word's bytes only where the text holds the word, however they are cut into tokens.
    The end token has no bytes, and is never ruled out.

    Args:
        words: texts that are not empty.
        token_bytes: the bytes of each id.
    """

    def __init__(self, words: Sequence[str], token_bytes: Sequence[bytes]) -> None:
        bad = [word.encode() for word in dict.fromkeys(words)]
        self._token_bytes, self._longest_beginning = token_bytes, max(map(len, bad)) - 1
        self._always = [index for index, raw in enumerate(token_bytes) if any(word in raw for word in bad)]
        in_order = sorted((raw, index) for index, raw in enumerate(token_bytes))
        # beginning of a word -> tokens that begin with the rest of it
        self._after: dict[bytes, list[int]] = {}
        for word in bad:
            for cut in range(1, len(word)):
                self._after.setdefault(word[:cut], []).extend(_that_begin_with(word[cut:], in_order))

    def __call__(self, logits: Logits, histories: Sequence[TokenHistory], /) -> Logits:
        """The logits without those tokens."""
        logits = logits.clone()
        logits[:, self._always] = RULED_OUT
        for index, history in enumerate(histories):
            logits[index, self._completing(history)] = RULED_OUT
        return logits

    def _completing(self, history: TokenHistory) -> list[int]:
        """The tokens that would complete a word whose beginning the text ends with."""
        end = b""
        for token_id in history.backwards():
            if len(end) >= self._longest_beginning:
                break
            end = self._token_bytes[token_id] + end
        found: list[int] = []
        for length in range(1, min(len(end), self._longest_beginning) + 1):
            found.extend(self._after.get(end[-length:], ()))
        return found


def _that_begin_with(start: bytes, in_order: Sequence[tuple[bytes, int]]) -> list[int]:
    """The ids of the tokens that begin with ``start``, from tokens in the order of their bytes."""
    first = bisect.bisect_left(in_order, (start, 0))
    last = bisect.bisect_left(in_order, True, lo=first, key=lambda token: not token[0].startswith(start))
    return [index for _, index in in_order[first:last]]


def make_bad_words(sampling: SamplingConfig, tokenizer: Tokenizer) -> LogitsProcessor | None:
    return BadWords(sampling.bad_words, tokenizer.token_bytes) if sampling.bad_words else None
