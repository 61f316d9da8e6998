"""Files as other people have them: each is read as the documents that it holds, or refused by what it is."""

import gzip
import io
import json
import os
import pickle
import random
import sqlite3
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from textwright.core.errors import InputError
from textwright.text.read import read_texts

LONG = "床前明月光, and more words. " * 12_000
"""336,000 characters: more than Python's csv module takes by itself."""
GERMAN = "Größe und Maß für alle Übrigen, die Öl wägen\n"
RUSSIAN = "Привет, мир: это первая строка текста\n"
POLISH = "Wiadomość została wysłana, dziękuję\n"
CHINESE = "這是中文文本，第一行有字。\n"
SIMPLIFIED = "这是中文文本，第一行有字。\n"
JAPANESE = "これは日本語の文章です。\n"
KOREAN = "안녕하세요 세계 첫 번째 줄\n"


def lines_of(*values: Any) -> bytes:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode()


def parquet_of(**columns: Any) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), out)
    return out.getvalue()


def zip_of(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    return out.getvalue()


def tar_of(name: str, text: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        facts = tarfile.TarInfo(name)
        facts.size = len(text)
        archive.addfile(facts, io.BytesIO(text.encode()))
    return out.getvalue()


def database() -> bytes:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("create table texts (text)")
        raw = connection.serialize()
    connection.close()
    return raw


def zst(raw: bytes, **options: Any) -> bytes:
    """A frame that does not say how long its content is, as a stream's does."""
    out = io.BytesIO()
    with zstandard.ZstdCompressor(**options).stream_writer(out, closefd=False) as packer:
        packer.write(raw)
    return out.getvalue()


def notebook(*sources: str | list[str], old: bool = False) -> bytes:
    cells = [{"cell_type": "code" if number % 2 else "markdown", "source": s} for number, s in enumerate(sources)]
    if old:
        cells = [{"cell_type": "code", "input": source, "outputs": [{"text": "no"}]} for source in sources]
        return json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}]}, indent=1).encode()
    return json.dumps({"nbformat": 4, "metadata": {}, "cells": cells}, indent=1).encode()


SKIPPABLE = b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip"
PRETTY = "\n".join(json.dumps({"text": text}, indent=2) for text in ("a", "b")).encode()
NULLS = lines_of({"text": "a"}, {"text": None}, {"text": "c"})
TABLE = parquet_of(text=["a"])
NESTED = lines_of({"data": {"text": "a"}}, {"data": {"text": "b"}})

