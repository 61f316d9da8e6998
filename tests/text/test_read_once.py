"""Files are read once, whatever is made of their text; so text may come through a pipe."""

import gzip
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from textwright.core.errors import InputError
from textwright.text import read as read_module
from textwright.text import spool as spool_module
from textwright.text.document import Chunk, Document
from textwright.text.files import find_files, fingerprint
from textwright.text.read import GivenText, TextFiles
from textwright.text.streams import OpenFile


@contextmanager
def pipe_of(raw: bytes) -> Iterator[Path]:
    """A path as a shell's ``<(command)`` gives it: what is written to it is read once."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as file:
            file.write(raw)

    writer = threading.Thread(target=write)
    writer.start()
    yield Path(f"/dev/fd/{reading}")
    os.close(reading)
    writer.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("some words 月光 of text\n" * 100_000)
    (tmp_path / "texts" / "b.jsonl.gz").write_bytes(gzip.compress(b'{"text": "a", "id": 7}\n{"text": ""}\n' * 50))
    return tmp_path / "texts"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were opened to be read."""
    found: list[Path] = []

    class Noted(OpenFile):
        def __init__(self, path: Path, raw: object) -> None:
            found.append(path)
            super().__init__(path, raw)  # type: ignore[arg-type]

    monkeypatch.setattr(read_module, "OpenFile", Noted)
    return found


@pytest.mark.parametrize("memory", [1, 1 << 24])
def test_a_second_pass_gives_the_same_chunks_without_the_files(
    folder: Path, opened: list[Path], monkeypatch: pytest.MonkeyPatch, memory: int
) -> None:
    monkeypatch.setattr(spool_module, "MEMORY_BYTES", memory)
    plain = list(TextFiles([folder]).chunks())
    opened.clear()
    with TextFiles([folder], scratch=folder) as files:
        passes: list[tuple[list[Chunk], list[int]]] = []
        for _ in range(3):
            seen: list[int] = []
            passes.append((list(files.chunks(again=True, progress=seen.append)), seen))
        assert [chunks for chunks, _ in passes] == [plain] * 3
        assert passes[0][1] == passes[1][1] == passes[2][1]
        assert opened == find_files([folder])
        assert files.fingerprint == fingerprint([folder])
        assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "b.jsonl.gz"]  # nothing with a name


def test_a_path_that_is_not_utf8_and_learned_spans_are_kept_too(tmp_path: Path) -> None:
    document = Document(os.fsdecode(b"caf\xe9.txt"), "1", 3, "qa", ((0, 2), (3, 4)))
    with GivenText([Chunk("text", document)]) as text:
        text.scratch = tmp_path
        assert [list(text.chunks(again=True)) for _ in range(2)] == [[Chunk("text", document)]] * 2


def test_what_was_read_in_part_is_read_again(folder: Path) -> None:
    with TextFiles([folder], scratch=folder) as files:
        first = next(files.texts())
        assert next(files.texts()) == first
        assert len(list(files.chunks())) == len(list(files.chunks()))


def test_a_pipe_is_read_like_a_file(folder: Path) -> None:
    text = "some words of text\n" * 100_000
    with pipe_of(text.encode()) as path, TextFiles([path, folder / "b.jsonl.gz"], scratch=folder) as files:
        assert find_files([path]) == [path]
        seen: list[int] = []
        for _ in range(2):
            chunks = list(files.chunks(again=True, progress=seen.append))
            assert "".join(chunk.text for chunk in chunks if chunk.document.source == str(path)) == text
            assert seen[-1] == len(text) + (folder / "b.jsonl.gz").stat().st_size
    (folder / "copy.txt").write_text(text)
    assert files.fingerprint == fingerprint([folder / "copy.txt", folder / "b.jsonl.gz"])


@pytest.mark.parametrize("name", ["/dev/null", "/dev/zero"])
def test_a_device_is_still_refused(name: str) -> None:
    with pytest.raises(InputError, match="not a regular file"):
        find_files([Path(name)])


def test_a_disk_that_is_full_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, chunk: object, done: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool_module.Spool, "add", full)
    with TextFiles([folder], scratch=folder) as files, pytest.raises(InputError, match="the disk is full"):
        list(files.chunks(again=True))


HASHED: dict[str, Callable[[bytes], bytes]] = {
    "a.txt": lambda raw: raw,
    "a.txt.gz": lambda raw: gzip.compress(raw) + b"\0" * 9,
}


@pytest.mark.parametrize("name", HASHED)
def test_the_hash_is_of_all_bytes_of_the_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(HASHED[name](b"text " * 500_000))
    files = TextFiles([tmp_path / name])
    assert list(files.chunks())
    assert files.fingerprint == fingerprint([tmp_path])
