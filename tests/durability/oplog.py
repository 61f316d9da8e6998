"""The shim's record of what a process did to files, and what of it a power cut would have left."""

import random
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

Kind = Literal["open", "truncate-open", "write", "sync", "truncate", "rename", "exchange", "unlink", "rmdir", "mkdir"]


@dataclass(frozen=True)
class Act:
    """One act; paths are relative to the watched folder."""

    kind: Kind
    path: str
    second: str
    offset: int
    data: bytes


def read_log(path: Path) -> list[Act]:
    """The acts in a log, in order."""
    raw = path.read_bytes()
    return list(_acts(raw))


def _acts(raw: bytes) -> Iterator[Act]:
    place = 0
    while place < len(raw):
        fields = []
        for _ in range(5):
            end = raw.index(b"\0", place)
            fields.append(raw[place:end].decode())
            place = end + 1
        size = int(fields[4])
        yield Act(fields[0], fields[1], fields[2], int(fields[3]), raw[place : place + size])  # type: ignore[arg-type]
        place += size


@dataclass
class _File:
    now: bytes = b""
    synced: bytes = b""


@dataclass
class Disk:
    """A file system that remembers what of each file is on the disk for certain.

    Names (creating, renaming, deleting) come to the disk in their order, as a journaling file system has it; bytes only
    when they are synced.
    """

    names: dict[str, _File | None] = field(default_factory=dict)
    """Path -> file, or None for a folder."""

    def do(self, act: Act) -> None:
        """Do one act of the log."""
        path = act.path
        if act.kind in ("open", "truncate-open"):
            found = self.names.get(path)
            if not isinstance(found, _File):
                self.names[path] = _File()
            elif act.kind == "truncate-open":
                found.now = b""
        elif act.kind == "write":
            file = self._file(path)
            start = file.now[: act.offset].ljust(act.offset, b"\0")
            file.now = start + act.data + file.now[act.offset + len(act.data) :]
        elif act.kind == "truncate":
            file = self._file(path)
            file.now = file.now[: act.offset].ljust(act.offset, b"\0")
        elif act.kind == "sync":
            found = self.names.get(path)
            if isinstance(found, _File):
                found.synced = found.now
        elif act.kind == "rename":
            for name in [name for name in self.names if name == act.second or name.startswith(act.second + "/")]:
                del self.names[name]
            for name in [name for name in self.names if name == path or name.startswith(path + "/")]:
                self.names[act.second + name[len(path) :]] = self.names.pop(name)
        elif act.kind == "exchange":
            both = {path: act.second, act.second: path}
            self.names = {
                both[of] + name[len(of) :] if (of := _folder_of(name, both)) else name: file
                for name, file in self.names.items()
            }
        elif act.kind in ("unlink", "rmdir"):
            self.names.pop(path, None)
        elif act.kind == "mkdir":
            self.names[path] = None

    def _file(self, path: str) -> _File:
        found = self.names.get(path)
        assert isinstance(found, _File), f"{path} was never opened"
        return found

    def lay_out(self, folder: Path, how: Literal["dropped", "cut"], seed: int) -> None:
        """Write what is left after a power cut: bytes that were not synced are gone, or some came through."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        draw = random.Random(seed)
        for name in sorted(self.names, key=lambda name: len(PurePosixPath(name).parts)):
            path, file = folder / name, self.names[name]
            if file is None:
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            left = file.synced
            if how == "cut" and len(file.now) > len(left):
                left = file.now[: draw.randint(len(left), len(file.now))]
            elif how == "cut" and file.now != left:
                left = file.now[: draw.randint(0, len(file.now))]
            path.write_bytes(left)


def _folder_of(name: str, folders: Iterable[str]) -> str | None:
    """Which of the folders a path is, or is in."""
    return next((folder for folder in folders if name == folder or name.startswith(folder + "/")), None)


def spread(acts: Sequence[Act], count: int) -> list[int]:
    """Numbers of ``count`` acts, from 1, evenly spread over each kind of act, every kind among them."""
    by_kind: dict[str, list[int]] = {}
    for number, act in enumerate(acts, 1):
        by_kind.setdefault(act.kind, []).append(number)
    chosen: set[int] = set()
    turn = 0
    while len(chosen) < min(count, len(acts)):
        for numbers in by_kind.values():
            if len(chosen) < count:
                step = (turn * 7919 + len(numbers) // 2) % len(numbers)
                chosen.add(numbers[step])
        turn += 1
    return sorted(chosen)