READ: list[tuple[str, bytes, dict[str, str], list[str]]] = [
    # JSON
    ("lines.json", lines_of({"text": "a"}, {"text": "b"}), {}, ["a", "b"]),
    ("bom and gaps.json", b"\xef\xbb\xbf\n" + lines_of({"text": "a"}) + b"\n\n" + lines_of("b"), {}, ["a", "b"]),
    ("strings.json", b'"a"\n"b"\n', {}, ["a", "b"]),
    ("one.json", b'{"text": "a"}', {}, ["a"]),
    ("one line.json", b'[{"text": "a"}, {"text": "b"}]\n', {}, ["a", "b"]),
    ("indented.json", json.dumps([{"text": "a"}, "b"], indent=4).encode(), {}, ["a", "b"]),
    ("values.json", PRETTY, {}, ["a", "b"]),
    ("values on one line.json", b'{"text": "a"} {"text": "b"}', {}, ["a", "b"]),
    ("none.json", b"[]", {}, []),
    ("windows.jsonl", b'{"text": "a"}\r\n{"text": "b"}\r\n', {}, ["a", "b"]),
    ("separator.jsonl", lines_of({"text": "one\u2028line\x85"}), {}, ["one\u2028line\x85"]),
    ("long.jsonl", lines_of({"text": LONG * 4}), {}, [LONG * 4]),
    ("nulls.jsonl", NULLS, {"null_text": "skip"}, ["a", "c"]),
    ("null row.jsonl", b'{"text": "a"}\nnull\n', {"null_text": "skip"}, ["a"]),
    ("nested.jsonl", NESTED, {"text_field": "data.text"}, ["a", "b"]),
    ("nested.json", NESTED, {"text_field": "data.text"}, ["a", "b"]),
    ("three.jsonl", lines_of({"a": {"b": {"c": ["x", "y"]}}}), {"text_field": "a.b.c"}, ["x\ny"]),
    ("dots.jsonl", lines_of({"data.text": "a", "data": {"text": "b"}}), {"text_field": "data.text"}, ["a"]),
    ("hole.jsonl", lines_of({"data": None}), {"text_field": "data.text", "null_text": "skip"}, []),
    # Tables
    ("long.csv", f'id,text\n1,"{LONG}"\n'.encode(), {}, [LONG]),
    ("long elsewhere.csv", f"text,more\na,{LONG.replace(',', '')}\n".encode(), {}, ["a"]),
    ("long.tsv", f"id\ttext\n1\t{LONG}\n".encode(), {}, [LONG]),
    ("lines in a field.csv", f'text\n"{LONG}\n{LONG}"\n'.encode(), {}, [f"{LONG}\n{LONG}"]),
    ("long.csv.zst", zst(f'text\n"{LONG}"\n'.encode()), {}, [LONG]),
    ("quotes.tsv", b'id\ttext\n1\t"open\n2\tclosed"\n', {}, ['"open', 'closed"']),
    ("inches.tsv", b'text\ta\n5" disk\t1\n"all"\t2\n', {}, ['5" disk', '"all"']),
    ("quoted.tsv", b'id\ttext\n1\t"open\n2\tclosed"\n', {"quoting": "csv"}, ["open\n2\tclosed"]),
    ("windows.tsv", b"text\tid\r\na\t1\r\n\r\nb\t2\r\n", {}, ["a", "b"]),
    ("plain.csv", b'text,id\n"a",1\n', {"quoting": "none"}, ['"a"']),
    ("semicolons.csv", b'id;text\n1;a, b\n2;"c;d"\n', {}, ["a, b", "c;d"]),
    ("excel.csv", b"sep=;\r\nid;text\r\n1;a\r\n", {}, ["a"]),
    ("tabs.csv", b"id\ttext\n1\ta, b\n", {}, ["a, b"]),
    ("pipes.csv", b"id|text\n1|a\n", {}, ["a"]),
    ("bom and gaps.csv", b"\xef\xbb\xbftext,id\r\na,1\r\n\r\nb,2\r\n", {}, ["a", "b"]),
    ("nul.csv", b"text\na\x00b\n", {}, ["ab"]),
    ("header.csv", b"id,text\n", {}, []),
    ("UPPER.CSV", b"id,text\n1,a\n", {}, ["a"]),
    ("dotted.csv", b"data.text,id\na,1\n", {"text_field": "data.text"}, ["a"]),
    ("nulls.parquet", parquet_of(text=["a", None, "c"]), {"null_text": "skip"}, ["a", "c"]),
    ("nested.parquet", parquet_of(data=[{"text": "a"}, {"text": "b"}]), {"text_field": "data.text"}, ["a", "b"]),
    ("dots.parquet", parquet_of(**{"data.text": ["a"], "data": ["b"]}), {"text_field": "data.text"}, ["a"]),
    ("long.parquet", parquet_of(text=[LONG * 4]), {}, [LONG * 4]),
    # Notebooks
    ("new.ipynb", notebook("# Title", ["a = 1\n", "b = 2"], "", "end"), {}, ["# Title\n\na = 1\nb = 2\n\nend"]),
    ("old.ipynb", notebook(["x\n", "y"], "z", old=True), {}, ["x\ny\n\nz"]),
    ("packed.ipynb.gz", gzip.compress(notebook("a")), {}, ["a"]),
    ("empty.ipynb", notebook(), {}, []),
    # Packed files
    ("members.txt.gz", gzip.compress(b"one ") + gzip.compress(b"") + gzip.compress(b"two"), {}, ["one two"]),
    ("members.jsonl.gz", gzip.compress(b'{"text": "a"}\n{"te') + gzip.compress(b'xt": "b"}'), {}, ["a", "b"]),
    ("members.json.gz", gzip.compress(b'["a",\n') + gzip.compress(b'"b"]'), {}, ["a", "b"]),
    ("members.csv.gz", gzip.compress(b"text\n") + gzip.compress(b"a\n"), {}, ["a"]),
    ("frames.txt.zst", zst(b"one ") + zst(b"") + zst(b"two"), {}, ["one two"]),
    ("skipped.txt.zst", SKIPPABLE + zst(b"one ") + SKIPPABLE + zst(b"two") + SKIPPABLE, {}, ["one two"]),
    ("frames.jsonl.zst", zst(b'{"text": "a"}\n{"te') + zst(b'xt": "b"}'), {}, ["a", "b"]),
    ("frames.parquet.zst", zst(TABLE[:50]) + zst(TABLE[50:]), {}, ["a"]),
    ("members.parquet.gz", gzip.compress(TABLE[:9]) + gzip.compress(TABLE[9:]), {}, ["a"]),
    ("UPPER.TXT.GZ", gzip.compress(b"one"), {}, ["one"]),
    ("UPPER.TXT.ZST", zst(b"one"), {}, ["one"]),
    ("nothing.txt.gz", gzip.compress(b""), {}, []),
    # Text that looks like something else
    ("about formats.txt", b"GIF89a, PAR1, BZh and GGUF begin files", {}, ["GIF89a, PAR1, BZh and GGUF begin files"]),
    ("GIF.txt", b"GIF89a is a format of pictures", {}, ["GIF89a is a format of pictures"]),
    ("PK.txt", b"PK is short for a key", {}, ["PK is short for a key"]),
    ("nuls.txt", b"a few\x00 stray\x00 NULs", {}, ["a few stray NULs"]),
    ("mark.txt", b"\xef\xbb\xbf", {}, []),
]

