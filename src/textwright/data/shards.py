"""Token shards: text as numbers on disk, read through a memory map.

::

    FOLDER/  train-00000.bin   token ids, little-endian uint16 or uint32, documents one after the other
             train-00000.idx   where each document ends, little-endian uint64, counted from the shard's start
             val-00000.bin ...
             tokenizer.json    the tokenizer, with its config beside it
             manifest.json     types, counts, and the SHA-256 of every shard, of the tokenizer and of itself
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self

import numpy as np
import numpy.typing as npt

from textwright.core.errors import InputError
from textwright.core.files import atomic_folder, sha256_file
from textwright.core.sealed import damage_of_files, describe_files, seal, unseal
from textwright.core.user_paths import given_path
from textwright.data.packing import Packing, lay_out
from textwright.text.document import Document
from textwright.text.sources import OnInvalid, fingerprint, read_documents
from textwright.text.split import is_validation
from textwright.tokens.tokenizer import Tokenizer

FORMAT_VERSION = 1
SHARD_TOKENS = 1 << 30
COPY_TOKENS = 1 << 20

Ids = npt.NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class ShardFacts:
    """One shard as the manifest has it."""

    name: str
    num_tokens: int
    num_documents: int
    sha256_bin: str
    sha256_idx: str


@dataclass(frozen=True)
class SplitFacts:
    """One split as the manifest has it."""

    num_tokens: int
    num_documents: int
    num_bytes: int
    """Bytes of the text in UTF-8, end tokens not counted."""
    num_characters: int
    shards: tuple[ShardFacts, ...]


@dataclass(frozen=True)
class DataManifest:
    """What ``manifest.json`` says."""

    dtype: Literal["uint16", "uint32"]
    tokenizer_sha256: str
    split: str
    """How validation was chosen, in words."""
    sources_sha256: str | None
    """Fingerprint of the files the text was read from, as ``sources.fingerprint`` has it; None for other documents."""
    tokenizer_files: dict[str, dict[str, Any]]
    """Size and SHA-256 of the tokenizer's files."""
    splits: dict[str, SplitFacts]
    version: int = FORMAT_VERSION

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the hashes of all shards: the same tokens, the same fingerprint."""
        shards = [shard for name in sorted(self.splits) for shard in self.splits[name].shards]
        return hashlib.sha256(" ".join(s.sha256_bin + s.sha256_idx for s in shards).encode()).hexdigest()


class Tokens:
    """A stream of documents as token ids, each ending in the end token.

    Args:
        parts: the stream in one or more arrays, on disk or in memory.
        document_ends: where each document ends, counted from the stream's start.
        num_bytes: bytes of the text in UTF-8.
        num_characters: characters of the text.
        fingerprint: a hash of ids and documents, where there is one already; else it is made when it is asked for.
    """

    def __init__(
        self,
        parts: Sequence[Ids],
        document_ends: npt.NDArray[np.int64],
        *,
        num_bytes: int,
        num_characters: int,
        fingerprint: str | None = None,
    ) -> None:
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
        end = np.array([tokenizer.end_id], dtype=np.uint32)
        return cls.from_documents(
            [np.concatenate([tokenizer.encode_array(text), end]) for text in texts],
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
            self._packings = {(time, seed): lay_out(self.document_ends, time, seed)}
        return self._packings[time, seed]


@dataclass(frozen=True)
class Data:
    """The two splits of a corpus. ``manifest`` and ``folder`` are None for text in memory."""

    train: Tokens
    val: Tokens | None
    manifest: DataManifest | None = None
    folder: Path | None = None


@dataclass
class _Writer:
    """Writes one split as shards."""

    folder: Path
    split: str
    dtype: np.dtype[Any]
    shard_tokens: int
    shards: list[ShardFacts] = field(default_factory=list)
    num_bytes: int = 0
    num_characters: int = 0
    _files: tuple[BinaryIO, BinaryIO] | None = None
    _hashes: tuple[Any, Any] | None = None
    _num_tokens: int = 0
    _num_documents: int = 0

    def add(self, ids: Ids, *, ends_document: bool) -> None:
        if self._files is None:
            name = self.folder / f"{self.split}-{len(self.shards):05d}"
            self._files = open(f"{name}.bin", "wb"), open(f"{name}.idx", "wb")  # noqa: SIM115 - close() closes them
            self._hashes = hashlib.sha256(), hashlib.sha256()
            self._num_tokens = self._num_documents = 0
        self._write(0, np.ascontiguousarray(ids, dtype=self.dtype).tobytes())
        self._num_tokens += len(ids)
        if ends_document:
            self._write(1, np.array([self._num_tokens], dtype="<u8").tobytes())
            self._num_documents += 1
            if self._num_tokens >= self.shard_tokens:
                self.close()

    def _write(self, which: Literal[0, 1], raw: bytes) -> None:
        assert self._files is not None
        assert self._hashes is not None
        self._files[which].write(raw)
        self._hashes[which].update(raw)

    def close(self) -> None:
        if self._files is None or self._hashes is None:
            return
        for file in self._files:
            file.close()
        hashes = [digest.hexdigest() for digest in self._hashes]
        name = f"{self.split}-{len(self.shards):05d}"
        self.shards.append(ShardFacts(name, self._num_tokens, self._num_documents, hashes[0], hashes[1]))
        self._files = self._hashes = None

    def facts(self) -> SplitFacts:
        self.close()
        return SplitFacts(
            sum(shard.num_tokens for shard in self.shards),
            sum(shard.num_documents for shard in self.shards),
            self.num_bytes,
            self.num_characters,
            tuple(self.shards),
        )


def prepare_data(
    documents: Iterable[Document] | Sequence[Path],
    tokenizer: Tokenizer,
    folder: Path,
    *,
    val_documents: Iterable[Document] | Sequence[Path] | None = None,
    invalid_utf8: OnInvalid = "error",
    text_field: str = "text",
    progress: Callable[[int], None] | None = None,
    shard_tokens: int = SHARD_TOKENS,
) -> Data:
    """Write text as token shards, in a stream: memory does not grow with the text.

    Args:
        documents: documents, or the paths to read them from.
        tokenizer: makes the ids; every document ends in its end token.
        folder: appears when everything is written, or not at all.
        val_documents: what to validate on. Without it, a tenth of the documents chosen by hash; where that leaves
            one side empty (a single document, say), the last tenth of the text.
        invalid_utf8: see ``read_documents``.
        text_field: see ``read_documents``.
        progress: called with the bytes done so far of ``documents``: where these are paths, of the files as they lie
            on the disk, compressed or not; else of their text.
        shard_tokens: a shard takes no further document when it holds so many.

    Raises:
        InputError: text that cannot be read, or none at all, or a folder that cannot be written.
    """
    with given_path(folder):
        _prepare(
            documents,
            tokenizer,
            folder,
            val_documents=val_documents,
            reading={"invalid_utf8": invalid_utf8, "text_field": text_field},
            progress=progress,
            shard_tokens=shard_tokens,
        )
    return open_data(folder)


def _prepare(
    documents: Iterable[Document] | Sequence[Path],
    tokenizer: Tokenizer,
    folder: Path,
    *,
    val_documents: Iterable[Document] | Sequence[Path] | None,
    reading: dict[str, Any],
    progress: Callable[[int], None] | None,
    shard_tokens: int,
) -> None:
    dtype = _dtype(tokenizer)

    def told(source: Iterable[Document] | Sequence[Path], to: Callable[[int], None] | None) -> Iterable[Document]:
        if paths := _paths(source):
            return read_documents(paths, progress=to, **reading)
        return _told(source, to)  # type: ignore[arg-type]

    paths = [*_paths(documents), *_paths(val_documents or ())]
    sources = fingerprint(paths) if paths else None
    with atomic_folder(folder) as new, ExitStack() as stack:
        train, val = (_Writer(new, split, dtype, shard_tokens) for split in ("train", "val"))
        for writer in (train, val):
            stack.callback(writer.close)
        if val_documents is None:
            split = "a tenth of the documents, by hash"
            _encode(told(documents, progress), tokenizer, lambda d: val if is_validation(d.text) else train)
            if not (train.facts().num_tokens and val.facts().num_tokens):
                split = "the last tenth of the text"
                train, val = _cut_last_tenth(train if train.shards else val, new, tokenizer, shard_tokens)
        else:
            split = "given"
            _encode(told(documents, progress), tokenizer, lambda _: train)
            _encode(told(val_documents, None), tokenizer, lambda _: val)
        facts = {"train": train.facts(), "val": val.facts()}
        if not facts["train"].num_tokens:
            raise InputError("no text to train on", expected="at least one document that is not empty")
        _write_manifest(new, tokenizer, facts, split=split, sources=sources)


def write_tokens(tokens: Tokens, tokenizer: Tokenizer, folder: Path, *, shard_tokens: int = SHARD_TOKENS) -> Data:
    """Write documents that are token ids already as token shards, all to train on.

    Args:
        tokens: the documents, at least one token of them.
        tokenizer: made the ids.
        folder: appears when everything is written, or not at all.
        shard_tokens: a shard takes no further document when it holds so many.
    """
    with atomic_folder(folder) as new, ExitStack() as stack:
        train = _Writer(new, "train", _dtype(tokenizer), shard_tokens)
        stack.callback(train.close)
        train.num_bytes, train.num_characters = tokens.num_bytes, tokens.num_characters
        start = 0
        for end in tokens.document_ends.tolist():
            train.add(tokens.read(start, end).astype(np.uint32), ends_document=True)
            start = end
        val = _Writer(new, "val", train.dtype, shard_tokens)
        _write_manifest(new, tokenizer, {"train": train.facts(), "val": val.facts()}, split="none", sources=None)
    return open_data(folder)


def _dtype(tokenizer: Tokenizer) -> np.dtype[Any]:
    return np.dtype("<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4")


def _write_manifest(
    folder: Path, tokenizer: Tokenizer, splits: dict[str, SplitFacts], *, split: str, sources: str | None
) -> None:
    """The tokenizer, and the manifest that says what is whole."""
    tokenizer.save(folder)
    tokenizer_files = describe_files(folder, ("tokenizer.json", "tokenizer_config.json"))
    name: Literal["uint16", "uint32"] = "uint16" if _dtype(tokenizer).itemsize == 2 else "uint32"
    manifest = DataManifest(name, tokenizer.fingerprint, split, sources, tokenizer_files, splits)
    (folder / "manifest.json").write_text(seal(asdict(manifest)), encoding="utf-8")


def _paths(source: Iterable[Document] | Sequence[Path]) -> list[Path]:
    return [item for item in source if isinstance(item, Path)] if isinstance(source, Sequence) else []


def _told(documents: Iterable[Document], progress: Callable[[int], None] | None) -> Iterator[Document]:
    """Documents in memory, and when each is done with, the bytes of their text so far."""
    done = 0
    for document in documents:
        yield document
        done += _num_bytes(document.text)
        if progress is not None:
            progress(done)


def _num_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _encode(documents: Iterable[Document], tokenizer: Tokenizer, writer_of: Callable[[Document], _Writer]) -> None:
    """Each document into the writer that its first piece chooses. Empty documents are left out."""
    end = np.array([tokenizer.end_id], dtype=np.uint32)
    writer = None
    for document in documents:
        if writer is None:
            if document.is_last and not document.text.strip():
                continue
            writer = writer_of(document)
        ids = tokenizer.encode_array(document.text)
        writer.num_bytes += _num_bytes(document.text)
        writer.num_characters += len(document.text)
        writer.add(np.concatenate([ids, end]) if document.is_last else ids, ends_document=document.is_last)
        if document.is_last:
            writer = None


def _cut_last_tenth(whole: _Writer, folder: Path, tokenizer: Tokenizer, shard_tokens: int) -> tuple[_Writer, _Writer]:
    """One split made two. The first part of a document that is cut in two gets an end token of its own."""
    stream = Tokens(
        *_open_shards(folder, whole.facts(), whole.dtype),
        num_bytes=whole.num_bytes,
        num_characters=whole.num_characters,
    )
    size_of = np.array([len(raw) for raw in tokenizer.token_bytes])
    # A byte tokenizer could cut inside a character: bytes 0x80 to 0xBF continue one.
    continues = np.array([raw[:1] >= b"\x80" and raw[:1] < b"\xc0" for raw in tokenizer.token_bytes])
    cut = stream.num_tokens - max(2, stream.num_tokens // 10)
    while 0 < cut < stream.num_tokens - 1 and continues[stream.read(cut, cut + 1)[0]]:
        cut += 1
    if cut < 1:
        return whole, _Writer(folder, "val", whole.dtype, shard_tokens)
    train, val = (_Writer(folder, split, whole.dtype, shard_tokens) for split in ("train.new", "val.new"))
    place = 0
    ends = stream.document_ends.tolist()
    for writer, stop in ((train, cut), (val, stream.num_tokens)):
        borders = [end for end in ends if place < end < stop] + [stop]
        for border in borders:
            while place < border:
                ids = stream.read(place, min(border, place + COPY_TOKENS))
                place += len(ids)
                writer.num_bytes += int(size_of[ids].sum())
                writer.num_characters += len(tokenizer.decode(ids.tolist()))
                ends_here = place == border
                if ends_here and ids[-1] != tokenizer.end_id:
                    ids = np.append(ids, tokenizer.end_id)
                writer.add(ids.astype(np.uint32), ends_document=ends_here)
        writer.close()
    del stream
    for shard in whole.shards:
        for suffix in (".bin", ".idx"):
            (folder / f"{shard.name}{suffix}").unlink()
    for writer, split in ((train, "train"), (val, "val")):
        for index, shard in enumerate(writer.shards):
            name = f"{split}-{index:05d}"
            for suffix in (".bin", ".idx"):
                (folder / f"{shard.name}{suffix}").rename(folder / f"{name}{suffix}")
            writer.shards[index] = ShardFacts(
                name, shard.num_tokens, shard.num_documents, shard.sha256_bin, shard.sha256_idx
            )
    return train, val


def open_data(folder: Path) -> Data:
    """The token shards in a folder; sizes are checked, hashes only by ``damage_of_data``.

    Raises:
        InputError: no shards there, or some are missing or of another size than the manifest says.
    """
    manifest = read_manifest(folder)
    splits = {}
    for name, facts in manifest.splits.items():
        with given_path(folder):
            parts, ends = _open_shards(folder, facts, np.dtype("<u2" if manifest.dtype == "uint16" else "<u4"))
        hashes = " ".join(shard.sha256_bin + shard.sha256_idx for shard in facts.shards)
        splits[name] = Tokens(
            parts,
            ends,
            num_bytes=facts.num_bytes,
            num_characters=facts.num_characters,
            fingerprint=hashlib.sha256(hashes.encode()).hexdigest(),
        )
    val = splits["val"] if splits["val"].num_tokens else None
    return Data(splits["train"], val, manifest, folder)


def read_manifest(folder: Path) -> DataManifest:
    """The manifest of token shards. Raises InputError where there is none or it does not read as one."""
    path = folder / "manifest.json"
    try:
        with given_path(path):
            text = _text_of_manifest(path)
        values = unseal(text)
        splits = {
            name: SplitFacts(**(facts | {"shards": tuple(ShardFacts(**shard) for shard in facts["shards"])}))
            for name, facts in values.pop("splits").items()
        }
        manifest = DataManifest(**values, splits=splits)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"not a manifest of token shards: {error}", where=str(path)) from None
    if manifest.version != FORMAT_VERSION:
        raise InputError(f"format version {manifest.version}", where=str(path), expected=str(FORMAT_VERSION))
    return manifest


def _text_of_manifest(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"no token shards in {path.parent}", expected="a folder with manifest.json") from None


def damage_of_data(folder: Path) -> str | None:
    """What is wrong with token shards, naming the file; None when every byte is as it was written."""
    try:
        manifest = read_manifest(folder)
        open_data(folder)
        with given_path(folder):
            return _other_content(folder, manifest)
    except InputError as error:
        return str(error)


def _other_content(folder: Path, manifest: DataManifest) -> str | None:
    for facts in manifest.splits.values():
        for shard in facts.shards:
            for suffix, expected in ((".bin", shard.sha256_bin), (".idx", shard.sha256_idx)):
                path = folder / f"{shard.name}{suffix}"
                if sha256_file(path) != expected:
                    return f"{path} has other content than was written"
    return damage_of_files(folder, manifest.tokenizer_files)


def _open_shards(folder: Path, facts: SplitFacts, dtype: np.dtype[Any]) -> tuple[list[Ids], npt.NDArray[np.int64]]:
    parts: list[Ids] = []
    ends: list[npt.NDArray[np.int64]] = []
    start = 0
    for shard in facts.shards:
        for suffix, size in ((".bin", shard.num_tokens * dtype.itemsize), (".idx", shard.num_documents * 8)):
            path = folder / f"{shard.name}{suffix}"
            found = path.stat().st_size if path.is_file() else None
            if found != size:
                raise InputError(
                    f"the shard {path} has {found if found is not None else 'no'} bytes",
                    expected=f"{size:,}",
                    fix="prepare the data again",
                )
        parts.append(np.memmap(folder / f"{shard.name}.bin", dtype=dtype, mode="r"))
        ends.append(np.fromfile(folder / f"{shard.name}.idx", dtype="<u8").astype(np.int64) + start)
        start += shard.num_tokens
    return parts, np.concatenate(ends) if ends else np.empty(0, dtype=np.int64)
