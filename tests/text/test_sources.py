"""Every format of file is read as the same documents, and what cannot be read is named with its place."""

import csv
import gzip
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import regex
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from textwright.core.errors import InputError
from textwright.text import chunks as chunks_module
from textwright.text.chunks import split_chunks
from textwright.text.document import Chunk, Document
from textwright.text.files import find_files, fingerprint
from textwright.text.normalise import normalise
from textwright.text.read import read_chunks, read_texts
from textwright.text.split import is_validation
from textwright.tokens.fast import GPT2_PATTERN

TEXTS = ["first text\nwith two lines, and a comma", "zweiter Text: größer", "床前明月光", '"quoted" text 😀']


def as_jsonl(texts: list[str]) -> bytes:
    return "".join(json.dumps({"id": 1, "text": text}) + "\n" for text in texts).encode()


def as_csv(texts: list[str], delimiter: str = ",") -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerows([["id", "text"], *([index, text] for index, text in enumerate(texts))])
    return out.getvalue().encode()


def as_parquet(texts: list[str]) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"id": list(range(len(texts))), "text": texts}), out)
    return out.getvalue()


def damaged_parquet() -> bytes:
    """A table whose end is whole, and whose pages are not."""
    raw = bytearray(as_parquet(["text"] * 100))
    end = len(raw) - 8 - int.from_bytes(raw[-8:-4], "little")
    raw[4:end] = b"\xff" * (end - 4)
    return bytes(raw)


FORMATS: dict[str, Callable[[list[str]], bytes]] = {
    ".jsonl": as_jsonl,
    ".ndjson": as_jsonl,
    ".json": lambda texts: json.dumps([{"text": text} for text in texts]).encode(),
    ".csv": as_csv,
    ".tsv": lambda texts: as_csv(texts, "\t"),
    ".parquet": as_parquet,
}
COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "": lambda raw: raw,
    ".gz": gzip.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


def texts_of(*paths: Path, **reading: str) -> list[str]:
    """Whole documents, their chunks joined."""
    found, held = [], ""
    for item in read_chunks(paths, **reading):  # type: ignore[arg-type]
        held += item.text
        if item.is_last:
            found.append(held)
            held = ""
    assert held == "", "the last chunk of a document is missing"
    assert list(read_texts(paths, **reading)) == found
    return found


@pytest.mark.parametrize("compression", COMPRESSED)
@pytest.mark.parametrize("suffix", FORMATS)
def test_tables_of_every_format_give_the_same_texts(tmp_path: Path, suffix: str, compression: str) -> None:
    path = tmp_path / f"data{suffix}{compression}"
    path.write_bytes(COMPRESSED[compression](FORMATS[suffix](TEXTS)))
    quoted = {"quoting": "csv"} if suffix == ".tsv" else {}  # else a quotation mark is a character there
    assert texts_of(path, **quoted) == TEXTS


@pytest.mark.parametrize("compression", COMPRESSED)
def test_a_plain_file_is_one_document(tmp_path: Path, compression: str) -> None:
    path = tmp_path / f"text.txt{compression}"
    path.write_bytes(COMPRESSED[compression]("\n".join(TEXTS).encode()))
    assert texts_of(path) == ["\n".join(TEXTS)]


def test_a_folder_is_read_in_order_without_links_to_folders_hidden_or_binary_files(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/2.txt", "a.txt", "c.py", ".hidden.txt", "picture.png", "b/model.bin"):
        (tmp_path / name).write_text(name)
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.txt")
    assert [file.relative_to(tmp_path).as_posix() for file in find_files([tmp_path])] == ["a.txt", "c.py", "b/2.txt"]


def test_another_field_may_hold_the_text_and_lists_of_lines_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "poems.json"
    path.write_text(json.dumps([{"title": "t", "paragraphs": ["床前明月光，", "疑是地上霜。"]}], ensure_ascii=False))
    assert texts_of(path, text_field="paragraphs") == ["床前明月光，\n疑是地上霜。"]
    with pytest.raises(InputError, match="no field 'text'.*name the text's field with --text-field"):
        texts_of(path)


def test_line_ends_become_one_kind_and_nuls_go(tmp_path: Path) -> None:
    path = tmp_path / "dos.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\x00\n")
    assert texts_of(path) == ["one\ntwo\nthree\n"]
    assert normalise("a\r\n\rb") == "a\n\nb"


