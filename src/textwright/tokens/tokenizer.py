"""The tokenizer: encode, decode, and decode as it comes."""

import codecs
import hashlib
import json
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tiktoken
from tokenizers import Tokenizer as ReferenceTokenizer

from textwright.core.errors import InputError
from textwright.core.files import write_atomically
from textwright.core.user_paths import given_path

END = "<|endoftext|>"
UNKNOWN = "\ufffd"
GPT2_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
LONG_RUN = 2000
"""Characters of one kind in a row from which on tiktoken may take quadratic time, or panic."""
_RUNS = re.compile(r"\s+|[^\W_]+|(?:[^\w\s]|_)+")
_SPACE_LETTER_OR_DIGIT = re.compile(r"\s|[^\W_]")

Ids = npt.NDArray[np.uint32]


class Tokenizer(ABC):
    """Text to ids and back.

    Attributes:
        kind: ``bpe``, ``byte`` or ``char``.
        token_bytes: the bytes each id stands for; the end token and ids without a token stand for none.
        end_id: the token that ends every document. It never comes out of text, whatever the text says.
        json: the content of ``tokenizer.json``, as Hugging Face's tokenizers read it.
        eos_text: how the end token is written in files.
    """

    kind: str

    def __init__(self, token_bytes: list[bytes], end_id: int, json: dict[str, Any], eos_text: str = END) -> None:
        self.token_bytes, self.end_id, self.json, self.eos_text = token_bytes, end_id, json, eos_text

    @abstractmethod
    def encode_array(self, text: str) -> Ids:
        """The ids of a text. ``<|endoftext|>`` in it is text like any other."""

    def encode(self, text: str) -> list[int]:
        """The ids of a text, as a list."""
        ids: list[int] = self.encode_array(text).tolist()
        return ids

    def characters_of(self, text: str, ids: Ids) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Where the characters begin and end that each token of a text holds, or holds a part of.

        Raises:
            InputError: the ids are not the text byte for byte, as where a tokenizer normalises.
        """
        raw = text.encode()
        parts = [self.token_bytes[index] for index in ids.tolist()]
        if b"".join(parts) != raw:
            raise InputError("text that its tokens do not give back exactly", expected="such, to learn spans of it")
        lengths = np.fromiter(map(len, parts), dtype=np.int64, count=len(parts))
        character = np.cumsum((np.frombuffer(raw, dtype=np.uint8) & 0xC0) != 0x80) - 1
        stops = np.cumsum(lengths)
        return character[stops - lengths], character[stops - 1] + 1

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids. Bytes that are no UTF-8 become U+FFFD; the end token becomes nothing."""
        table = self.token_bytes
        return b"".join([table[index] for index in ids]).decode("utf-8", errors="replace")

    def stream(self) -> "StreamDecoder":
        """A decoder for ids that come one by one."""
        return StreamDecoder(self.token_bytes)

    @property
    def vocab_size(self) -> int:
        """Number of ids, the end token's among them."""
        return len(self.token_bytes)

    @property
    def json_text(self) -> str:
        """``tokenizer.json`` as it is written."""
        return json.dumps(self.json, ensure_ascii=False, indent=1) + "\n"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of ``tokenizer.json``."""
        return hashlib.sha256(self.json_text.encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json`` and ``tokenizer_config.json``, as transformers' AutoTokenizer reads them.

        Raises:
            InputError: the folder cannot be made or written.
        """
        config = {
            # Without this name AutoTokenizer guesses a class, and drops characters of a char tokenizer.
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": self.eos_text,
            "eos_token": self.eos_text,
            "clean_up_tokenization_spaces": False,
            "add_prefix_space": False,
        }
        with given_path(folder):
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / "tokenizer.json", self.json_text)
            write_atomically(folder / "tokenizer_config.json", json.dumps(config, ensure_ascii=False, indent=1) + "\n")


