"""The files of text at paths, what is left out there, and what they hold as one hash."""

import hashlib
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from textwright.core.errors import InputError
from textwright.core.files import sha256_file
from textwright.core.user_paths import given_path
from textwright.text.streams import PACKED

# fmt: off
ARCHIVES = (
    ".7z", ".bz2", ".egg", ".jar", ".lz4", ".rar", ".tar", ".tbz2", ".tgz", ".txz", ".whl", ".xz", ".zip",
)
BINARY = frozenset((
    ".a", ".arrow", ".bin", ".bmp", ".class", ".dll", ".docx", ".dylib", ".epub", ".exe", ".feather", ".gguf",
    ".gif", ".h5", ".ico", ".idx", ".jpeg", ".jpg", ".mo", ".mp3", ".mp4", ".npy", ".npz", ".o", ".odt", ".ogg",
    ".onnx", ".pdf", ".pkl", ".png", ".pptx", ".pt", ".pyc", ".pyd", ".pyo", ".safetensors", ".so", ".split",
    ".sqlite", ".tif", ".tiff", ".ttf", ".wav", ".webp", ".woff", ".woff2", ".xlsx",
))
# fmt: on
"""In a folder only what is likely text is read; a file that is named is read whatever it is called."""

_RUN = {"config.toml", "journal.jsonl"}
_TOKENIZERS = ({"tokenizer.json"}, {"vocab.json", "merges.txt"}, {"encoder.json", "vocab.bpe"})
_TOKENIZER_FILES = frozenset(
    (
        *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
        *("chat_template.jinja", "vocab.json", "vocab.txt", "merges.txt", "encoder.json", "vocab.bpe"),
    )
)
_MODEL_FILES = _TOKENIZER_FILES | {
    *("config.json", "generation_config.json", "textwright.json", "model.safetensors.index.json", "cache"),
    "pytorch_model.bin.index.json",
}
_SHARD_FILES = _TOKENIZER_FILES | {"manifest.json"}
STANDARD_INPUT = Path("/dev/stdin")
_PLURALS = {
    "an archive": "archives",
    "a run": "runs",
    "a link to a folder": "links to folders",
    "a link to nothing": "links to nothing",
    "not a regular file": "not regular files",
}
VALIDATED_ON = "validated on"
"""What is said of files that are left out of training for that."""
SHOWN_NAMES = 2
"""More files of one kind are counted."""


@dataclass(frozen=True)
class FoundFiles:
    """What is at paths."""

    files: list[Path] = field(default_factory=list)
    """The files of text, in order."""
    left_out: dict[str, list[str]] = field(default_factory=dict)
    """The names of all else in folders, by what it is."""

    def leave_out(self, name: str, kind: str) -> None:
        """Note what is no text."""
        self.left_out.setdefault(kind, []).append(name)


def find_files(paths: Sequence[Path], *, but: Sequence[Path] = ()) -> list[Path]:
    """The files of text at ``paths``. See ``search``.

    Raises:
        InputError: as ``search``, or none is left.
    """
    found = search(paths, but=but).files
    if not found:
        raise none_left(paths)
    return found


def none_left(paths: Sequence[Path]) -> InputError:
    """The error where all files are validated on."""
    return InputError(
        "no text is left to train on: all of it is text to validate on, too",
        where=", ".join(map(str, paths[:3])),
        fix="give other files to train on, or none to validate on",
    )


def search(paths: Sequence[Path], *, but: Sequence[Path] = ()) -> FoundFiles:
    """The files of text at ``paths``: files as named, folders searched through in sorted order.

    ``~`` is the home folder, ``-`` standard input. Links to folders are not followed. In folders, hidden files, empty
    ones, those of binary formats and archives are left out, and so are runs, models and tokenizers. A pipe is read
    where it was handed over open.

    Args:
        paths: files and folders.
        but: files and folders whose files are left out, by whatever name they are found: what is validated on.

    Raises:
        InputError: a path that is not there, is neither file nor folder, or a folder without text.
    """
    if not paths:
        raise InputError("no text", expected="at least one file or folder")
    found = FoundFiles()
    for path in map(expand, paths):
        with given_path(path):
            _search(path, found)
    if but:
        validated = {_identity(path) for path in search(but).files}
        candidates, found.files[:] = found.files[:], []
        for path in candidates:
            if _identity(path) in validated:
                found.leave_out(path.name, VALIDATED_ON)
            else:
                found.files.append(path)
    return found


def _identity(path: Path) -> tuple[int, int]:
    """The same for every name of a file."""
    with given_path(path):
        facts = path.stat()
    return facts.st_dev, facts.st_ino


def expand(path: Path) -> Path:
    """The path that a person means by ``~`` and ``-``."""
    if path == Path("-"):
        return STANDARD_INPUT
    return expand_home(path)


def expand_home(path: Path) -> Path:
    """The path with the home folder for ``~``."""
    try:
        return path.expanduser()
    except RuntimeError:  # ~NAME, and nobody is called so
        return path


