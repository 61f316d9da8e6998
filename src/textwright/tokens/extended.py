"""A tokenizer with tokens more: words that a model is to learn whole, and marks that stand in no text."""

import json
from collections.abc import Sequence
from typing import Any

from textwright.core.errors import InputError, check_is_text
from textwright.core.kinds import wrong_kind
from textwright.tokens.edges import Named
from textwright.tokens.read_json import from_json
from textwright.tokens.tokenizer import Tokenizer

CONFIG, DECODER = "tokenizer_config.json", "added_tokens_decoder"
"""Where transformers writes added tokens down a second time."""


def extend_tokenizer(tokenizer: Tokenizer, tokens: Sequence[str], *, special: bool = False) -> Tokenizer:
    """The tokenizer with more tokens, after all that it has; the one that is given stays as it is.

    They are ``added_tokens`` of its ``tokenizer.json``, so that every program that reads the folder has them. A text is
    cut at them before anything else, wherever they stand, also within words; at each place the longest counts.

    Args:
        tokenizer: of any kind.
        tokens: how each is written, white space included. It is looked for in the text as it is, before that is
            normalised.
        special: whether they stand for no text, and arise from none unless ``special_tokens`` is asked for: marks.

    Returns:
        Another tokenizer, whose new ids begin at the old ``vocab_size``, in the order given.

    Raises:
        InputError: no token, an empty one, one twice, one that there is already, or one whose text would not come back.
    """
    _check_texts(tokens)
    for token in tokens:
        _check_is_new(tokenizer, token)
    first = tokenizer.vocab_size
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": special}
    rows = [{"id": index, "content": token} | flags for index, token in enumerate(tokens, first)]
    content = tokenizer.json | {"added_tokens": [*(tokenizer.json.get("added_tokens") or []), *rows]}
    ends = tuple(("the tokenizer", index) for index in tokenizer.end_ids)
    extended = from_json(content, "the tokenizer with the new tokens", Named(ends))
    extended.begin_ids = tokenizer.begin_ids
    extended.companions = {
        name: _noted(text, rows) if name == CONFIG else text for name, text in tokenizer.companions.items()
    }
    for index, token in enumerate(tokens, first):
        _check_comes_back(extended, token, index, special=special)
    return extended


def _check_texts(tokens: Sequence[str]) -> None:
    """See that these are texts, each another one."""
    if isinstance(tokens, str):
        raise wrong_kind("tokens", tokens, "a list of texts", where="the arguments of extend_tokenizer")
    if not tokens:
        raise InputError("no token to add", expected="at least one")
    for place, token in enumerate(tokens):
        if not isinstance(token, str):
            raise wrong_kind(f"token {place + 1}", token, "text", where="the arguments of extend_tokenizer")
        check_is_text(token)
        if not token:
            raise InputError("an empty token to add", where=f"token {place + 1}", expected="text")
        if token in tokens[:place]:
            raise InputError(f"the token {token!r} is given twice", where="the tokens to add", expected="each once")


def _check_is_new(tokenizer: Tokenizer, token: str) -> None:
    """See that no token is written like this, nor has this text."""
    index = tokenizer.library.token_to_id(token)
    if index is None:
        ids = tokenizer.encode(token)
        index = ids[0] if len(ids) == 1 and tokenizer.decode(ids) == token else None
    if index is not None:
        raise InputError(
            f"the token {token!r} is there already, with the id {index:,}",
            where="the tokens to add",
            expected="tokens that the tokenizer does not have",
            fix="leave it out",
        )


def _check_comes_back(tokenizer: Tokenizer, token: str, index: int, *, special: bool) -> None:
    """See that the text gives the token, and the token the text."""
    read, written = tokenizer.encode(token, special_tokens=special), tokenizer.decode([index])
    if read != [index]:
        raise InputError(
            f"the token {token!r} is read as {len(read):,} tokens", where="the tokens to add", fix="leave it out"
        )
    if not special and written != token:
        # The decoder of byte-level tokenizers takes letters for bytes where all of a token's are in its alphabet.
        raise InputError(
            f"the token {token!r} would be written as {written!r} by the tokenizer's decoder",
            where="the tokens to add",
            fix="give it with the space before it, or leave it out",
        )


def _noted(config: str, rows: Sequence[dict[str, Any]]) -> str:
    """A ``tokenizer_config.json``, with the new tokens where it lists added ones."""
    content = json.loads(config)
    if not isinstance(content.get(DECODER), dict):
        return config
    for row in rows:
        content[DECODER][str(row["id"])] = {key: value for key, value in row.items() if key != "id"}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
