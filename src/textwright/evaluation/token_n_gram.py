"""A 5-gram model of tokens by interpolated Kneser-Ney: what counting the training text gives, as a yardstick.

::

    p_n(w | h) = (c(h w) - D(c)) / c(h)  +  sum of D over all w after h / c(h) x p_(n-1)(w | h without its first)
    p_0(w)     = 1 / tokens of the vocabulary

Of the longest sequences ``c`` is how often they stand in the text; of shorter ones, how many different tokens stand
before them. The discount ``D`` of what was counted once, twice or more often follows from how many there are of each.

Source: Kneser and Ney 1995, "Improved backing-off for m-gram language modeling"; the three discounts, Chen and Goodman
1999, "An empirical study of smoothing techniques for language modeling".
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int

from textwright.data.dataset import TokenDataset
from textwright.tokens import Tokenizer

LENGTH = 5
COUNTED_TOKENS = 1 << 24
"""That are counted: about ten seconds, and two gigabytes while they are."""
DISCOUNT = 0.75
"""Where too few sequences were counted once to four times to say better."""
UNKNOWN = -1

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Order:
    """The different sequences of one length, numbered in order.

    Attributes:
        keys: of each sequence, its context's number times the vocabulary's size, and its last token; sorted.
        counts: of each; see ``c`` above.
        totals: of each context, the sum of the counts of what follows.
        rest: of each context, the share of the sum that discounts take away.
        discounts: of counts of 0, 1, 2 and more.
    """

    keys: Counts
    counts: Counts
    totals: npt.NDArray[np.float64]
    rest: npt.NDArray[np.float64]
    discounts: npt.NDArray[np.float64]

    def number(self, keys: Counts) -> Counts:
        """Which sequences have such keys; UNKNOWN where none has."""
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, places, UNKNOWN)


class TokenNGram:
    """Counts a text once, and predicts others.

    Args:
        ids: of the text, documents one after the other.
        vocab_size: ids are below it.
        length: tokens of the longest sequence that is counted, the predicted one among them.
    """

    def __init__(self, ids: Int[np.ndarray, " tokens"], vocab_size: int, length: int = LENGTH) -> None:
        self._vocab_size = vocab_size
        found, suffixes = list[tuple[Counts, Counts]](), list[Counts]()
        before, ids = np.zeros(len(ids), np.int64), ids.astype(np.int64)  # of each place, the sequence that ends there
        for n in range(1, length + 1):
            if len(ids) < n:
                break
            contexts = before[:-1] if n > 1 else before
            last = before[1:] if n > 1 else None
            keys, firsts, before, counts = np.unique(
                contexts * vocab_size + ids[n - 1 :], return_index=True, return_inverse=True, return_counts=True
            )
            found.append((keys, counts))
            if last is not None:
                suffixes.append(last[firsts])
        for n, shorter in enumerate(suffixes):
            found[n] = found[n][0], np.bincount(shorter, minlength=len(found[n][0]))
        sizes = [1, *(len(keys) for keys, _ in found)]
        self._orders = [_order(*one, vocab_size, size) for one, size in zip(found, sizes, strict=False)]

    def logprobs(self, ids: Int[np.ndarray, " tokens"]) -> Float[np.ndarray, " tokens-1"]:
        """Natural logarithms of the probabilities of all tokens but the first, each after those before it."""
        ids = ids.astype(np.int64)
        p, context = np.full(len(ids), 1 / self._vocab_size), np.zeros(len(ids), np.int64)
        for order in self._orders:
            number = np.where(context == UNKNOWN, UNKNOWN, order.number(context * self._vocab_size + ids))
            known = (context != UNKNOWN) & (order.totals[context] > 0)
            here = context[known]
            counts = np.where(number == UNKNOWN, 0, order.counts[number])[known]
            kept = counts - order.discounts[np.minimum(counts, 3)]
            p[known] = kept / order.totals[here] + order.rest[here] * p[known]
            context = np.concatenate(([UNKNOWN], number[:-1]))
        found: npt.NDArray[np.float64] = np.log(p[1:])
        return found


def n_gram_bits_per_byte(tokens: TokenDataset, texts: Iterable[str], tokenizer: Tokenizer) -> dict[str, float]:
    """Bits per byte of texts, each from its own start, after the tokens have been counted; by a name that says so.

    Args:
        tokens: of the training text; of a very long one the first ``COUNTED_TOKENS``.
        texts: others.
        tokenizer: made the tokens.
    """
    count = min(tokens.num_tokens, COUNTED_TOKENS)
    model, logprob, num_bytes = TokenNGram(tokens.read(0, count), tokenizer.vocab_size), 0.0, 0
    for text in texts:
        ids = np.array([*tokenizer.before_text, *tokenizer.encode(text)])
        logprob, num_bytes = logprob + float(model.logprobs(ids).sum()), num_bytes + len(text.encode())
    if not num_bytes:
        return {}
    of_what = "the same tokens" if count == tokens.num_tokens else f"the first {count:,} tokens"
    return {f"{LENGTH}-gram of {of_what}": -logprob / math.log(2) / num_bytes}


def _order(keys: Counts, counts: Counts, vocab_size: int, num_contexts: int) -> _Order:
    contexts, discounts = keys // vocab_size, _discounts(counts)
    totals = np.bincount(contexts, weights=counts, minlength=num_contexts).astype(np.float64)
    taken = np.bincount(contexts, weights=discounts[np.minimum(counts, 3)], minlength=num_contexts)
    return _Order(keys, counts, totals, taken / np.maximum(totals, 1), discounts)


def _discounts(counts: Counts) -> npt.NDArray[np.float64]:
    one, two, three, four = (int((counts == times).sum()) for times in (1, 2, 3, 4))
    if not (one and two and three and four):
        return np.array([0, DISCOUNT, DISCOUNT, DISCOUNT])
    share = one / (one + 2 * two)
    found = [1 - 2 * share * two / one, 2 - 3 * share * three / two, 3 - 4 * share * four / three]
    return np.array([0, *(min(max(0.0, discount), most) for most, discount in enumerate(found, start=1))])
