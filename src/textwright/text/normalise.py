"""What is done to every text before anything else sees it."""

from textwright.core.errors import InputError

_NUL = {0: None}
BYTE_ORDER_MARK = "\ufeff"
"""It may begin a text, and is none of it."""


def normalise(text: str) -> str:
    """One kind of line end (LF), and no NULs, which only broken files hold. Everything else stays as it is."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.translate(_NUL) if "\x00" in text else text


def normalise_whole(text: str) -> str:
    """A text from its beginning on: ``normalise``, and without a byte order mark."""
    return normalise(text.removeprefix(BYTE_ORDER_MARK))


def as_text(text: str, where: str) -> str:
    """A text as all others are; JSON can hold what is none.

    Raises:
        InputError: half a surrogate pair in it.
    """
    if not is_unicode(text):
        raise InputError("half a surrogate pair in the text", where=where, expected="Unicode text")
    return normalise_whole(text)


def is_unicode(text: str) -> bool:
    """Whether it is text, which half a surrogate pair is not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
