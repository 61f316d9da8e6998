"""The files that a model was read from: whether they are still those, and what they hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from textwright.checkpoint.safetensors_folder import SINGLE
from textwright.core.files import sha256_file

Hashes = dict[str, dict[str, Any]]
"""By name: ``size_bytes`` and ``mtime_ns``, by which a hash is remembered, and the ``sha256`` itself."""


@dataclass(frozen=True)
class AdaptedFrom:
    """The folders of a base and of the adapter that is folded into it."""

    base: Path
    adapter: Path


@dataclass(frozen=True)
class ModelFiles:
    """A model folder's config and weights as they were at one moment."""

    folder: Path
    stamps: Mapping[str, tuple[int, int]]
    """By name: size in bytes, and time of the last change in nanoseconds."""

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The files as they are now; those that cannot be seen are left out."""
        return cls(folder, _stamps(folder))

    def are_unchanged(self) -> bool:
        """Whether all of them are there as they were, and no other weights beside them."""
        return bool(self.stamps) and _stamps(self.folder) == self.stamps

    def hashes(self, remembered: Mapping[str, Mapping[str, Any]] | None = None) -> Hashes:
        """What the files hold. The hash of a file of the same name, size and time is not made again.

        It is the hash that ``save_model`` writes into ``textwright.json``, of the bytes that are there now: what was
        written and what another program put in its place since look the same from outside.

        Args:
            remembered: what this gave before.

        Raises:
            OSError: a file does not read.
        """
        found: Hashes = {}
        for name, (size, time) in self.stamps.items():
            facts = {"size_bytes": size, "mtime_ns": time}
            known = (remembered or {}).get(name, {})
            is_known = {key: known.get(key) for key in facts} == facts
            found[name] = facts | {"sha256": known["sha256"] if is_known else sha256_file(self.folder / name)}
        return found


def _stamps(folder: Path) -> dict[str, tuple[int, int]]:
    single = folder / SINGLE
    weights = [single] if single.exists() else [*folder.glob("*.safetensors"), *folder.glob("*.safetensors.index.json")]
    stamps: dict[str, tuple[int, int]] = {}
    for file in sorted([*weights, folder / "config.json"]):
        try:
            facts = file.stat()
        except OSError:
            continue
        stamps[file.name] = (facts.st_size, facts.st_mtime_ns)
    return stamps
