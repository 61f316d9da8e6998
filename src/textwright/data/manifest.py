"""The manifest of token shards: what a folder of them holds, with the hash of every file."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from textwright.core.errors import InputError
from textwright.core.sealed import describe_files, seal, unseal
from textwright.core.user_paths import given_path
from textwright.tokens.tokenizer import Tokenizer

FORMAT_VERSION = 2
READABLE_VERSIONS = (1, 2)
SUFFIXES = (".bin", ".idx", ".arrow")
"""Of a shard's files: the ids, where documents end, the documents table."""


@dataclass(frozen=True)
class ShardInfo:
    """One shard as the manifest has it."""

    name: str
    num_tokens: int
    num_documents: int
    sha256_bin: str
    sha256_idx: str
    num_bytes: int = 0
    """Of its text; folders of version 1 do not say."""
    num_characters: int = 0
    """Likewise."""
    sha256_documents: str | None = None
    """Of the documents table; folders of version 1 have none."""
    has_spans: bool = False
    """Whether of some documents only spans are learned."""

    @property
    def files(self) -> dict[str, str]:
        """The names of the shard's files, and their SHA-256."""
        hashes = (self.sha256_bin, self.sha256_idx, self.sha256_documents)
        return {f"{self.name}{suffix}": sha256 for suffix, sha256 in zip(SUFFIXES, hashes, strict=True) if sha256}

    @property
    def learned_hashes(self) -> str:
        """Of what is learned, one after the other: the ids, their documents, and the spans where there are any."""
        return self.sha256_bin + self.sha256_idx + (self.sha256_documents or "" if self.has_spans else "")


@dataclass(frozen=True)
class SplitInfo:
    """One split as the manifest has it."""

    num_tokens: int
    num_documents: int
    num_bytes: int
    """Bytes of the text in UTF-8, end tokens not counted."""
    num_characters: int
    shards: tuple[ShardInfo, ...]

    @classmethod
    def of(cls, shards: Sequence[ShardInfo]) -> Self:
        """The split of these shards."""
        return cls(
            sum(shard.num_tokens for shard in shards),
            sum(shard.num_documents for shard in shards),
            sum(shard.num_bytes for shard in shards),
            sum(shard.num_characters for shard in shards),
            tuple(shards),
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the hashes of the shards: the same tokens, the same fingerprint."""
        return _hash_of(self.shards)


@dataclass(frozen=True)
class DataManifest:
    """What ``manifest.json`` says."""

    dtype: Literal["uint16", "uint32"]
    tokenizer_sha256: str
    split: str
    """How validation was chosen, in words."""
    sources_sha256: str | None
    """Fingerprint of the files of the text, as ``text.files.fingerprint`` has it; None for other documents."""
    tokenizer_files: dict[str, dict[str, Any]]
    """Size and SHA-256 of the tokenizer's files."""
    splits: dict[str, SplitInfo]
    version: int = FORMAT_VERSION

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the hashes of all shards: the same tokens, the same fingerprint."""
        return _hash_of(shard for name in sorted(self.splits) for shard in self.splits[name].shards)

    @property
    def ids_dtype(self) -> np.dtype[Any]:
        """Of the ids on disk."""
        return np.dtype("<u2" if self.dtype == "uint16" else "<u4")


def ids_dtype(tokenizer: Tokenizer) -> np.dtype[Any]:
    """How the ids of a tokenizer lie on disk."""
    return np.dtype("<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4")


def write_manifest(
    folder: Path, tokenizer: Tokenizer, splits: dict[str, SplitInfo], *, split: str, sources_sha256: str | None
) -> None:
    """The tokenizer, and the manifest that says what is whole."""
    tokenizer.save(folder)
    tokenizer_files = describe_files(folder, ("tokenizer.json", *tokenizer.files_beside()))
    name: Literal["uint16", "uint32"] = "uint16" if ids_dtype(tokenizer).itemsize == 2 else "uint32"
    manifest = DataManifest(name, tokenizer.fingerprint, split, sources_sha256, tokenizer_files, splits)
    (folder / "manifest.json").write_text(seal(asdict(manifest)), encoding="utf-8")


def read_manifest(folder: Path) -> DataManifest:
    """The manifest of token shards. Raises InputError where there is none or it does not read as one."""
    path = folder / "manifest.json"
    try:
        with given_path(path):
            text = _text_of_manifest(path)
        values = unseal(text)
        splits = {
            name: SplitInfo(**(info | {"shards": tuple(ShardInfo(**shard) for shard in info["shards"])}))
            for name, info in values.pop("splits").items()
        }
        manifest = DataManifest(**values, splits=splits)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"not a manifest of token shards: {error}", where=str(path)) from None
    if manifest.version not in READABLE_VERSIONS:
        expected = " or ".join(map(str, READABLE_VERSIONS))
        raise InputError(f"format version {manifest.version}", where=str(path), expected=expected)
    return manifest


def _text_of_manifest(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"no token shards in {path.parent}", expected="a folder with manifest.json") from None


def _hash_of(shards: Iterable[ShardInfo]) -> str:
    return hashlib.sha256(" ".join(shard.learned_hashes for shard in shards).encode()).hexdigest()
