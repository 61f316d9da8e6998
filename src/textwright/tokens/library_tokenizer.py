"""Tokenizers of any kind, through Hugging Face's library: slower than ours, and never otherwise than the file says."""

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from textwright.core.errors import InputError
from textwright.tokens.byte_alphabet import alphabet_bytes
from textwright.tokens.library import encode_by
from textwright.tokens.tokenizer import END, UNKNOWN, Ids, Tokenizer

_BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")
"""How vocabularies from SentencePiece write a byte for which they have no piece."""


class LibraryTokenizer(Tokenizer):
    """Encodes and decodes by the library.

    Args:
        vocab_size: one more than the greatest id.
        end_id: see ``Tokenizer``.
        json: see ``Tokenizer``.
        kind: of its model, for people.
        eos_text: see ``Tokenizer``.
        read_as: the content that the library is to read, where it is not quite the file's.
    """

    reads_whole = True

    def __init__(
        self,
        vocab_size: int,
        end_id: int,
        json: dict[str, Any],
        *,
        kind: str,
        eos_text: str = END,
        read_as: dict[str, Any] | None = None,
    ) -> None:
        super().__init__([], end_id, json, eos_text)
        self.kind, self._vocab_size = kind, vocab_size
        self._read_as = json if read_as is None else read_as

    @property
    def vocab_size(self) -> int:
        """As ``Tokenizer``."""
        return self._vocab_size

    @cached_property
    def token_bytes(self) -> list[bytes]:
        """What each id adds to a text that has begun."""
        library, special = self.library, set(self.special_ids.values())
        tokens = [None if index in special else library.id_to_token(index) for index in range(self._vocab_size)]
        types = {part.get("type") for part in _parts(self.json.get("decoder"), "decoders")}
        if types == {"ByteLevel"}:
            return [b"" if token is None else alphabet_bytes(token) for token in tokens]
        before = next(index for index, token in enumerate(tokens) if token is not None and self.decode([index]).strip())
        length = len(self.decode([before]))
        found = []
        for index, token in enumerate(tokens):
            byte = _BYTE_TOKEN.fullmatch(token or "") if "ByteFallback" in types else None
            added = b"" if token is None else self.decode([before, index])[length:].encode()
            found.append(bytes.fromhex(byte[1]) if byte else added)
        return found

    def encode_array(self, text: str) -> Ids:
        """As ``Tokenizer``."""
        ids: list[int] = encode_by(self.library, text).ids
        if not self._reserved_ids.isdisjoint(ids):
            # A model may have special tokens among its own. Cut in their midst, they are none.
            cuts = [0, *(match.start() + 1 for match in self._reserved.finditer(text)), len(text)]
            parts = [text[start:stop] for start, stop in pairwise(cuts) if start < stop]
            ids = [index for part in parts for index in encode_by(self.library, part).ids]
            if not self._reserved_ids.isdisjoint(ids):
                raise InputError("text of which the tokenizer makes a special token", fix="use another tokenizer")
        return np.array(ids, dtype=np.uint32)

    @cached_property
    def _reserved_ids(self) -> set[int]:
        """Special tokens, but for the one that stands for what is unknown: that is to arise from text."""
        model = self.json["model"]
        unknown = model.get("unk_id", self.library.token_to_id(model.get("unk_token") or ""))
        return set(self.special_ids.values()) - {unknown}

    @cached_property
    def _reserved(self) -> re.Pattern[str]:
        texts = [token for token, index in self.special_ids.items() if index in self._reserved_ids and token]
        return re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))))

    def characters_of(self, text: str, ids: Ids) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """As ``Tokenizer``, normalised or not."""
        found = encode_by(self.library, text)
        assert found.ids == ids.tolist(), "other ids than the text's"
        starts, stops = np.array(found.offsets, dtype=np.int64).reshape(-1, 2).T
        return starts, stops

    def decode(self, ids: Iterable[int]) -> str:
        """As ``Tokenizer``; white space and bytes that are no UTF-8 as the file's decoder writes them."""
        text: str = self.library.decode(list(ids), skip_special_tokens=True)
        return text

    def stream(self, before: Sequence[int] = ()) -> "LibraryStream":
        """As ``Tokenizer``: a text that follows another may begin with a space."""
        return LibraryStream(self, before)


class LibraryStream:
    """Text of any tokens, as it comes: what another token cannot change any more."""

    def __init__(self, tokenizer: LibraryTokenizer, before: Sequence[int] = ()) -> None:
        self._tokenizer, self._ids = tokenizer, list(before)
        self._num_shown = len(tokenizer.decode(before)) if before else 0

    def push(self, token_id: int) -> str:
        """As ``TextStream``."""
        self._ids.append(token_id)
        # A character that is not whole yet is written as U+FFFD, one or several.
        return self._show(self._tokenizer.decode(self._ids).rstrip(UNKNOWN))

    def fork(self) -> "LibraryStream":
        """As ``TextStream``."""
        fork = LibraryStream(self._tokenizer)
        fork._ids, fork._num_shown = self._ids.copy(), self._num_shown
        return fork

    def flush(self) -> str:
        """As ``TextStream``."""
        return self._show(self._tokenizer.decode(self._ids))

    def _show(self, text: str) -> str:
        new = text[self._num_shown :]
        self._num_shown = max(self._num_shown, len(text))
        return new


def _parts(part: dict[str, Any] | None, key: str) -> list[dict[str, Any]]:
    """The parts of a pre-tokenizer or a decoder, one or several."""
    if part is None:
        return []
    return [inner for one in part[key] for inner in _parts(one, key)] if part.get("type") == "Sequence" else [part]
