"""Rows with a prompt and a completion: the text is both, and of it the completion is learned."""

import json
from pathlib import Path

import pytest

from textwright.core.errors import InputError
from textwright.text.read import read_chunks


def spans_of(path: Path, **reading: str) -> list[tuple[str, object]]:
    return [(chunk.text, chunk.document.spans) for chunk in read_chunks([path], **reading)]


def test_a_row_with_both_is_a_pair(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "prompt": "1+1?\r\n", "completion": " two"},
        {"prompt": "", "completion": "x"},
        {"text": "a text", "prompt": "p", "completion": "c"},
    ]
    for name, text in {
        "x.jsonl": "".join(f"{json.dumps(row)}\n" for row in rows),
        "x.json": json.dumps(rows),
    }.items():
        (tmp_path / name).write_text(text)
        assert spans_of(tmp_path / name) == [
            ("1+1?\n two", ((5, 9),)),
            ("x", ((0, 1),)),
            ("a text", None),
        ]
    assert [chunk.document.id for chunk in read_chunks([tmp_path / "x.jsonl"])] == ["a", "2", "3"]
    assert spans_of(tmp_path / "x.jsonl", text_field="prompt")[0] == ("1+1?\n", None)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "p", "completion": ""}, "the completion is empty"),
        ({"prompt": "p", "completion": None}, "'completion' is null"),
        ({"prompt": ["p"], "completion": "c"}, "'prompt' is list"),
        ({"prompt": "p"}, "no field 'text'"),
    ],
)
def test_half_a_pair_is_refused_with_its_place(tmp_path: Path, row: dict[str, object], message: str) -> None:
    (tmp_path / "x.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(InputError, match=rf"{message}.*x\.jsonl:1"):
        spans_of(tmp_path / "x.jsonl")


def test_a_pair_names_what_it_belongs_to(tmp_path: Path) -> None:
    rows = [
        {"document": "d", "prompt": "p", "completion": "c"},
        {"document": 3, "prompt": "p", "completion": "c"},
        {"document": ["d"], "prompt": "p", "completion": "c"},
        {"document": "d", "text": "t"},
    ]
    (tmp_path / "x.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert [chunk.document.group for chunk in read_chunks([tmp_path / "x.jsonl"])] == ["d", "3", None, None]
