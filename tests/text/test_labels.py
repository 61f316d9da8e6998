"""What rows say of their texts, in every form of file; a row that does not say it is refused by its place."""

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from textwright.api.given_examples import given_examples
from textwright.core.errors import InputError
from textwright.text.labels import label_of
from textwright.text.options import ReadOptions
from textwright.text.read import TextFiles, read_chunks

ROWS = [
    {"text": "It was dark.", "genre": " horror\n", "tags": ["night", " old  house "], "data": {"year": 1897}},
    {"text": "They kissed.", "genre": "romance", "tags": ["love"], "data": {"year": 1813}},
]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("genre", ["horror", "romance"]),
        ("tags", [("night", "old house"), ("love",)]),
        ("data.year", ["1897", "1813"]),
        (None, [None, None]),
    ],
)
def test_a_field_is_read_beside_the_text(tmp_path: Path, field: str | None, expected: list[Any]) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    for name in ("rows.jsonl", "rows.json", "rows.parquet"):
        found = list(read_chunks([tmp_path / name], label_field=field))
        assert [(chunk.text, chunk.document.label) for chunk in found] == [
            (row["text"], label) for row, label in zip(ROWS, expected, strict=True)
        ]
    options = ReadOptions(label_field=field)
    for given in (ROWS, [tmp_path / "rows.jsonl"]):
        assert [one.document.label for one in given_examples(given, "texts", options)] == expected


def test_tables_and_pairs_have_fields_too(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("genre,text\nhorror,It was dark.\n")
    (tmp_path / "pairs.jsonl").write_text('{"prompt": "a", "completion": "b", "genre": true}\n')
    (table,) = read_chunks([tmp_path / "rows.csv"], label_field="genre")
    (pair,) = read_chunks([tmp_path / "pairs.jsonl"], label_field="genre")
    assert (table.document.label, pair.document.label) == ("horror", "true")


def test_a_label_is_kept_where_the_text_is_gone_through_twice(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    with TextFiles([tmp_path / "rows.jsonl"], scratch=tmp_path, label_field="tags") as text:
        first = [chunk.document for chunk in text.chunks(again=True)]
        assert [chunk.document for chunk in text.chunks()] == first


@pytest.mark.parametrize(
    ("row", "field", "message"),
    [
        (
            {"text": "a", "genre": "b"},
            "gerne",
            r"no field 'gerne'; in x:3; expected one of text, genre; did you mean 'genre'\?",
        ),
        ({"data": {"year": 1}}, "data.month", "no field 'data.month'"),
        ({"data": 1}, "data.month", "no field 'data.month'"),
        ({"genre": None}, "genre", "'genre' is null; in x:3; expected a text, a number or a list of texts"),
        ({"genre": " "}, "genre", "'genre' is empty"),
        ({"genre": ""}, "genre", "'genre' is empty"),
        ({"genre": []}, "genre", "'genre' is empty"),
        ({"genre": {"a": 1}}, "genre", "'genre' is dict"),
        ({"genre": ["a", 1]}, "genre", "'genre' is list"),
        ("a text", "genre", "no field 'genre'; in x:3; expected fields"),
    ],
)
def test_a_row_that_does_not_say_it_is_refused(row: Any, field: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        label_of(row, field, "x:3")


def test_rows_with_messages_are_dialogues_where_that_is_asked_for(tmp_path: Path) -> None:
    rows = [{"messages": [{"name": "Ann", "content": "Hi."}]}, {"text": "Bob: Ho."}]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    expected = ["Ann: Hi.\n", "Bob: Ho."]
    assert [chunk.text for chunk in read_chunks([tmp_path / "rows.jsonl"], by_speaker=True)] == expected
    for given in (rows, tmp_path / "rows.jsonl"):
        assert [one.text for one in given_examples(given, "texts", ReadOptions(by_speaker=True))] == expected
