"""Tokenizers that are fast because they are of kinds we know: byte-level BPE, bytes, characters."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tiktoken

from textwright.tokens.added_tokens import Splitter
from textwright.tokens.byte_alphabet import to_text
from textwright.tokens.library import encode_by
from textwright.tokens.tokenizer import END, UNKNOWN, Ids, Tokenizer

GPT2_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
_LETTERS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PATTERNS = frozenset(
    [GPT2_PATTERN]
    # GPT-4's in its forms: digits one by one (Qwen 2 and 3) or by three (Llama 3).
    + [rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|{_LETTERS}|\p{{N}}{digits}|{_REST}" for digits in ("", "{1,3}")]
)
"""Patterns that are known to cover every text, and to mean the same to tiktoken as to the tokenizers library."""
LONG_RUN = 2000
"""Characters of one kind in a row from which on tiktoken may take quadratic time, or panic."""
_RUNS = re.compile(r"\s+|[^\W_]+|(?:[^\w\s]|_)+")
_SPACE_LETTER_OR_DIGIT = re.compile(r"\s|[^\W_]")


class BPETokenizer(Tokenizer):
    """Byte-level byte-pair encoding.

    Args:
        token_bytes: the bytes of each id.
        end_id: see ``Tokenizer``.
        json: see ``Tokenizer``.
        pattern: the regular expression that cuts text into the pieces within which bytes are merged; one of
            ``PATTERNS``.
        ranks: token bytes -> order of merging, the 256 bytes first.
        id_of: token bytes -> id, of all that are in ``ranks``; where it is not given, of ``token_bytes``.
        is_nfc: whether text is brought into Unicode's NFC first.
        splitter: cuts text at added tokens, where some are no special ones, and normalises it.
        eos_text: see ``Tokenizer``.

    Source: Sennrich et al. 2016 (arXiv:1508.07909); over bytes: Radford et al. 2019, section 2.2.
    """

    kind = "bpe"

    def __init__(
        self,
        token_bytes: list[bytes],
        end_id: int,
        json: dict[str, Any],
        *,
        pattern: str,
        ranks: dict[bytes, int],
        id_of: Mapping[bytes, int] | None = None,
        is_nfc: bool = False,
        splitter: Splitter | None = None,
        eos_text: str = END,
    ) -> None:
        super().__init__(token_bytes, end_id, json, eos_text)
        self._is_nfc, self._splitter, self.reads_whole = is_nfc, splitter, splitter is not None
        self._fast = tiktoken.Encoding("textwright", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
        if id_of is None:
            id_of = {raw: index for index, raw in enumerate(token_bytes) if raw}
        # tiktoken wants ids in the order of merging; a vocabulary may have them in another.
        self._id_of_rank = np.array([id_of[raw] for raw in sorted(ranks, key=ranks.__getitem__)], dtype=np.uint32)
        self._is_in_order = bool((self._id_of_rank == np.arange(len(self._id_of_rank))).all())

    def encode_array(self, text: str) -> Ids:
        """The ids of a text."""
        if has_long_run(text):
            # A tenth as fast, but in linear time however long a run is.
            return np.array(encode_by(self.library, text).ids, dtype=np.uint32)
        if self._splitter is None:
            return self._encode(unicodedata.normalize("NFC", text) if self._is_nfc else text)
        pieces = self._splitter.split(text)
        parts = [np.array([one], dtype=np.uint32) if isinstance(one, int) else self._encode(one) for one in pieces]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint32)

    def merged_tokens(self) -> list[str]:
        """The tokens that merges make, in the alphabet for bytes."""
        return [to_text(self.token_bytes[index]) for index in self._id_of_rank[256:].tolist()]

    def _encode(self, text: str) -> Ids:
        # Not encode_to_numpy: it looks for special tokens at every character, even where there are none.
        ids: Ids = np.array(self._fast.encode_ordinary(text), dtype=np.uint32)
        return ids if self._is_in_order else self._id_of_rank[ids]


def has_long_run(text: str) -> bool:
    """Whether the text has very many characters of one kind in a row: white space, letters and digits, or others.

    Patterns cut text where the kind changes, so that Chinese, without white space but with punctuation, has none.
    """
    half = LONG_RUN // 2
    if len(text) < half:
        return False
    # A long run fills at least one whole block of half its length; looking at blocks is fifteen times as fast.
    blocks = (text[start : start + half] for start in range(0, len(text) - half + 1, half))
    if not any(_is_of_one_kind(block) for block in blocks):
        return False
    return any(match.end() - match.start() >= LONG_RUN for match in _RUNS.finditer(text))


def _is_of_one_kind(block: str) -> bool:
    return block.isspace() or block.isalnum() or _SPACE_LETTER_OR_DIGIT.search(block) is None


class ByteTokenizer(Tokenizer):
    """A token for each byte, and the end token. In ours a byte's id is the byte; a foreign one has its own order."""

    kind = "byte"

    def __init__(self, token_bytes: list[bytes], end_id: int, json: dict[str, Any], eos_text: str = END) -> None:
        super().__init__(token_bytes, end_id, json, eos_text)
        id_of = {raw: index for index, raw in enumerate(token_bytes) if raw}
        self._id_of_byte = np.array([id_of[bytes([byte])] for byte in range(256)], dtype=np.uint32)

    def encode_array(self, text: str) -> Ids:
        """The ids of a text's UTF-8 bytes."""
        ids: Ids = self._id_of_byte[np.frombuffer(text.encode("utf-8"), dtype=np.uint8)]
        return ids


class CharTokenizer(Tokenizer):
    """A token for each character of its text. A character it does not know is read as U+FFFD.

    Args:
        token_bytes: the character of each id, as UTF-8; an added token's text too, where ``splitter`` finds it.
        end_id: see ``Tokenizer``.
        json: see ``Tokenizer``.
        eos_text: see ``Tokenizer``.
        splitter: cuts text at added tokens, where some are no special ones.
    """

    kind = "char"

    def __init__(
        self,
        token_bytes: list[bytes],
        end_id: int,
        json: dict[str, Any],
        eos_text: str = END,
        *,
        splitter: Splitter | None = None,
    ) -> None:
        super().__init__(token_bytes, end_id, json, eos_text)
        self._splitter, self.reads_whole = splitter, splitter is not None
        added = {token.id for token in self.added_tokens}
        characters = {raw.decode(): index for index, raw in enumerate(token_bytes) if raw and index not in added}
        self._id_of_code = np.full(0x110000, characters[UNKNOWN], dtype=np.uint32)
        for character, index in characters.items():
            self._id_of_code[ord(character)] = index

    def encode_array(self, text: str) -> Ids:
        """The ids of a text, one a character, but for added tokens."""
        if self._splitter is None:
            return self._encode(text)
        pieces = self._splitter.split(text)
        parts = [np.array([one], dtype=np.uint32) if isinstance(one, int) else self._encode(one) for one in pieces]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint32)

    def characters_of(self, text: str, ids: Ids) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """One each, known or not; of an added token all of its own."""
        lengths = np.array([len(raw.decode()) for raw in self.token_bytes], dtype=np.int64)[ids]
        stops = np.cumsum(lengths)
        assert len(text) == (stops[-1] if len(stops) else 0)
        return stops - lengths, stops

    def _encode(self, text: str) -> Ids:
        codes = np.frombuffer(text.encode("utf-32-le", errors="replace"), dtype="<u4")
        ids: Ids = self._id_of_code[codes]
        return ids
