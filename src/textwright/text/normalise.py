"""What is done to every text before anything else sees it."""

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
