"""Token shards: text as numbers on disk, read through a memory map.

::

    FOLDER/  train-00000.bin   token ids, little-endian uint16 or uint32, documents one after the other
             train-00000.idx   where each document ends, little-endian uint64, counted from the shard's start
             train-00000.arrow the documents table: source, id, label, task, learned spans of each
             val-00000.bin ...
             tokenizer.json    the tokenizer, with its config beside it
             manifest.json     types, counts, and the SHA-256 of every shard, of the tokenizer and of itself
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from textwright.core.errors import InputError
from textwright.core.files import sha256_file
from textwright.core.sealed import damage_of_files
from textwright.core.user_paths import given_path
from textwright.data.documents import LearnedSpans, open_table
from textwright.data.manifest import DataManifest, SplitInfo, read_manifest
from textwright.data.packing import Packing, lay_out
from textwright.tokens.tokenizer import Tokenizer

Ids = npt.NDArray[np.unsignedinteger[Any]]


class TokenDataset:
    """A stream of documents as token ids, each ending in the end token.

    Args:
        parts: the stream in one or more arrays, on disk or in memory.
        document_ends: where each document ends, counted from the stream's start.
        num_bytes: bytes of the text in UTF-8.
        num_characters: characters of the text.
        fingerprint: a hash of ids and documents, where there is one already; else it is made when it is asked for.
        tables: the documents tables of the parts, where there are any.
        has_spans: whether they hold learned spans.
    """

    def __init__(
        self,
        parts: Sequence[Ids],
        document_ends: npt.NDArray[np.int64],
        *,
        num_bytes: int,
        num_characters: int,
        fingerprint: str | None = None,
        tables: Sequence[Path] = (),
        has_spans: bool = False,
    ) -> None:
        self._tables, self._has_spans = tables, has_spans
        self._fingerprint = fingerprint
        self._parts = parts
        self._starts = np.cumsum([0, *(len(part) for part in parts)])
        self.document_ends = document_ends
        self.num_bytes, self.num_characters = num_bytes, num_characters
        self.num_tokens, self.num_documents = int(self._starts[-1]), len(document_ends)
        self._packings: dict[tuple[int, int], Packing] = {}

    @property
    def fingerprint(self) -> str:
        """A hash of ids and documents."""
        if self._fingerprint is None:
            digest = hashlib.sha256(self.document_ends.astype("<i8").tobytes())
            for part in self._parts:
                digest.update(part.astype("<u4").tobytes())
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    @cached_property
    def documents(self) -> Any:
        """The documents table, a ``pyarrow.Table`` with a row a document; None where nothing is known of them.

        Its columns are the fields of ``Document``, ``spans`` counted in tokens of the document.
        """
        return open_table(self._tables) if self._tables else None

    @cached_property
    def learned(self) -> LearnedSpans | None:
        """Which tokens are learned; None where all are."""
        return LearnedSpans.of(self.documents, self.document_ends) if self._has_spans else None

    @property
    def stored_bytes(self) -> int:
        """What the ids take, on disk or in memory."""
        return sum(part.nbytes for part in self._parts)

    @classmethod
    def from_documents(cls, documents: Sequence[npt.ArrayLike], *, num_bytes: int = 0, num_characters: int = 0) -> Self:
        """Documents in memory, as token ids that end in the end token."""
        arrays = [np.asarray(document, dtype=np.uint32) for document in documents]
        ends = np.cumsum([len(array) for array in arrays], dtype=np.int64)
        stream = np.concatenate(arrays) if arrays else np.empty(0, dtype=np.uint32)
        return cls([stream], ends, num_bytes=num_bytes, num_characters=num_characters)

    @classmethod
    def from_texts(cls, texts: Iterable[str], tokenizer: Tokenizer) -> Self:
        """Documents in memory, as texts."""
        texts = list(texts)
        return cls.from_documents(
            [[*tokenizer.begin_ids, *tokenizer.encode(text), tokenizer.end_id] for text in texts],
            num_bytes=sum(len(text.encode()) for text in texts),
            num_characters=sum(map(len, texts)),
        )

    def read(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """The ids from ``start`` up to but not including ``stop``."""
        assert 0 <= start <= stop <= self.num_tokens
        part = int(np.searchsorted(self._starts, start, side="right")) - 1
        found = []
        while start < stop:
            first = int(self._starts[part])
            here = self._parts[part][start - first : stop - first]
            found.append(here.astype(np.int64))
            start += len(here)
            part += 1
        return np.concatenate(found) if found else np.empty(0, dtype=np.int64)

    def take(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The ids at places of the stream, in any order."""
        part = np.searchsorted(self._starts, places, side="right") - 1
        found = np.empty(len(places), dtype=np.int64)
        for index in np.unique(part).tolist():
            here = part == index
            found[here] = self._parts[index][places[here] - self._starts[index]]
        return found

    def packing(self, time: int, seed: int) -> Packing:
        """The documents laid into rows; the latest is kept, since a run asks for it to be timed and to learn from."""
        if (time, seed) not in self._packings:
            self._packings = {(time, seed): lay_out(self.document_ends, time, seed, self._num_given())}
        return self._packings[time, seed]

    def _num_given(self) -> npt.NDArray[np.int64] | None:
        """Of each document 1 where its first token is not learned, and more follows: no token before it is needed."""
        if self.learned is None:
            return None
        starts = np.concatenate([[0], self.document_ends[:-1]])
        given = ~self.learned.contain(starts) & (self.document_ends - starts > 1)
        return np.asarray(given, dtype=np.int64)


