"""A file's text, decoded as it is read: in parts, or line by line."""

import codecs
from collections.abc import Iterator

from textwright.core.errors import InputError
from textwright.text.encodings import not_utf8
from textwright.text.options import ReadOptions
from textwright.text.streams import READ_BYTES, OpenFile

Lines = Iterator[tuple[int, str]]
"""(number from 1, line with its end)"""
SHOWN_BEFORE = 100
"""Bytes before one that is none of UTF-8, where its line is longer."""


def decoded_parts(file: OpenFile, options: ReadOptions) -> Iterator[str]:
    """The stream's text in parts that never end inside a character or between CR and LF."""
    decoder = codecs.getincrementaldecoder("utf-8")(options.errors)
    offset, held, is_first = 0, "", True
    while True:
        raw = file.stream.read(READ_BYTES)
        pending = decoder.getstate()[0]
        try:
            text = held + decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            raise _invalid(file, offset - len(pending), pending + raw, error.start) from None
        if is_first and text:
            text, is_first = text.removeprefix("\ufeff"), False
        offset += len(raw)
        held = "\r" if raw and text.endswith("\r") else ""
        yield text.removesuffix("\r") if held else text
        if not raw:
            return


def numbered_lines(file: OpenFile, options: ReadOptions) -> Lines:
    """The lines of a stream, one at a time."""
    offset = 0
    for number, raw in enumerate(file.stream, 1):
        try:
            line = raw.decode("utf-8", options.errors)
        except UnicodeDecodeError as error:
            raise _invalid(file, offset, raw, error.start) from None
        offset += len(raw)
        yield number, line.removeprefix("\ufeff") if number == 1 else line


def _invalid(file: OpenFile, offset: int, raw: bytes, place: int) -> InputError:
    """The error for bytes, which begin at ``offset``, with one at ``place`` among them that is none of UTF-8."""
    begin = max(raw.rfind(b"\n", 0, place) + 1, place - SHOWN_BEFORE)
    return not_utf8(file.path, offset + place, raw[begin:])
