"""What bytes are that are not UTF-8 text: by their first bytes, or by how they would read in other encodings."""

import codecs
import re
from collections.abc import Callable
from pathlib import Path

from textwright.core.errors import InputError

SAMPLE_BYTES = 4096
SHOWN_CHARACTERS = 60
MOST_SHOWN = 4
"""Of encodings that may be meant."""
LIKELY = 0.5
"""Of the characters beyond ASCII so many look as they do in texts of an encoding's languages."""

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (rb"%PDF-\d", "a PDF"),
    (rb"PK(\x03\x04|\x05\x06)", "a ZIP archive"),
    (rb"\x1f\x8b\x08", "gzip data"),
    (rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", "Zstandard data"),
    (rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", "bzip2 data"),
    (rb"\xfd7zXZ\x00", "xz data"),
    (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (rb"Rar!\x1a\x07", "a RAR archive"),
    (rb"(?=[^\x00]{0,99}\x00).{257}ustar[\x00 ]", "a tar archive"),
    (rb"\x89PNG\r\n", "a PNG picture"),
    (rb"\xff\xd8\xff", "a JPEG picture"),
    (rb"GIF8[79]a[^\n]{0,6}\x00", "a GIF picture"),
    (rb"II\*\x00|MM\x00\*", "a TIFF picture"),
    (rb"RIFF.{4}WEBPVP8", "a WebP picture"),
    (rb"RIFF.{4}WAVEfmt", "WAVE sound"),
    (rb"OggS\x00", "Ogg sound"),
    (rb"ID3[\x02-\x04]\x00", "MP3 sound"),
    (rb"\x00\x00..ftyp", "an MP4 film or sound"),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of an old Microsoft Office (.doc, .xls, .ppt)"),
    (rb"PAR1\x15", "a Parquet table"),
    (rb"ARROW1\x00\x00|\xff{4}..[\x00-\x0f]\x00", "an Arrow table"),  # a file of it, or a stream
    (rb"FEA1\x00{4}", "a Feather table"),
    (rb"Obj\x01", "an Avro table"),
    (rb"SQLite format 3\x00", "an SQLite database"),
    (rb"\x93NUMPY", "a NumPy array"),
    (rb"\x89HDF\r\n", "an HDF5 file"),
    (rb"GGUF.\x00\x00\x00", "a GGUF model"),
    (rb"(lmgg|fmgg|tjgg)..\x00\x00", "a GGML model"),
    (rb"...[\x00-\x05]\x00{4}\{", "a safetensors file"),  # the length of its JSON, eight bytes, and that
    (rb"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19\.", "a PyTorch checkpoint"),
    (rb"\x7fELF", "a program"),
    (rb"\x80[\x02-\x05][\x8a\x95c}\]\(]", "a Python pickle"),
)
"""What a file begins with, and what begins so: never what a text does."""
_IN_ZIP = (
    (b"word/", "a Word document (.docx)"),
    (b"xl/", "an Excel workbook (.xlsx)"),
    (b"ppt/", "a PowerPoint presentation (.pptx)"),
    (b"mimetypeapplication/epub+zip", "an e-book (.epub)"),
    (b"mimetypeapplication/vnd.oasis.opendocument", "an OpenDocument file"),
    (b"/data.pkl", "a PyTorch checkpoint"),
    (b".npy", "an archive of NumPy arrays (.npz)"),
)
_FIXES = {
    "gzip data": "give it a name that ends in .gz",
    "Zstandard data": "give it a name that ends in .zst",
    "a Parquet table": "give it a name that ends in .parquet",
    **dict.fromkeys(
        ("an Arrow table", "a Feather table", "an Avro table"), "save it as a Parquet table (.parquet), or leave it out"
    ),
    **dict.fromkeys(
        (
            *("a safetensors file", "a GGUF model", "a GGML model", "a PyTorch checkpoint"),
            *("a NumPy array", "an archive of NumPy arrays (.npz)", "an HDF5 file"),
        ),
        "it holds numbers, no text: leave it out",
    ),
}
_EXTRACT = "save its text as UTF-8 in a file of its own, or leave it out"
_ARCHIVE_FIX = "unpack it, and give what is in it"
_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32LE"),
    (b"\x00\x00\xfe\xff", "UTF-32BE"),
    (b"\xff\xfe", "UTF-16LE"),
    (b"\xfe\xff", "UTF-16BE"),
)
"""Byte order marks; the longer ones first."""


def refuse_other_than_text(path: Path, start: bytes) -> None:
    """See that a file may be UTF-8 text, by its first bytes.

    Raises:
        InputError: it is something else, which it names.
    """
    what = _by_signature(start)
    if what is not None:
        fix = _FIXES.get(what) or (_ARCHIVE_FIX if what.endswith(("archive", "2 data", "xz data")) else _EXTRACT)
        raise InputError(f"{path} is {what}", expected="UTF-8 text", fix=fix)
    name = _wide_encoding(start)
    if name is not None:
        text = codecs.getincrementaldecoder(name)("replace").decode(start[:SAMPLE_BYTES])
        shown = _shown(text.removeprefix("\ufeff"))
        raise InputError(
            f"{path} is {name.removesuffix('LE').removesuffix('BE')} and begins with {shown}",
            expected="UTF-8 text",
            fix=f"convert it, for example with iconv -f {name} -t UTF-8",
        )


def not_utf8(path: Path, offset: int, line: bytes) -> InputError:
    """The error for a file that is no UTF-8 text, though its beginning might be.

    Args:
        path: the file.
        offset: where the first byte is that is none of UTF-8.
        line: the line with that byte, or its beginning, and what follows.
    """
    sample = line[:SAMPLE_BYTES]
    likely = _likely_encodings(sample)
    if _is_mostly_utf8(sample):
        fix = "about there it is UTF-8 but for a few bytes: mend these"
    elif _is_binary(sample):
        fix = "it is no text, it seems: leave it out"
    elif likely:
        readings = ", ".join(f"{name} (reads {shown})" for name, shown in likely)
        which = "the one that reads right" if len(likely) > 1 else "it if that is right"
        fix = f"it may be {readings}: convert it from {which} with iconv -f NAME -t UTF-8"
    else:
        fix = "convert it from the encoding that it is in"
    return InputError(
        f"{path} is not UTF-8 at byte {offset:,}",
        expected="UTF-8 text",
        fix=f"{fix}, or read it with --invalid-utf8 replace",
    )


def _by_signature(start: bytes) -> str | None:
    what = next((what for pattern, what in _SIGNATURES if re.match(pattern, start, re.DOTALL)), None)
    if what == "a ZIP archive":
        return next((inside for part, inside in _IN_ZIP if part in start), what)
    return what


def _wide_encoding(start: bytes) -> str | None:
    """UTF-16 or UTF-32, by a byte order mark, or by NULs that are the other half of nearly all white space."""
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    sample = start[:SAMPLE_BYTES]
    sample = sample[: len(sample) // 2 * 2]
    for low, name in ((0, "UTF-16LE"), (1, "UTF-16BE")):
        here, other = sample[1 - low :: 2], sample[low::2]
        if here.count(0) >= 2 and here.count(0) * 50 >= len(sample) and 0 not in other:
            try:
                text = codecs.getincrementaldecoder(name)().decode(sample)
            except UnicodeDecodeError:
                continue
            if all(character.isprintable() or character.isspace() for character in text):
                return name
    return None


def _is_mostly_utf8(sample: bytes) -> bool:
    text = sample.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    return sum(not character.isascii() for character in text) > 2 * broken


def _is_binary(sample: bytes) -> bool:
    """Whether it holds more control codes than any text does."""
    return sum(byte < 0x20 and byte not in b"\t\n\r\f\x1b" for byte in sample) * 50 > len(sample)


def _likely_encodings(sample: bytes) -> list[tuple[str, str]]:
    """Encodings and how the line reads in them, the likeliest first."""
    found, readings = list[tuple[float, int, str, str]](), set[str]()
    for name, count_usual in _ENCODINGS.items():
        try:
            text = codecs.getincrementaldecoder(name)().decode(sample)
        except UnicodeDecodeError:
            continue
        others = sum(not character.isascii() for character in text)
        score = count_usual(text) / max(1, others)
        if others and score >= LIKELY and text not in readings:
            readings.add(text)
            found.append((-score, len(found), name, _shown(text)))
    return [(name, shown) for _, _, name, shown in sorted(found)[:MOST_SHOWN]]


def _shown(text: str) -> str:
    """The first line about its first character beyond ASCII, in quotation marks."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    first = next((place for place, character in enumerate(line) if not character.isascii()), 0)
    start = max(0, first - SHOWN_CHARACTERS // 2)
    part = "".join(character if character.isprintable() else " " for character in line[start:][:SHOWN_CHARACTERS])
    return f'"{"..." if start else ""}{" ".join(part.split())}"'


_LATIN = re.compile(
    r"[A-Za-zÀ-ÖØ-öø-ž]*[A-Za-z][A-Za-zÀ-ÖØ-öø-ž]*"
    r"|(?<![^\x00-\x7f])[À-ÖØ-öø-ž](?![^\x00-\x7f])"
    r"|[‘’“”„–—…•€£§°©®«»¿¡·\xa0]"
)
"""Letters with accents stand in words with others, or alone."""
_CYRILLIC = re.compile(r"(?<![A-Za-z])([а-яёіїєґ]|(?<![А-яЁё])[А-ЯЁІЇЄҐ])(?![A-Za-z])|[«»“”„–—…№\xa0]")
"""A capital begins a word, and a word has no Latin letters."""
_HANGUL = re.compile(r"[가-힣]|[\u3000-\u303f\uff00-\uffef]")


def _matches(pattern: re.Pattern[str]) -> Callable[[str], int]:
    return lambda text: sum(not character.isascii() for found in pattern.finditer(text) for character in found[0])


def _usual_in(encoding: str, *leads: range) -> Callable[[str], int]:
    """Characters that an encoding of East Asia has among its usual ones: its punctuation, kana, first ideographs."""

    def count(text: str) -> int:
        raws = (character.encode(encoding, "ignore") for character in text if not character.isascii())
        return sum(1 for raw in raws if len(raw) == 2 and any(raw[0] in usual for usual in leads))

    return count


_KANA_AND_KANJI = (range(0xA1, 0xA6), range(0xB0, 0xD0))
_ENCODINGS: dict[str, Callable[[str], int]] = {
    "windows-1252": _matches(_LATIN),
    "windows-1250": _matches(_LATIN),
    "windows-1251": _matches(_CYRILLIC),
    "koi8-r": _matches(_CYRILLIC),
    "euc-kr": _matches(_HANGUL),
    "gb18030": _usual_in("gb2312", range(0xA1, 0xA4), range(0xB0, 0xD8)),
    "euc-jp": _usual_in("euc_jp", *_KANA_AND_KANJI),
    "shift_jis": _usual_in("euc_jp", *_KANA_AND_KANJI),
    "big5": _usual_in("big5", range(0xA1, 0xC7)),
}
"""How many characters of a text in it are as they are in texts of its languages."""