@dataclass(frozen=True)
class DataSplits:
    """The two splits of a corpus. ``manifest`` and ``folder`` are None for text in memory."""

    train: TokenDataset
    val: TokenDataset | None
    manifest: DataManifest | None = None
    folder: Path | None = None


def open_data(folder: Path) -> DataSplits:
    """The token shards in a folder; sizes are checked, hashes only by ``find_data_corruption``.

    Raises:
        InputError: no shards there, or some are missing or of another size than the manifest says.
    """
    manifest = read_manifest(folder)
    with given_path(folder):
        splits = {name: open_split(folder, info, manifest.ids_dtype) for name, info in manifest.splits.items()}
    val = splits["val"] if splits["val"].num_tokens else None
    return DataSplits(splits["train"], val, manifest, folder)


def open_split(folder: Path, info: SplitInfo, dtype: np.dtype[Any]) -> TokenDataset:
    """The shards of one split.

    Raises:
        InputError: one is missing or of another size.
    """
    parts: list[Ids] = []
    ends: list[npt.NDArray[np.int64]] = []
    start = 0
    for shard in info.shards:
        for suffix, size in ((".bin", shard.num_tokens * dtype.itemsize), (".idx", shard.num_documents * 8)):
            path = folder / f"{shard.name}{suffix}"
            found = path.stat().st_size if path.is_file() else None
            if found != size:
                raise InputError(
                    f"the shard {path} has {found if found is not None else 'no'} bytes",
                    expected=f"{size:,}",
                    fix="prepare the data again",
                )
        if shard.sha256_documents and not (folder / f"{shard.name}.arrow").is_file():
            raise InputError(f"the shard {folder / shard.name}.arrow is missing", fix="prepare the data again")
        parts.append(np.memmap(folder / f"{shard.name}.bin", dtype=dtype, mode="r"))
        ends.append(np.fromfile(folder / f"{shard.name}.idx", dtype="<u8").astype(np.int64) + start)
        start += shard.num_tokens
    return TokenDataset(
        parts,
        np.concatenate(ends) if ends else np.empty(0, dtype=np.int64),
        num_bytes=info.num_bytes,
        num_characters=info.num_characters,
        fingerprint=info.fingerprint,
        tables=[folder / f"{shard.name}.arrow" for shard in info.shards if shard.sha256_documents],
        has_spans=any(shard.has_spans for shard in info.shards),
    )


def find_data_corruption(folder: Path) -> str | None:
    """What is wrong with token shards, naming the file; None when every byte is as it was written."""
    try:
        manifest = read_manifest(folder)
        open_data(folder)
        with given_path(folder):
            return _find_other_content(folder, manifest)
    except InputError as error:
        return str(error)


def _find_other_content(folder: Path, manifest: DataManifest) -> str | None:
    for info in manifest.splits.values():
        for shard in info.shards:
            for name, expected in shard.files.items():
                if sha256_file(folder / name) != expected:
                    return f"{folder / name} has other content than was written"
    return damage_of_files(folder, manifest.tokenizer_files)