@pytest.mark.parametrize("read_bytes", [1, 2, 3, 7])
def test_characters_and_line_ends_survive_any_cut_of_the_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_bytes: int
) -> None:
    monkeypatch.setattr("textwright.text.lines.READ_BYTES", read_bytes)
    path = tmp_path / "text.txt"
    path.write_bytes("\ufeffä床😀\r\nx\r\r\ny\r".encode())
    assert texts_of(path) == ["ä床😀\nx\n\ny\n"]


def test_invalid_utf8_is_refused_with_file_and_offset_and_replaced_when_asked(tmp_path: Path) -> None:
    raw = "a" * 1_500_000 + "ä" + "b\xff"
    path = tmp_path / "latin.txt"
    path.write_bytes(raw.encode("utf-8")[:-2] + b"\xff end")
    with pytest.raises(InputError, match=r"latin\.txt is not UTF-8 at byte 1,500,003;.*--invalid-utf8 replace"):
        texts_of(path)
    assert texts_of(path, invalid_utf8="replace") == ["a" * 1_500_000 + "äb\ufffd end"]


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("empty.txt", b"", r"the file .*empty\.txt is empty"),
        ("bad.jsonl", b'{"text": "a"}\n{"text": \n', r"not valid JSON.*bad\.jsonl:2"),
        ("deep.jsonl", b"[" * 100_000, r"not valid JSON.*deep\.jsonl:1"),
        ("number.jsonl", b'{"text": 5}\n', r"'text' is int; in .*number\.jsonl:1; expected text"),
        ("field.jsonl", b'{"txt": "a"}\n', r"no field 'text'.*--text-field txt"),
        ("half.jsonl", b'{"text": "\\ud83d"}\n', "half a surrogate pair"),
        ("latin.jsonl", b'{"text": "a"}\n{"text": "\xe4"}\n', r"latin\.jsonl is not UTF-8 at byte 24"),
        ("bad.json", b'[{"text": "a"}', r"not valid JSON.*bad\.json"),
        ("rows.csv", b"id,text\n1,a\n2,b,c\n", r"another number of fields than the header; in .*rows\.csv:3"),
        ("bad.parquet", b"PAR1 nothing", "not a Parquet file"),
        ("cut.txt.gz", gzip.compress(b"text" * 1000, mtime=0)[:-12], "cannot be decompressed"),
        ("bad.txt.gz", gzip.compress(b"text", mtime=0)[:10] + b"\xff" * 100, "cannot be decompressed"),
        ("bad.parquet.gz", gzip.compress(b"PAR1 nothing", mtime=0), "not a Parquet file"),
        ("damaged.parquet", damaged_parquet(), "not a Parquet file"),
        ("wrong.txt.gz", b"plain text", "cannot be decompressed"),
        ("cut.txt.zst", zstandard.ZstdCompressor().compress(os.urandom(5000))[:-2000], "cannot be decompressed"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_the_place(tmp_path: Path, name: str, raw: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(InputError, match=message) as caught:
        texts_of(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_places_without_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"x")
    with pytest.raises(InputError, match="no text in the folder"):
        find_files([tmp_path])
    with pytest.raises(InputError, match="there is no file or folder .*missing"):
        find_files([tmp_path / "missing"])
    with pytest.raises(InputError, match="no text; expected at least one file or folder"):
        find_files([])


def test_a_long_document_comes_in_chunks_of_bounded_size(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    text = "some words of text, again and again\n" * 100_000
    path.write_text(text)
    found = list(read_chunks([path]))
    assert "".join(item.text for item in found) == text
    assert [item.is_last for item in found] == [False] * (len(found) - 1) + [True]
    assert len(found) >= 3
    assert max(len(item.text) for item in found) <= chunks_module.CHUNK_CHARACTERS


TEXT_WITHOUT_WHITE_SPACE = {
    "Chinese with its punctuation": "床前明月光，疑是地上霜。舉頭望明月，低頭思故鄉。",
    "letters alone": "床前明月光疑是地上霜",
    "accents as marks of their own": "e\u0301",
    "digits and letters": "0123456789abcdef",
    "white space alone": " ",
}


@pytest.mark.parametrize("suffix", [".txt", ".jsonl"])
@pytest.mark.parametrize("name", TEXT_WITHOUT_WHITE_SPACE)
def test_a_text_without_white_space_comes_in_chunks_of_bounded_size_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, suffix: str
) -> None:
    monkeypatch.setattr(chunks_module, "CHUNK_CHARACTERS", 1000)
    monkeypatch.setattr("textwright.text.lines.READ_BYTES", 700)
    unit = TEXT_WITHOUT_WHITE_SPACE[name]
    text = unit * (20_000 // len(unit))
    path = tmp_path / f"text{suffix}"
    path.write_bytes(text.encode() if suffix == ".txt" else as_jsonl([text]))
    found = list(read_chunks([path]))
    assert "".join(item.text for item in found) == text
    assert [item.is_last for item in found] == [False] * (len(found) - 1) + [True]
    assert max(len(item.text) for item in found) <= 1000
    assert len(found) <= 25  # as long as can be
    if "punctuation" in name:
        assert {item.text[0] for item in found[1:]} <= {"，", "。"}
    assert not any(item.text.startswith("\u0301") for item in found)


def test_after_a_long_run_without_white_space_a_text_is_cut_at_white_space_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks_module, "CHUNK_CHARACTERS", 1000)
    path = tmp_path / "text.txt"
    path.write_text("x" * 1500 + " word" * 2000)
    found = [item.text for item in read_chunks([path])]
    assert max(map(len, found)) <= 1000
    assert all(text.startswith(" word") for text in found[2:])


@settings(deadline=None, max_examples=300)
@given(
    text=st.text(alphabet="ab1-' \n\u3000月é\u0301😀\u200d", max_size=120),
    size=st.integers(2, 30),
    cuts=st.lists(st.integers(0, 120)),
)
def test_chunks_join_to_the_text_and_are_cut_where_no_token_can_cross(text: str, size: int, cuts: list[int]) -> None:
    places = sorted(min(cut, len(text)) for cut in cuts)
    parts = [text[start:stop] for start, stop in zip([0, *places], [*places, len(text)], strict=True)]
    before, chunks_module.CHUNK_CHARACTERS = chunks_module.CHUNK_CHARACTERS, size
    try:
        found = list(split_chunks(parts, Document("text")))
    finally:
        chunks_module.CHUNK_CHARACTERS = before
    assert "".join(chunk.text for chunk in found) == text
    assert [chunk.is_last for chunk in found] == [False] * (len(found) - 1) + [True]
    assert max(len(chunk.text) for chunk in found) <= size
    begins = {match.start() for match in regex.finditer(GPT2_PATTERN, text)}
    place = 0
    for chunk in found[:-1]:
        window = range(place + 1, place + size)
        place += len(chunk.text)
        spaces = [at for at in window if text[at].isspace() and not text[at - 1].isspace()]
        if spaces:
            assert place == spaces[-1]
        elif any(text[at - 1].isalnum() and text[at] in "-' " for at in window):
            assert place in begins


def test_about_a_tenth_of_documents_validates_and_copies_stay_together() -> None:
    chosen = [is_validation(f"document {number}") for number in range(5000)]
    assert 400 < sum(chosen) < 600
    assert is_validation("document 1") == is_validation("document 1")


def test_a_document_says_where_it_came_from(tmp_path: Path) -> None:
    path = tmp_path / "mails.jsonl"
    path.write_bytes(as_jsonl(TEXTS))
    assert list(read_chunks([path]))[1] == Chunk(TEXTS[1], Document(str(path), "1"))
    path.write_text('{"text": "a"}\n\n{"text": "b", "id": "x"}\n{"text": "c", "id": "\\ud83d"}\n"d"\n')
    assert [chunk.document.id for chunk in read_chunks([path])] == ["1", "x", "4", "5"]


@pytest.mark.parametrize("compression", COMPRESSED)
@pytest.mark.parametrize("suffix", [*FORMATS, ".txt"])
def test_progress_counts_the_bytes_of_the_file_itself(tmp_path: Path, suffix: str, compression: str) -> None:
    texts = [f"{number} words, again and again " * 40 for number in range(500)]
    raw = "\n".join(texts).encode() if suffix == ".txt" else FORMATS[suffix](texts)
    (tmp_path / f"a{suffix}{compression}").write_bytes(COMPRESSED[compression](raw))
    (tmp_path / "b.txt").write_text("the second file")
    total = sum(path.stat().st_size for path in tmp_path.iterdir())
    seen: list[int] = []
    assert sum(item.is_last for item in read_chunks([tmp_path], progress=seen.append)) >= 2
    assert seen == sorted(seen)
    assert seen[-1] == total
    if suffix == ".parquet":
        assert len(set(seen)) > 100  # not all at once


def test_progress_is_told_when_a_document_is_done_with(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_bytes(as_jsonl(TEXTS))
    seen: list[int] = []
    found = read_chunks([path], progress=seen.append)
    next(found)
    assert seen == []
    next(found)
    assert len(seen) == 1


NO_PLACE: dict[str, Callable[[Path], Path]] = {
    "there is no file or folder": lambda folder: folder / "missing",
    "leads through a file": lambda folder: folder / "file.txt" / "x",
    "is too long": lambda folder: folder / ("x" * 300),
    "lead in a circle": lambda folder: folder / "circle",
    "null byte": lambda folder: folder / "a\0b",
    "not a regular file": lambda folder: folder / "pipe",
}


@pytest.mark.parametrize("message", NO_PLACE)
def test_whatever_the_system_says_of_a_path_is_one_line(tmp_path: Path, message: str) -> None:
    (tmp_path / "file.txt").write_text("text")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    os.mkfifo(tmp_path / "pipe")
    for look in (find_files, fingerprint, texts_of):
        with pytest.raises(InputError, match=message) as caught:
            look(NO_PLACE[message](tmp_path)) if look is texts_of else look([NO_PLACE[message](tmp_path)])
        assert "\n" not in str(caught.value)


def test_a_file_that_may_not_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file.txt").write_text("text")

    def refused(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", refused)  # the tests may run as root, whom nothing refuses
    for look in (lambda path: fingerprint([path]), texts_of):
        with pytest.raises(InputError, match=r"file\.txt: permission denied"):
            look(tmp_path / "file.txt")


def test_a_folder_that_may_not_be_looked_into_is_not_left_out_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file.txt").write_text("text")
    (tmp_path / "private").mkdir()
    scan = os.scandir

    def refused(path: str) -> object:
        if str(path).endswith("private"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(InputError, match="private: permission denied"):
        find_files([tmp_path])


def test_a_path_that_is_not_utf8_is_read_like_any_other(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    (folder / "text.txt").write_text("text")
    assert texts_of(folder) == ["text"]
    with pytest.raises(InputError, match="there is no file or folder"):
        find_files([folder / "missing"])


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_long_text_in_a_table_is_read_whole(tmp_path: Path, suffix: str) -> None:
    text = "床前明月光，" * 50_000
    path = tmp_path / f"long{suffix}"
    path.write_bytes(FORMATS[suffix]([text]))
    assert texts_of(path) == [text]
