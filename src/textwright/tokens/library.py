"""Hugging Face's tokenizers library, as the measure of what a ``tokenizer.json`` means."""

import json
from typing import Any

from tokenizers import Encoding
from tokenizers import Tokenizer as Library

from textwright.core.errors import InputError


def open_library(content: dict[str, Any], *, reads_special_tokens: bool) -> Library:
    """The library's tokenizer of a file, which neither cuts nor pads texts whatever the file says.

    Args:
        content: of ``tokenizer.json``.
        reads_special_tokens: whether a text that holds what a special token looks like gives that token.

    Raises:
        InputError: the library does not read it.
    """
    found = parse(json.dumps(content | {"truncation": None, "padding": None}))
    found.encode_special_tokens = not reads_special_tokens
    return found


def encode_by(library: Library, text: str) -> Encoding:
    """What the library makes of a text, without the tokens that it begins or ends texts with.

    Raises:
        InputError: it makes nothing of it.
    """
    try:
        return library.encode(text, add_special_tokens=False)
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:  # its panics are no Exceptions
        given = f"the tokenizers library does not encode the text {text[:40]!r}: {error}"
        raise InputError(given, fix="use another tokenizer") from None


def parse(json_text: str) -> Library:
    """The library's tokenizer of a text.

    Raises:
        InputError: the library does not read it.
    """
    try:
        return Library.from_str(json_text)
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:  # its panics are no Exceptions
        raise InputError(f"the tokenizers library does not read it: {error}") from None
