"""Tokenizers with sentinel tokens, and what was rearranged put back: by hand, beside what does it fast."""

import numpy as np
import numpy.typing as npt

from textwright.data.fill_in_middle import FillInMiddle, FimTokens
from textwright.tokens import Tokenizer
from textwright.tokens.read_json import from_json

FLAGS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}


def with_sentinels(tokenizer: Tokenizer, sentinels: FillInMiddle | None = None, *, special: bool = True) -> Tokenizer:
    """The tokenizer with three tokens more."""
    texts = (sentinels or FillInMiddle()).texts
    rows = [
        {"id": tokenizer.vocab_size + n, "content": text, "special": special} | FLAGS for n, text in enumerate(texts)
    ]
    content = tokenizer.json | {"added_tokens": [*tokenizer.json["added_tokens"], *rows]}
    return from_json(content, "the test")


def put_back(ids: npt.NDArray[np.integer], found: FimTokens, tokenizer: Tokenizer) -> tuple[str, str, str]:
    """Prefix, middle and suffix of rearranged ids, their end token left aside; where the suffix comes first nothing
    tells the prefix from the middle."""
    places = [ids.tolist().index(token) for token in (found.prefix, found.suffix, found.middle)]
    assert places[0] == 0
    assert places == sorted(places)
    prefix, suffix, middle = (tokenizer.decode(part.tolist()) for part in np.split(ids, places[1:]))
    return prefix, middle, suffix
