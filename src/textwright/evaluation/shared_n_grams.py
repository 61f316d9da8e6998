"""How many n-grams predictions have in common with each of their references, counted over whole arrays.

::

    texts of an example     prediction   reference   reference     tokens: characters, or words
                                 a             b          c
    sorted by n-gram     -> of one example: a number for each different n-gram of any order
    ... then by text     -> of one text: runs of the same n-gram, of any order; common = sum of min(run of b, run of a)

Positions sorted by what follows them, ``order`` tokens, are sorted by their shorter n-grams too.
"""

from collections.abc import Hashable, Iterator, Sequence
from itertools import chain

import numpy as np
from jaxtyping import Integer

TOKENS_AT_ONCE = 1 << 20
"""Of so many tokens n-grams are counted in one go; a larger example stands alone."""


def shared_n_grams(
    examples: Sequence[Sequence[Sequence[Hashable]]], order: int
) -> Integer[np.ndarray, "references order 3"]:
    """The n-grams of 1 to ``order`` tokens: the prediction's, the reference's, and those that both have.

    Args:
        examples: of each its texts, the prediction before the references; each a string, or a list of words.
        order: of the longest n-grams.

    Returns:
        The counts of all references, those of the first example first.
    """
    return np.concatenate([_count(some, order) for some in _batches(examples)])


def _batches(examples: Sequence[Sequence[Sequence[Hashable]]]) -> Iterator[list[Sequence[Sequence[Hashable]]]]:
    held, num_tokens = list[Sequence[Sequence[Hashable]]](), 0
    for texts in examples:
        more = sum(map(len, texts))
        if held and num_tokens + more > TOKENS_AT_ONCE:
            yield held
            held, num_tokens = [], 0
        held.append(texts)
        num_tokens += more
    if held:
        yield held


def _count(examples: Sequence[Sequence[Sequence[Hashable]]], order: int) -> Integer[np.ndarray, "references order 3"]:
    """What ``shared_n_grams`` gives, in one go."""
    num_texts = np.array([len(texts) for texts in examples])
    lengths = np.array([len(text) for texts in examples for text in texts])
    example_of = np.repeat(np.arange(len(examples)), num_texts)
    first_of = np.repeat(np.cumsum(num_texts) - num_texts, num_texts)
    in_all = np.maximum(0, lengths[:, None] - np.arange(order))
    counts = np.stack([in_all[first_of], in_all, np.zeros_like(in_all)], axis=-1)
    is_prediction = first_of == np.arange(len(lengths))
    if not lengths.any():
        return np.delete(counts, np.flatnonzero(is_prediction), axis=0)
    columns = _columns(_numbered([text for texts in examples for text in texts]), lengths, order)
    text = _small(np.repeat(np.arange(len(lengths)), lengths))
    example = _small(np.repeat(example_of, lengths))
    by_gram = np.lexsort(columns[::-1])
    by_example = by_gram[np.argsort(example[by_gram], kind="stable")]
    by_text = by_gram[np.argsort(text[by_gram], kind="stable")]
    in_example, in_text = _changes(example[by_example]), _changes(text[by_text])
    number = np.empty(len(text), dtype=np.int64)
    for place, column in enumerate(columns):
        in_example |= _changes(column[by_example])
        number[by_example] = np.cumsum(in_example) - 1
        sorted_column = column[by_text]
        in_text |= _changes(sorted_column)
        begins = np.flatnonzero(in_text)
        sizes = np.diff(begins, append=len(text))
        is_whole = sorted_column[begins] > 0
        begins, sizes = by_text[begins[is_whole]], sizes[is_whole]
        of_text, of_gram = text[begins], number[begins]
        proposed = np.zeros(number.max() + 1, dtype=np.int64)
        is_proposed = is_prediction[of_text]
        proposed[of_gram[is_proposed]] = sizes[is_proposed]
        common = np.bincount(of_text, np.minimum(sizes, proposed[of_gram]), minlength=len(lengths))
        counts[:, place, 2] = common.astype(np.int64)
    return np.delete(counts, np.flatnonzero(is_prediction), axis=0)


def _numbered(texts: Sequence[Sequence[Hashable]]) -> Integer[np.ndarray, " tokens"]:
    """All tokens of texts, one text after the other, each different one with a number from 1."""
    if all(isinstance(text, str) for text in texts):
        whole = "".join(texts)  # type: ignore[arg-type]
        points = np.frombuffer(whole.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        is_there = np.zeros(int(points.max()) + 1, dtype=bool)
        is_there[points] = True
        numbers: np.ndarray = np.cumsum(is_there)[points]
        return numbers
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(token, len(known) + 1) for token in chain.from_iterable(texts)], dtype=np.int64)


def _columns(
    tokens: Integer[np.ndarray, " tokens"], lengths: Integer[np.ndarray, " texts"], order: int
) -> list[Integer[np.ndarray, " tokens"]]:
    """At each position its token, the next, and so on; 0 behind the end of its text."""
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(tokens))
    tokens = _small(tokens)
    return [np.where(left > ahead, np.roll(tokens, -ahead), tokens.dtype.type(0)) for ahead in range(order)]


def _small(numbers: Integer[np.ndarray, " n"]) -> Integer[np.ndarray, " n"]:
    """The same in the smallest kind of integer: of 8 and of 16 bits NumPy sorts without comparing."""
    return numbers.astype(np.min_scalar_type(int(numbers.max())))


def _changes(numbers: Integer[np.ndarray, " n"]) -> np.ndarray:
    """Whether each is another than the one before it; the first is."""
    found = np.empty(len(numbers), dtype=bool)
    found[0] = True
    np.not_equal(numbers[1:], numbers[:-1], out=found[1:])
    return found
