"""A corpus as token shards: which documents validate, and which go into a shard together.

::

    chunks ---- by the hash of their text ----> a unit of train, a unit of val ----> encode ----> shards ----> manifest
"""

import codecs
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path

import numpy as np

from textwright.core.errors import InputError
from textwright.core.files import atomic_folder
from textwright.core.user_paths import given_path
from textwright.data.dataset import DataSplits, TokenDataset, open_data, open_split
from textwright.data.documents import rows_of
from textwright.data.encode import ShardWriter, Unit, encode, num_bytes, write_shard
from textwright.data.manifest import ShardInfo, SplitInfo, ids_dtype, write_manifest
from textwright.text.document import Chunk, Document
from textwright.text.files import combine_hashes
from textwright.text.read import TextFiles
from textwright.text.split import is_validation
from textwright.tokens.tokenizer import Tokenizer

UNIT_CHARACTERS = 16 << 20
"""A unit takes no further document when it holds so much text, which is held in memory until then."""
UNIT_DOCUMENTS = 1 << 16
"""Or so many documents: they take memory, too."""
COPY_TOKENS = 1 << 20
TRAIN, VAL = "train", "val"

SplitOf = Callable[[Chunk], str]
Documents = Iterable[Chunk] | Sequence[Path] | TextFiles


def prepare_data(
    documents: Documents,
    tokenizer: Tokenizer,
    folder: Path,
    *,
    val_documents: Documents | None = None,
    progress: Callable[[int], None] | None = None,
    unit_characters: int = UNIT_CHARACTERS,
) -> DataSplits:
    """Write text as token shards, in a stream: memory does not grow with the text, and each file is read once.

    Args:
        documents: the chunks of documents, files to read them from, or the paths of these.
        tokenizer: makes the ids; every document ends in its end token.
        folder: appears when everything is written, or not at all.
        val_documents: what to validate on. Without it, a tenth of the documents chosen by hash; where that leaves
            one side empty (a single document, say), the last tenth of the text.
        progress: called with the bytes done so far of ``documents``: of files as they lie on the disk, compressed or
            not; else of their text.
        unit_characters: a shard takes no further document when it holds so many.

    Raises:
        InputError: text that cannot be read, or none at all, or a folder that cannot be written.
    """
    given, given_val = _as_files(documents), None if val_documents is None else _as_files(val_documents)
    with given_path(folder), atomic_folder(folder) as new:
        shards: dict[str, list[ShardInfo]] = {TRAIN: [], VAL: []}

        def write(source: TextFiles | Iterable[Chunk], told: Callable[[int], None] | None, split_of: SplitOf) -> None:
            chunks = source.chunks(progress=told) if isinstance(source, TextFiles) else _told(source, told)
            for split, unit in _units(chunks, split_of, unit_characters):
                name = f"{split}-{len(shards[split]):05d}"
                shards[split].append(encode(Unit(name, unit), tokenizer, new))

        if given_val is None:
            how = "a tenth of the documents, by hash"
            write(given, progress, lambda chunk: VAL if is_validation(chunk.text) else TRAIN)
            if not all(shards.values()):
                how = "the last tenth of the text"
                shards[TRAIN], shards[VAL] = split_tail(shards[TRAIN] or shards[VAL], new, tokenizer)
        else:
            how = "given"
            write(given, progress, lambda _: TRAIN)
            write(given_val, None, lambda _: VAL)
        if not shards[TRAIN]:
            raise InputError("no text to train on", expected="at least one document that is not empty")
        hashes = [digest for source in (given, given_val) if isinstance(source, TextFiles) for digest in source.hashes]
        splits = {split: SplitInfo.of(found) for split, found in shards.items()}
        write_manifest(new, tokenizer, splits, split=how, sources_sha256=combine_hashes(hashes) if hashes else None)
    return open_data(folder)


def _as_files(source: Documents) -> TextFiles | Iterable[Chunk]:
    if isinstance(source, TextFiles):
        return source
    paths = [item for item in source if isinstance(item, Path)] if isinstance(source, Sequence) else []
    return TextFiles(paths) if paths else (chunk for chunk in source if isinstance(chunk, Chunk))


def _told(chunks: Iterable[Chunk], progress: Callable[[int], None] | None) -> Iterator[Chunk]:
    """Documents in memory, and when each chunk is done with, the bytes of their text so far."""
    done = 0
    for chunk in chunks:
        yield chunk
        done += num_bytes(chunk.text)
        if progress is not None:
            progress(done)


def _units(chunks: Iterable[Chunk], split_of: SplitOf, most_characters: int) -> Iterator[tuple[str, Iterable[Chunk]]]:
    """(split, its next unit), documents in their order; those without text are left out.

    A document that is longer than a unit is one by itself with what is before it, and is not held: its unit has to be
    gone through before the next is asked for.
    """
    held: dict[str, list[Chunk]] = {TRAIN: [], VAL: []}
    sizes = dict.fromkeys(held, 0)
    stream = iter(chunks)
    for first in stream:
        if first.is_last and not first.text.strip():
            continue
        split = split_of(first)
        document = _document(first, stream)
        for chunk in document:
            held[split].append(chunk)
            sizes[split] += len(chunk.text)
            if sizes[split] >= most_characters or len(held[split]) >= UNIT_DOCUMENTS:
                yield split, chain(held[split], document)
                held[split], sizes[split] = [], 0
    yield from ((split, unit) for split, unit in held.items() if unit)


