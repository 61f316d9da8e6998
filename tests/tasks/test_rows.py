"""Rows are found by a file's form, packed or not, and each says where it is."""

import gzip
from pathlib import Path

import pytest

from textwright.core.errors import InputError
from textwright.tasks.rows import open_rows, read_blocks, read_rows

COLUMNS = (("source", "target"), ("a", "b", "c"))
FILES = {
    "x.jsonl": '{"source": "s 1", "target": "t"}\n\n{"source": "s 2", "target": "u"}\n',
    "x.json": '[\n {"source": "s 1", "target": "t"},\n {"source": "s 2", "target": "u"}]',
    "named.otherwise": '[{"source": "s 1", "target": "t"}, {"source": "s 2", "target": "u"}]\n',
    "x.csv": 'source,target\n"s 1",t\ns 2,u\n',
    "semicolon.csv": "source;target\ns 1;t\ns 2;u\n",
    "x.tsv": "source\ttarget\ns 1\tt\ns 2\tu\n",
    "no.header.csv": '"s, 1.",t\ns 2,u\n',
    "no.header.tsv": "s, 1.\tt\ns 2\tu\n",
    "no.header.txt": "s, 1.\tt\ns 2\tu\n",
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_the_same_rows_are_found_in_every_form(name: str, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / (f"{name}.gz" if packed else name)
    raw = FILES[name].replace("\n", "\r\n" if name == "x.tsv" else "\n").encode()
    path.write_bytes(gzip.compress(raw) if packed else raw)
    found = list(read_rows([path], COLUMNS))
    first = "s, 1." if name.startswith("no.header") else "s 1"  # a row of short words would be one of names
    assert [(row.text("source"), row.text("Target")) for row in found] == [(first, "t"), ("s 2", "u")]
    assert all(row.where.startswith(str(path)) for row in found)
    assert len({row.id for row in found}) == 2


def test_a_place_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(FILES["x.jsonl"])
    (tmp_path / "b.csv").write_text(FILES["no.header.csv"])
    found = read_rows([tmp_path / "a.jsonl", tmp_path / "b.csv"], COLUMNS)
    assert [row.where.rpartition("/")[2] for row in found] == ["a.jsonl:1", "a.jsonl:3", "b.csv:1", "b.csv:2"]


def test_lines_are_all_there_where_they_count(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("\nfirst\n\nsecond [1]\n")
    form, rows = open_rows(path)
    assert (form, [row.fields["line"] for row in rows]) == ("lines", ["", "first", "", "second [1]"])
    assert [row.text("line") for row in read_rows([path])] == ["first", "second [1]"]


def test_a_field_is_text_a_number_or_a_list_of_texts(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 3, "b": ["x ", "y"], "c": null, "d": {"e": "deep"}, "f": true, "g": [[1]]}\n')
    (row,) = read_rows([path])
    assert (row.text("a"), row.text("b"), row.texts("b"), row.text("d.e")) == ("3", "x y", ("x", "y"), "deep")
    assert row.has("z", "d.e")
    assert not row.has("d.x", "z")
    for name in "cdfg":
        with pytest.raises(InputError, match=rf"'{name}' is (null|dict|bool|list); in .*x\.jsonl:1; expected text"):
            row.text(name)
    with pytest.raises(InputError, match="no field 'aa' among a, b, c, d, f, g.*did you mean 'a'"):
        row.text("aa")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.jsonl", '{"a": 1}\n{"a"\n', r"not valid JSON.*x\.jsonl:2"),
        ("x.jsonl", "[1, 2]\n", r"a list; in .*x\.jsonl:1; expected an object"),
        ("x.csv", "a,b\n1,2\n3\n", r"a row of 1 fields; in .*x\.csv:3; expected 2: a, b"),
        ("x.csv", 'a,b\n"1,2\n', r"not valid CSV"),
        ("x.tsv", "a. b.\tc. d.\te.\tf.\n", r"a table of 4 columns without their names; in .*x\.tsv:1"),
        ("x.txt", "\n\n", r"no row in"),
        ("x.txt", "", r"is empty"),
        ("x.gz", "no gzip", r"cannot be decompressed"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message) as error:
        list(read_rows([tmp_path / name], COLUMNS))
    assert "\n" not in str(error.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes("source,target\nß,é\n".encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        list(read_rows([tmp_path / "x.csv"], COLUMNS))


def test_blocks_are_what_empty_lines_separate(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\na\r\nb\r\n\t\r\n\r\nc")
    assert list(read_blocks(tmp_path / "x")) == [(2, ["a", "b"]), (6, ["c"])]
