"""Long texts in chunks, so that memory does not grow with them: the one place where text is cut."""

import re
from collections.abc import Callable, Iterable, Iterator
from unicodedata import category

from textwright.text.document import Chunk, Document

CHUNK_CHARACTERS = 1 << 20
"""No chunk has more characters."""


def split_chunks(parts: Iterable[str], document: Document) -> Iterator[Chunk]:
    """A document's chunks, each as long as can be where its text can be cut.

    Args:
        parts: its text as it comes, in one part or several.
        document: what is known of it.
    """
    held, start = "", 0
    for part in parts:
        held, start = held[start:] + part, 0
        while len(held) - start > CHUNK_CHARACTERS:
            cut = find_boundary(held, start + 1, start + CHUNK_CHARACTERS)
            yield Chunk(held[start:cut], document, is_last=False)
            start = cut
    yield Chunk(held[start:], document)


def whole_documents(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """The same documents, each in one chunk, however long: for those who cannot read a part without its beginning."""
    held: list[str] = []
    for chunk in chunks:
        held.append(chunk.text)
        if chunk.is_last:
            yield Chunk("".join(held), chunk.document)
            held = []


def find_boundary(text: str, low: int, high: int) -> int:
    """Where to cut in [low, high): the last place of the best kind that is there.

    1. Where white space follows something else.
    2. Where a run of letters or of digits ends, as before the punctuation of Chinese. Neither there nor in 1 does a
       token of GPT-2's pattern cross (nor one of its successors', in 2), so that the tokens of chunks are the text's.
    3. As late as can be, but not inside a character that is made of several. The tokens about such a cut are others
       than the uncut text's; a text without any white space, punctuation or digit for so long leaves no choice.
    """
    for pattern, seen in ((_SPACE_BEGINS, str), (_RUN_ENDS, _kinds), (_CHARACTER_BEGINS, _kinds)):
        cut = _last(text, low, high, pattern, seen)
        if cut is not None:
            return cut
    return high - 1


_SPACE_BEGINS = re.compile(r"[^\S\x1c-\x1f](?<=\S.)", re.DOTALL)
"""White space after something else. To Python four control codes are white space too, to Unicode they are not."""
_RUN_ENDS = re.compile(r"[PSZN](?<=L.)|[PSZL](?<=N.)")
"""In the kinds of characters: what certainly belongs to no letter or digit before it."""
_CHARACTER_BEGINS = re.compile(r"[LNPZ](?<!C.)")
"""In the kinds of characters: no mark, no symbol (some colour the emoji before them), nothing after a joiner."""


def _kinds(text: str) -> str:
    """Each character's kind in Unicode: letter, mark, number, punctuation, symbol, separator (Z), other (C)."""
    return "".join([category(character)[0] for character in text])


def _last(text: str, low: int, high: int, pattern: re.Pattern[str], seen: Callable[[str], str]) -> int | None:
    """The last place in [low, high) that matches in the text as it is seen, with the character before it in sight."""
    stop, size = high, 256
    while stop > low:
        start = max(low, stop - size)
        places = [match.start() for match in pattern.finditer(seen(text[start - 1 : stop]), 1)]
        if places:
            return start - 1 + places[-1]
        stop, size = start, 2 * size
    return None
