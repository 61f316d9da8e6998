"""GPT-2's alphabet for bytes: one printable character for each of the 256.

Vocabularies are kept as text, but a byte-level token can be any bytes: half a character, a control code, a space.
Those that print are written as themselves; the other 68 (controls, the space, 0x7f to 0xa0, 0xad) as the characters
from U+0100 on, in order. So the space is written as U+0120, the well-known G with a dot.

Source: Radford et al. 2019, section 2.2.
"""

_PRINTABLE = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
_SHIFTED = [byte for byte in range(256) if byte not in _PRINTABLE]

CHARACTER_OF_BYTE: dict[int, str] = {
    byte: chr(byte if byte in _PRINTABLE else 0x100 + _SHIFTED.index(byte)) for byte in range(256)
}
BYTE_OF_CHARACTER: dict[str, int] = {character: byte for byte, character in CHARACTER_OF_BYTE.items()}
_LATIN = {ord(character): byte for character, byte in BYTE_OF_CHARACTER.items()}
_LATIN |= dict.fromkeys(_SHIFTED, 256)
"""By characters of the alphabet, Latin-1's of the same byte; by what only Latin-1 has, a character of neither."""


def to_text(raw: bytes) -> str:
    """Bytes in the alphabet."""
    return "".join(CHARACTER_OF_BYTE[byte] for byte in raw)


def to_bytes(text: str) -> bytes:
    """The bytes that a text in the alphabet stands for. Raises KeyError for a character that is not in it."""
    try:
        return text.translate(_LATIN).encode("latin-1")
    except UnicodeEncodeError as error:
        raise KeyError(text[error.start]) from None


def alphabet_bytes(token: str) -> bytes:
    """What a token of any kind adds to a text, as the tokenizers library decodes it: its bytes in the alphabet, or in
    UTF-8 where a character is not of it."""
    try:
        return to_bytes(token)
    except KeyError:
        return token.encode()