def _document(first: Chunk, stream: Iterator[Chunk]) -> Iterator[Chunk]:
    """The chunks of one document, the others taken from the stream."""
    yield first
    while not first.is_last:
        first = next(stream)
        yield first


def split_tail(
    shards: Sequence[ShardInfo], folder: Path, tokenizer: Tokenizer
) -> tuple[list[ShardInfo], list[ShardInfo]]:
    """One split made two, the last tenth to validate on.

    The first part of a document that is cut in two gets an end token of its own. A text that is too short stays whole.
    """
    whole = open_split(folder, SplitInfo.of(shards), ids_dtype(tokenizer))
    cut = _place_of_tail(whole, tokenizer)
    if cut < 1:
        return list(shards), []
    made = folder / "split"
    made.mkdir()
    found = []
    for split, start, stop in ((TRAIN, 0, cut), (VAL, cut, whole.num_tokens)):
        with write_shard(made, f"{split}-00000", ids_dtype(tokenizer)) as shard:
            _copy_text(whole, start, stop, tokenizer, shard)
        found.append([shard.info()])
    del whole
    for name in (name for info in shards for name in info.files):
        (folder / name).unlink()
    for path in made.iterdir():
        path.rename(folder / path.name)
    made.rmdir()
    return found[0], found[1]


def _place_of_tail(whole: TokenDataset, tokenizer: Tokenizer) -> int:
    """Where the last tenth begins, or a little later: a tokenizer of bytes could cut inside a character."""
    # Bytes 0x80 to 0xBF continue one.
    continues = np.array([raw[:1] >= b"\x80" and raw[:1] < b"\xc0" for raw in tokenizer.token_bytes])
    cut = whole.num_tokens - max(2, whole.num_tokens // 10)
    while 0 < cut < whole.num_tokens - 1 and continues[whole.read(cut, cut + 1)[0]]:
        cut += 1
    return cut


def _copy_text(whole: TokenDataset, start: int, stop: int, tokenizer: Tokenizer, shard: ShardWriter) -> None:
    """The documents from ``start`` to ``stop``, the last of them ended where it is cut."""
    size_of = np.array([len(raw) for raw in tokenizer.token_bytes])
    table, characters = tokenizer.token_bytes, codecs.getincrementaldecoder("utf-8")("replace")
    ends = [*(end for end in whole.document_ends.tolist() if start < end < stop), stop]
    first = int(np.searchsorted(whole.document_ends, start, side="right"))
    for document, end in zip(rows_of(whole.documents.slice(first, len(ends))), ends, strict=True):
        begin = start
        while start < end:
            ids = whole.read(start, min(end, start + COPY_TOKENS))
            start += len(ids)
            shard.num_bytes += int(size_of[ids].sum())
            shard.num_characters += len(characters.decode(b"".join([table[token] for token in ids.tolist()])))
            if start == end and ids[-1] != tokenizer.end_id:
                ids = np.append(ids, tokenizer.end_id)
            shard.add(ids.astype(np.uint32))
        # The part that begins in the middle of its document has the spans that lie in it, counted from there on.
        before = begin - (int(whole.document_ends[first - 1]) if first else 0)
        shard.end_document(_cut_spans(document, before, before + end - begin))
        first += 1


def _cut_spans(document: Document, start: int, stop: int) -> Document:
    """The document as its tokens from ``start`` to ``stop`` are one."""
    if document.spans is None:
        return document
    cut = [(max(first, start) - start, min(last, stop) - start) for first, last in document.spans]
    return replace(document, spans=tuple((first, last) for first, last in cut if first < last))


def write_tokens(tokens: TokenDataset, tokenizer: Tokenizer, folder: Path) -> DataSplits:
    """Write documents that are token ids already as token shards, all to train on.

    Args:
        tokens: the documents, at least one token of them.
        tokenizer: made the ids.
        folder: appears when everything is written, or not at all.
    """
    with atomic_folder(folder) as new:
        with write_shard(new, f"{TRAIN}-00000", ids_dtype(tokenizer)) as shard:
            shard.num_bytes, shard.num_characters = tokens.num_bytes, tokens.num_characters
            known = repeat(Document("memory")) if tokens.documents is None else rows_of(tokens.documents)
            start = 0
            for document, end in zip(known, tokens.document_ends.tolist(), strict=False):
                shard.add(tokens.read(start, end).astype(np.uint32))
                shard.end_document(document)
                start = end
        splits = {TRAIN: SplitInfo.of([shard.info()]), VAL: SplitInfo.of([])}
        write_manifest(new, tokenizer, splits, split="none", sources_sha256=None)
    return open_data(folder)