class StreamDecoder:
    """Turns ids into text as they come, and never gives out half a character."""

    def __init__(self, token_bytes: Sequence[bytes]) -> None:
        self._token_bytes = token_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        """The text that is certain now; a character that is not complete yet is held back."""
        return self._decoder.decode(self._token_bytes[token_id])

    def fork(self) -> "StreamDecoder":
        """A decoder that goes on from here on its own."""
        fork = StreamDecoder(self._token_bytes)
        fork._decoder.setstate(self._decoder.getstate())
        return fork

    def flush(self) -> str:
        """What was held back, as U+FFFD: no more tokens will complete it."""
        return self._decoder.decode(b"", final=True)


class BPETokenizer(Tokenizer):
    """Byte-level byte-pair encoding.

    Args:
        token_bytes: the bytes of each id.
        end_id: see ``Tokenizer``.
        json: see ``Tokenizer``.
        pattern: the regular expression that cuts text into the pieces within which bytes are merged.
        ranks: token bytes -> order of merging, the 256 bytes first. None: the order is not one of tokens but of pairs,
            or the text is not cut by a pattern; then every text goes the slow way.
        is_nfc: whether text is brought into Unicode's NFC first.
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
        ranks: dict[bytes, int] | None,
        is_nfc: bool = False,
        eos_text: str = END,
    ) -> None:
        super().__init__(token_bytes, end_id, json, eos_text)
        self.is_nfc = is_nfc
        self._fast: tiktoken.Encoding | None = None
        if ranks is None:
            return
        self._fast = tiktoken.Encoding("textwright", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
        id_of = {raw: index for index, raw in enumerate(token_bytes) if raw}
        # tiktoken wants ids in the order of merging; a vocabulary may have them in another.
        self._id_of_rank = np.array([id_of[raw] for raw in sorted(ranks, key=ranks.__getitem__)], dtype=np.uint32)
        self._is_in_order = bool((self._id_of_rank == np.arange(len(self._id_of_rank))).all())

    def encode_array(self, text: str) -> Ids:
        """The ids of a text."""
        if self.is_nfc:
            text = unicodedata.normalize("NFC", text)
        if self._fast is None or has_long_run(text):
            return self._encode_slowly(text)
        # Not encode_to_numpy: it looks for special tokens at every character, even where there are none.
        ids: Ids = np.array(self._fast.encode_ordinary(text), dtype=np.uint32)
        return ids if self._is_in_order else self._id_of_rank[ids]

    def _encode_slowly(self, text: str) -> Ids:
        """The same ids from Hugging Face's tokenizers, a tenth as fast, but in linear time however long a run is."""
        return np.array(self._reference.encode(text, add_special_tokens=False).ids, dtype=np.uint32)

    @cached_property
    def _reference(self) -> ReferenceTokenizer:
        """Made once, when a text first needs it: to parse a vocabulary takes longer than to encode most texts."""
        # Without the added tokens: they are matched in text, and text must not become special.
        return ReferenceTokenizer.from_str(json.dumps(self.json | {"added_tokens": [], "post_processor": None}))


def has_long_run(text: str) -> bool:
    """Whether the text has very many characters of one kind in a row: white space, letters and digits, or others.

    Patterns cut text where the kind changes, so that Chinese, without white space but with punctuation, has none.
    """
    half = LONG_RUN // 2
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
    """A token for each character of its text. A character it does not know is read as U+FFFD."""

    kind = "char"

    def __init__(self, token_bytes: list[bytes], end_id: int, json: dict[str, Any], eos_text: str = END) -> None:
        super().__init__(token_bytes, end_id, json, eos_text)
        characters = {raw.decode(): index for index, raw in enumerate(token_bytes) if raw}
        self._id_of_code = np.full(0x110000, characters[UNKNOWN], dtype=np.uint32)
        for character, index in characters.items():
            self._id_of_code[ord(character)] = index

    def encode_array(self, text: str) -> Ids:
        """The ids of a text, one a character."""
        codes = np.frombuffer(text.encode("utf-32-le", errors="replace"), dtype="<u4")
        ids: Ids = self._id_of_code[codes]
        return ids

    def characters_of(self, text: str, ids: Ids) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """One each, known or not."""
        assert len(text) == len(ids)
        places = np.arange(len(ids))
        return places, places + 1