REFUSED: list[tuple[str, bytes, dict[str, str], str]] = [
    # JSON
    ("rubbish.json", b'[{"text": "a"}] rubbish', {}, r"not valid JSON: .*rubbish\.json"),
    ("line 2.json", b'{"text": "a"}\n{"text": \n', {}, r"not valid JSON: .*line 2\.json:2; expected one JSON object"),
    ("space.json", b"  \n\n", {}, "not valid JSON"),
    ("indented.jsonl", b'[\n{"text": "a"}\n]', {}, r"not valid JSON: .*indented\.jsonl:1; expected one JSON object"),
    ("huge.jsonl", b'{"text": "a", "n": ' + b"9" * 5000 + b"}", {}, r"not valid JSON: .*huge\.jsonl:1"),
    ("nulls.jsonl", NULLS, {}, r"'text' is null; in .*nulls\.jsonl:2; expected text; .*--null-text skip"),
    ("nulls.parquet", parquet_of(text=["a", None]), {}, r"is null; in .*nulls\.parquet row 1; .*--null-text skip"),
    ("list.jsonl", lines_of({"data": [{"text": "a"}]}), {"text_field": "data.text"}, r"list before \.text; in .*:1"),
    ("deep.jsonl", lines_of({"id": 1, "data": {"body": "words", "n": "1"}}), {}, "no field .*--text-field data.body$"),
    ("typo.jsonl", lines_of({"content": "a", "title": "longer"}), {"text_field": "contnet"}, "--text-field content$"),
    ("wide.jsonl", lines_of({f"f{n}": n for n in range(99)}), {}, r"no field .*one of f0, .*f11, \.\.\.$"),
    ("other.json", json.dumps({"version": 1, "body": "words"}).encode(), {}, "no field 'text'.*--text-field body$"),
    # Tables
    ("other.csv", b"id,content\n1,some words\n", {}, "no field 'text'; .*--text-field content$"),
    ("odd name.csv", b"id, text\n1,some words\n", {}, "no field 'text'; .*--text-field ' text'$"),
    ("other.tsv", b"id\tcontent\n1\tsome words\n", {}, "no field 'text'; .*--text-field content$"),
    (
        "no header.csv",
        b'3,"Some title","and its text"\n',
        {},
        "nor any names in the first line: 3, Some title, and its",
    ),
    ("no header.tsv", f"{GERMAN.strip()}\tgood\n".encode(), {}, "nor any names in the first line: Größe und .*; put a"),
    ("header.csv", b"id,content\n", {}, "no field 'text'; .*expected one of id, content"),
    ("other.parquet", parquet_of(id=[1], content=["words"]), {}, "no field 'text'; .*--text-field content$"),
    ("R.tsv", b'"id"\t"text"\n1\t"a"\n', {}, "is in quotation marks; .*--quoting csv"),
    ("twice.csv", b"text,text\na,b\n", {}, "2 columns are named 'text'"),
    ("short.csv", b"id,text\n1,a\n2\n", {}, r"another number of fields .*; in .*short\.csv:3; expected 2, not 1"),
    ("tabs.tsv", b"id\ttext\n1\ta\tb\n", {}, r"another number of fields .*:2; expected 2, not 3; .*--quoting csv"),
    ("open.csv", b'text\na\n"b\nc\n', {}, r"not valid CSV: .*open\.csv:3; a quotation mark there is never closed"),
    ("open at once.csv", b'text\n"' + b"a\n" * 200_000, {}, r"not valid CSV: .*open at once\.csv:2; a quotation mark"),
    ("old mac.csv", b"text\ra\rb\r", {}, "not valid CSV"),
    ("old mac.tsv", b"text\ra\rb\r", {}, "no field 'text'"),
    ("broken.ipynb", b'{"nbformat": 4}', {}, "not a Jupyter notebook"),
    ("list.ipynb", b"[1]", {}, "not a Jupyter notebook"),
    # Other encodings
    ("utf-16.txt", GERMAN.encode("utf-16"), {}, 'is UTF-16 and begins with ".*Größe und .*; .*iconv -f UTF-16LE'),
    ("utf-16-be.txt", b"\xfe\xff" + GERMAN.encode("utf-16-be"), {}, 'is UTF-16 and begins with "Größe .*UTF-16BE'),
    ("no mark.txt", "plain words\n".encode("utf-16-le"), {}, 'is UTF-16 and begins with "plain words"'),
    ("no mark.csv", "id,text\n1,a\n".encode("utf-16-be"), {}, 'is UTF-16 and begins with "id,text"'),
    ("no mark, Russian.txt", (RUSSIAN * 3).encode("utf-16-le"), {}, 'is UTF-16 and begins with "Привет, мир'),
    ("utf-32.txt", GERMAN.encode("utf-32"), {}, 'is UTF-32 and begins with ".*Größe und'),
    (
        "german.txt",
        GERMAN.encode("cp1252"),
        {},
        'at byte 2; .*it may be windows-1252 .reads "Größe und Maß[^"]*".: convert',
    ),
    ("german.jsonl", b'{"text": "\xe4"}\n', {}, 'not UTF-8 at byte 10; .*windows-1252 .reads "{"text": "ä"}"'),
    ("russian.txt", RUSSIAN.encode("cp1251"), {}, 'it may be windows-1251 .reads "Привет, мир: это'),
    ("koi8.csv", f"text\n{RUSSIAN}".encode("koi8-r"), {}, 'it may be koi8-r .reads "Привет, мир: это'),
    ("polish.txt", POLISH.encode("cp1250"), {}, 'it may be windows-1250 .reads "Wiadomość została'),
    ("gb.txt", SIMPLIFIED.encode("gb18030"), {}, 'it may be gb18030 .reads "这是中文文本'),
    ("big5.txt", CHINESE.encode("big5"), {}, 'it may be big5 .reads "這是中文文本'),
    ("sjis.txt", JAPANESE.encode("shift_jis"), {}, 'it may be shift_jis .reads "これは日本語の文章です'),
    ("euc.txt", JAPANESE.encode("euc-jp"), {}, 'it may be euc-jp .reads "これは日本語の文章です'),
    ("korean.txt", KOREAN.encode("euc-kr"), {}, 'it may be euc-kr .reads "안녕하세요 세계'),
    (
        "late.txt",
        b"words " * 20 + GERMAN.encode("cp1252"),
        {},
        'windows-1252 .reads "...rds words words words words Größe',
    ),
    ("damaged.txt", (GERMAN * 9).encode().replace(b"\xc3\xbc", b"\xc3", 1), {}, "UTF-8 but for a few bytes"),
    # What is no text
    ("ascii.txt", b"%PDF-1.4\n1 0 obj << /Length 0 >>\n", {}, r"ascii\.txt is a PDF; expected UTF-8 text"),
    ("report.pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", {}, "is a PDF"),
    ("report.docx", zip_of("[Content_Types].xml", "word/document.xml"), {}, r"is a Word document \(\.docx\)"),
    ("table.xlsx", zip_of("[Content_Types].xml", "xl/workbook.xml"), {}, "is an Excel workbook"),
    ("texts.zip", zip_of("a.txt"), {}, "is a ZIP archive; expected UTF-8 text; unpack it"),
    ("gzip.txt", gzip.compress(b"words"), {}, r"is gzip data; .*a name that ends in \.gz"),
    ("zstd.jsonl", zst(b"words"), {}, r"is Zstandard data; .*a name that ends in \.zst"),
    ("picture.txt", b"\x89PNG\r\n\x1a\n" + bytes(20), {}, "is a PNG picture"),
    ("photo.txt", b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(20), {}, "is a JPEG picture"),
    ("texts.tar", tar_of("a.txt", "words " * 100), {}, "is a tar archive; .*unpack it"),
    ("texts.tar.gz", gzip.compress(tar_of("a.txt", "words")), {}, "is a tar archive; .*unpack it"),
    ("table.txt", parquet_of(text=["a"]), {}, r"is a Parquet table; .*ends in \.parquet"),
    ("texts.db", database(), {}, "is an SQLite database"),
    ("texts.data", pickle.dumps(["a"], protocol=4), {}, "is a Python pickle"),
    ("old.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), {}, "an old Microsoft Office"),
    ("random.txt", random.Random(0).randbytes(5000), {}, "it is no text, it seems"),
    ("replaced.txt", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", {"invalid_utf8": "replace"}, "is a PDF"),
    # Packed files
    ("after.txt.gz", gzip.compress(b"words") + b"rubbish", {}, "cannot be decompressed"),
    ("after.txt.zst", zst(b"words") + b"rubbish", {}, "cannot be decompressed"),
    ("second.txt.gz", gzip.compress(b"words") + gzip.compress(os.urandom(999))[:-9], {}, "cannot be decompressed"),
    ("second.jsonl.zst", zst(b'"a"\n') + zst(b'"b"\n' * 99)[:-3], {}, "cannot be decompressed"),
    ("inside.txt.gz", gzip.compress(b"%PDF-1.4\n"), {}, "is a PDF"),
]


@pytest.mark.parametrize(("name", "raw", "reading", "expected"), READ, ids=[case[0] for case in READ])
def test_a_file_gives_its_documents(
    tmp_path: Path, name: str, raw: bytes, reading: dict[str, str], expected: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    assert list(read_texts([path], **reading)) == expected


@pytest.mark.parametrize(("name", "raw", "reading", "message"), REFUSED, ids=[case[0] for case in REFUSED])
def test_a_file_is_refused_by_what_it_is(
    tmp_path: Path, name: str, raw: bytes, reading: dict[str, str], message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    with pytest.raises(InputError, match=message) as caught:
        list(read_texts([path], **reading))
    said = str(caught.value)
    assert "\n" not in said
    assert "LATIN1" not in said.upper()
    assert said.isprintable()


def test_a_large_window_of_zstandard_is_read(tmp_path: Path) -> None:
    """Large archives of text are packed with ``zstd --long=31``."""
    parameters = zstandard.ZstdCompressionParameters(window_log=28, compression_level=1)
    (tmp_path / "long.txt.zst").write_bytes(zst(b"words", compression_params=parameters))
    assert list(read_texts([tmp_path / "long.txt.zst"])) == ["words"]


def test_the_csv_modules_limit_is_nobody_elses_after_reading(tmp_path: Path) -> None:
    import csv

    before = csv.field_size_limit()
    (tmp_path / "long.csv").write_text(f'text\n"{LONG}"\n')
    assert list(read_texts([tmp_path / "long.csv"])) == [LONG]
    assert csv.field_size_limit() == before
