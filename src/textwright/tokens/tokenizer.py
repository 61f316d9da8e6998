"""What every tokenizer does: encode, decode, and decode as it comes."""

import codecs
import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as Library

from textwright.core.errors import InputError
from textwright.core.files import write_atomically
from textwright.core.user_paths import given_path
from textwright.tokens.added_tokens import AddedToken, read_added_tokens
from textwright.tokens.library import encode_by, open_library

END = "<|endoftext|>"
UNKNOWN = "\ufffd"

Ids = npt.NDArray[np.uint32]


@runtime_checkable
class TextStream(Protocol):
    """Turns ids into text as they come, and never gives out half a character."""

    def push(self, token_id: int) -> str:
        """The text that is certain now; a character that is not complete yet is held back."""

    def fork(self) -> Self:
        """A stream that goes on from here on its own."""

    def flush(self) -> str:
        """What was held back, as U+FFFD: no more tokens will complete it."""


class Tokenizer(ABC):
    """Text to ids and back.

    Attributes:
        kind: ``bpe``, ``byte`` or ``char``; of others the name of their model, such as ``wordpiece``.
        end_id: the token that ends every document. No text gives it, whatever it says.
        end_ids: all tokens that end a text, ``end_id`` among them.
        begin_ids: what every text begins with; nothing, in most.
        eos_text: how the end token is written in files.
        json: the content of ``tokenizer.json``, as Hugging Face's tokenizers read it.
        companions: files that lay beside it, by their names, to be written with it again.
        notes: what a person should know of how it is obeyed.
        reads_whole: whether a text must be encoded whole, as its beginning is like no other place in it.
    """

    kind: str
    reads_whole = False

    def __init__(self, token_bytes: list[bytes], end_id: int, json: dict[str, Any], eos_text: str = END) -> None:
        self._token_bytes, self.end_id, self.json, self.eos_text = token_bytes, end_id, json, eos_text
        self.end_ids: tuple[int, ...] = (end_id,)
        self.begin_ids: tuple[int, ...] = ()
        self.companions: Mapping[str, str] = {}
        self._read_as = json
        self.notes: tuple[str, ...] = ()

    @abstractmethod
    def encode_array(self, text: str) -> Ids:
        """The ids of a text, without those it begins with. What reads like a special token is text like any other."""

    def encode(self, text: str, *, special_tokens: bool = False) -> list[int]:
        """The ids of a text, as a list, without those it begins with.

        Args:
            text: any.
            special_tokens: read special tokens in it as what they are: for a text that you wrote yourself.
        """
        ids: list[int]
        if special_tokens and self.special_ids:
            ids = encode_by(self._special_library, text).ids
        else:
            ids = self.encode_array(text).tolist()
        return ids

    def encode_marked(self, text: str, marks: Iterable[tuple[int, int]]) -> list[int]:
        """The ids of a text in which special tokens are what they are in some places only.

        Args:
            text: any.
            marks: where those places begin and end, in order: what a user says lies between them.
        """
        ids, start = list[int](), 0
        for first, last in marks if self.special_ids else ():
            for match in self._special_pattern.finditer(text, first, last):
                ids += [*self.encode(text[start : match.start()]), self.special_ids[match[0]]]
                start = match.end()
        return ids + self.encode(text[start:])

    def special_ids_in(self, text: str) -> list[int]:
        """The special tokens that are written in a text."""
        return [self.special_ids[token] for token in self._special_pattern.findall(text)] if self.special_ids else []

    @cached_property
    def _special_pattern(self) -> re.Pattern[str]:
        longest_first = sorted(filter(None, self.special_ids), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)))

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
        """The text of ids. Bytes that are no UTF-8 become U+FFFD; special tokens become nothing."""
        table = self.token_bytes
        return b"".join([table[index] for index in ids]).decode("utf-8", errors="replace")

    @property
    def token_bytes(self) -> list[bytes]:
        """What each id adds to a text; special tokens and ids without a token stand for nothing."""
        return self._token_bytes

    def stream(self, before: Sequence[int] = ()) -> TextStream:  # noqa: ARG002
        """A decoder for ids that come one by one.

        Args:
            before: the last ids of the text that they follow.
        """
        return StreamDecoder(self.token_bytes)

    @property
    def before_text(self) -> tuple[int, ...]:
        """What a text's first token is predicted from: what begins every text, or the end of another."""
        return self.begin_ids or (self.end_id,)

    @property
    def vocab_size(self) -> int:
        """Number of ids, the end token's among them."""
        return len(self.token_bytes)

    @cached_property
    def added_tokens(self) -> list[AddedToken]:
        """Those beside the model's vocabulary, special ones and others."""
        return read_added_tokens(self.json.get("added_tokens") or [])

    @cached_property
    def special_ids(self) -> dict[str, int]:
        """Special tokens as they are written, and their ids."""
        return {token.content: token.id for token in self.added_tokens if token.special}

    @cached_property
    def library(self) -> Library:
        """Hugging Face's tokenizer of the same file; made once, when it is first needed: that takes longer than most
        texts do."""
        return open_library(self._read_as, reads_special_tokens=False)

    @cached_property
    def _special_library(self) -> Library:
        return open_library(self._read_as, reads_special_tokens=True)

    @property
    def json_text(self) -> str:
        """``tokenizer.json`` as it is written."""
        return json.dumps(self.json, ensure_ascii=False, indent=1) + "\n"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of ``tokenizer.json``, and of which tokens begin and end a text where that is more than one end."""
        edges = "" if not self.begin_ids and self.end_ids == (self.end_id,) else f"{self.begin_ids} {self.end_ids}"
        return hashlib.sha256((self.json_text + edges).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json`` and ``tokenizer_config.json``, as transformers' AutoTokenizer reads them.

        What lay beside a tokenizer that was loaded is written as it was.

        Raises:
            InputError: the folder cannot be made or written.
        """
        with given_path(folder):
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / "tokenizer.json", self.json_text)
            for name, content in self.files_beside().items():
                write_atomically(folder / name, content)

    def files_beside(self) -> dict[str, str]:
        """What is written with ``tokenizer.json``, by name."""
        config = {
            # Without this name AutoTokenizer guesses a class, and drops characters of a char tokenizer.
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": self.eos_text,
            "eos_token": self.eos_text,
            # CTranslate2's converter wants one; where every text has ids, it stands for none.
            "unk_token": self.eos_text,
            "clean_up_tokenization_spaces": False,
            "add_prefix_space": False,
        }
        return {"tokenizer_config.json": json.dumps(config, ensure_ascii=False, indent=1) + "\n"} | dict(
            self.companions
        )


class StreamDecoder:
    """Text of tokens that are bytes, as it comes."""

    def __init__(self, token_bytes: Sequence[bytes]) -> None:
        self._token_bytes = token_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        """As ``TextStream``."""
        return self._decoder.decode(self._token_bytes[token_id])

    def fork(self) -> "StreamDecoder":
        """As ``TextStream``."""
        fork = StreamDecoder(self._token_bytes)
        fork._decoder.setstate(self._decoder.getstate())
        return fork

    def flush(self) -> str:
        """As ``TextStream``."""
        return self._decoder.decode(b"", final=True)
