"""A corpus as token shards: which documents go into a shard together.

::

    chunks ---- by the split ----> a unit of train, a unit of val ----> encode ----> shards ----> manifest
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, repeat
from pathlib import Path

import numpy as np

from textwright.core.errors import InputError
from textwright.core.files import atomic_folder
from textwright.core.user_paths import given_path
from textwright.data.dataset import DataSplits, TokenDataset, open_data
from textwright.data.documents import rows_of
from textwright.data.encode import Unit, encode, write_shard
from textwright.data.manifest import ShardInfo, SplitInfo, ids_dtype, write_manifest
from textwright.text.document import Chunk, Document
from textwright.text.files import combine_hashes
from textwright.text.read import GivenText, Text, TextFiles
from textwright.text.split import TRAIN, VAL, Sided, all_on, choose_split
from textwright.tokens.tokenizer import Tokenizer

UNIT_CHARACTERS = 16 << 20
"""A unit takes no further document when it holds so much text, which is held in memory until then."""
UNIT_DOCUMENTS = 1 << 16
"""Or so many documents: they take memory, too."""

Documents = Iterable[Chunk] | Sequence[Path] | Text


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
        val_documents: what to validate on. Without it, a tenth of the documents chosen by hash; of few documents, or
            where that would be out of proportion, the last tenth of each (see ``text.split``). The text is kept packed
            in the folder while that is found out.
        progress: called with the bytes done so far of ``documents``: of files as they lie on the disk, compressed or
            not; else of their text.
        unit_characters: a shard takes no further document when it holds so many.

    Raises:
        InputError: text that cannot be read, or none at all, or a folder that cannot be written.
    """
    with given_path(folder), atomic_folder(folder) as new, ExitStack() as stack:
        given = _as_text(documents, stack)
        val = None if val_documents is None else _as_text(val_documents, stack)
        given.scratch = given.scratch or new
        shards: dict[str, list[ShardInfo]] = {TRAIN: [], VAL: []}

        def write(sided: Sided) -> None:
            for side, unit in _units(sided, unit_characters):
                name = f"{side}-{len(shards[side]):05d}"
                shards[side].append(encode(Unit(name, unit), tokenizer, new))

        if val is None:
            split = choose_split(lambda: given.chunks(again=True))
            how = split.description
            write(split.sides(given.chunks(progress=progress)))
        else:
            how = "given"
            write(all_on(TRAIN, given.chunks(progress=progress)))
            write(all_on(VAL, val.chunks()))
        if not shards[TRAIN]:
            raise InputError("no text to train on", expected="at least one document that is not empty")
        hashes = [digest for text in (given, val) if isinstance(text, TextFiles) for digest in text.hashes]
        splits = {side: SplitInfo.of(found) for side, found in shards.items()}
        write_manifest(new, tokenizer, splits, split=how, sources_sha256=combine_hashes(hashes) if hashes else None)
    return open_data(folder)


def _as_text(source: Documents, stack: ExitStack) -> Text:
    """What is made of it here is closed with the stack."""
    if isinstance(source, Text):
        return source
    paths = [item for item in source if isinstance(item, Path)] if isinstance(source, Sequence) else []
    if paths:
        return stack.enter_context(TextFiles(paths))
    return stack.enter_context(GivenText(chunk for chunk in source if isinstance(chunk, Chunk)))


def _units(sided: Sided, most_characters: int) -> Iterator[tuple[str, Iterable[Chunk]]]:
    """(side, its next unit), documents in their order.

    A document that is longer than a unit is one by itself with what is before it, and is not held: its unit has to be
    gone through before the next is asked for.
    """
    held: dict[str, list[Chunk]] = {TRAIN: [], VAL: []}
    sizes = dict.fromkeys(held, 0)
    for side, chunk in sided:
        held[side].append(chunk)
        sizes[side] += len(chunk.text)
        if sizes[side] >= most_characters or len(held[side]) >= UNIT_DOCUMENTS:
            yield side, chain(held[side], _rest(chunk, sided))
            held[side], sizes[side] = [], 0
    yield from ((side, unit) for side, unit in held.items() if unit)


def _rest(chunk: Chunk, sided: Sided) -> Iterator[Chunk]:
    """The chunks of a document after one of them."""
    while not chunk.is_last:
        _, chunk = next(sided)
        yield chunk


def write_tokens(
    tokens: TokenDataset, tokenizer: Tokenizer, folder: Path, *, val: TokenDataset | None = None
) -> DataSplits:
    """Write documents that are token ids already as token shards.

    Args:
        tokens: the documents to train on, at least one token of them.
        tokenizer: made the ids.
        folder: appears when everything is written, or not at all.
        val: those to validate on.
    """
    with atomic_folder(folder) as new:
        splits = {
            name: SplitInfo.of([] if given is None else [_write_whole(given, name, tokenizer, new)])
            for name, given in ((TRAIN, tokens), (VAL, val))
        }
        write_manifest(new, tokenizer, splits, split="none" if val is None else "given", sources_sha256=None)
    return open_data(folder)


def _write_whole(tokens: TokenDataset, split: str, tokenizer: Tokenizer, folder: Path) -> ShardInfo:
    """All of a split as one shard."""
    with write_shard(folder, f"{split}-00000", ids_dtype(tokenizer)) as shard:
        shard.num_bytes, shard.num_characters = tokens.num_bytes, tokens.num_characters
        known = repeat(Document("memory")) if tokens.documents is None else rows_of(tokens.documents)
        start = 0
        for document, end in zip(known, tokens.document_ends.tolist(), strict=False):
            shard.add(tokens.read(start, end).astype(np.uint32))
            shard.end_document(document)
            start = end
    return shard.info()