def _search(path: Path, found: FoundFiles) -> None:
    mode = path.stat().st_mode
    if stat.S_ISREG(mode) or (stat.S_ISFIFO(mode) and is_descriptor(path)):
        found.files.append(path)
        return
    if path == STANDARD_INPUT and stat.S_ISCHR(mode) and sys.stdin is not None and sys.stdin.isatty():
        raise InputError("standard input is a terminal", expected="text from a pipe or a file", fix="name a file")
    if not stat.S_ISDIR(mode):
        raise InputError(f"{path} is not a regular file", expected="a file or a folder")
    here = FoundFiles()
    _walk(path, here)
    if not here.files:
        expected = "files such as .txt, .md, .jsonl or .csv"
        raise InputError(f"no text in the folder {path}", expected=expected, fix=describe_left_out(here.left_out))
    found.files.extend(here.files)
    for kind, names in here.left_out.items():
        found.left_out.setdefault(kind, []).extend(names)


def describe_left_out(left_out: Mapping[str, Sequence[str]]) -> str:
    """What was left out, in one line: ``c.pdf left out: not text``."""
    parts = []
    for kind, names in sorted(left_out.items()):
        shown = " and ".join(names) if len(names) <= SHOWN_NAMES else f"{len(names):,}"
        parts.append(f"{shown} left out: {kind if len(names) == 1 else _PLURALS.get(kind, kind)}")
    return "; ".join(parts)


def is_descriptor(path: Path) -> bool:
    """Whether a path is a file that this process was given open, as a shell's ``<(command)`` or ``/dev/stdin``.

    A pipe that is one has a writer, and is read once. One with a name of its own might be waited on for ever.
    """
    return path == STANDARD_INPUT or path.parent in (Path("/dev/fd"), Path("/proc/self/fd"))


def combine_hashes(hashes: Sequence[str]) -> str:
    """The fingerprint of files, from the SHA-256 of each."""
    return hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def fingerprint(paths: Sequence[Path], val_paths: Sequence[Path] = ()) -> str:
    """SHA-256 over the hashes of the files at ``paths``: the same bytes in the same order, the same fingerprint.

    Args:
        paths: files and folders.
        val_paths: those to validate on, which count after the others, once.

    Raises:
        InputError: as ``find_files``, or a file that cannot be read.
    """
    hashes = []
    validated = find_files(val_paths) if val_paths else []
    for path in [*search(paths, but=val_paths).files, *validated]:
        with given_path(path):
            hashes.append(sha256_file(path))
    return combine_hashes(hashes)


def _walk(top: Path, found: FoundFiles) -> None:
    for root, folders, names in os.walk(top, onerror=_refuse):
        folder = Path(root)
        if set(names) >= _RUN:
            found.leave_out(_name_in(top, folder), "a run")
            folders.clear()
            continue
        ours, kind = _own_files(names)
        kept = []
        for name in sorted(folders):
            what = _kind_of_folder(folder / name, ours, kind)
            if what:
                found.leave_out(_name_in(top, folder / name), what)
            else:
                kept.append(name)
        folders[:] = kept
        for name in sorted(names):
            what = _kind_of_file(folder / name, ours, kind)
            if what:
                found.leave_out(_name_in(top, folder / name), what)
            else:
                found.files.append(folder / name)


def _own_files(names: Sequence[str]) -> tuple[frozenset[str], str]:
    """The files of a model, of token shards or of a tokenizer, where a folder holds one; other files are text."""
    there = set(names)
    has_weights = any(name.endswith((".safetensors", ".safetensors.index.json", "model.bin")) for name in names)
    if "config.json" in there and has_weights:
        return _MODEL_FILES, "of a model"
    if there >= {"manifest.json", "tokenizer.json"}:
        return _SHARD_FILES, "of token shards"
    if any(there >= files for files in _TOKENIZERS):
        return _TOKENIZER_FILES, "of a tokenizer"
    return frozenset(), ""


def _kind_of_folder(path: Path, ours: frozenset[str], kind: str) -> str:
    if path.name.startswith("."):
        return "hidden"
    if path.name == "__pycache__":
        return "not text"
    if path.name in ours:
        return kind
    return "a link to a folder" if path.is_symlink() else ""


def _kind_of_file(path: Path, ours: frozenset[str], kind: str) -> str:
    """What a file is that is not read; nothing for one that is."""
    name = path.name.lower()
    if name.startswith("."):
        return "hidden"
    if path.name in ours:
        return kind
    unpacked = path.with_suffix("").name.lower() if path.suffix.lower() in PACKED else name
    if unpacked.endswith(ARCHIVES):
        return "an archive"
    if Path(unpacked).suffix in BINARY:
        return "not text"
    return _kind_of_content(path)


def _kind_of_content(path: Path) -> str:
    # A FIFO or a device would be waited on for ever.
    try:
        facts = path.stat()
    except OSError:
        return "a link to nothing"
    if not stat.S_ISREG(facts.st_mode):
        return "not a regular file"
    return "" if facts.st_size else "empty"


def _name_in(top: Path, path: Path) -> str:
    return top.name if path == top else path.relative_to(top).as_posix()


def _refuse(error: OSError) -> None:
    # Left out in silence, a folder's text would be missed by nobody until the model does not know of it.
    with given_path(Path(os.fsdecode(error.filename))):
        raise error
