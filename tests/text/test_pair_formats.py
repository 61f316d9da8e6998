"""Rows that say what is given and what is learned: which format they have, and how they are written."""

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from textwright.core.errors import InputError
from textwright.text.dialogue import DialogueFormat, Rendered
from textwright.text.pair_formats import FORMATS, PAIR, has_format, row_format, write_row
from textwright.text.read import TextFiles, read_chunks

PLAIN = DialogueFormat()
SPOKEN = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": "1+1?"},
    {"role": "assistant", "content": " two\n"},
    {"role": "user", "content": [{"type": "text", "text": "2+2?"}]},
    {"role": "assistant", "content": "four"},
]
WRITTEN = "Be short.\nUser: 1+1?\nAssistant: two\nUser: 2+2?\nAssistant: four\n"
LEARNED = [" two\n", " four\n"]
ONE_TURN = ("User: q\nAssistant: a\n", [" a\n"])

ROWS: list[tuple[dict[str, Any], str, str, list[str]]] = [
    ({"prompt": "1+1?", "completion": " two"}, PAIR, "1+1? two", [" two"]),
    ({"instruction": "q", "output": "a"}, "instruction-output", *ONE_TURN),
    (
        {"instruction": "Add.", "input": "1, 1", "output": "2", "system": ""},
        "instruction-output",
        "User: Add.\n\n1, 1\nAssistant: 2\n",
        [" 2\n"],
    ),
    ({"instruction": "q", "input": None, "output": "a"}, "instruction-output", *ONE_TURN),
    (
        {"instruction": "q", "context": "c", "response": "a", "category": "x"},
        "instruction-response",
        "User: q\n\nc\nAssistant: a\n",
        [" a\n"],
    ),
    ({"Question": "q", " Answer": "a"}, "question-answer", *ONE_TURN),
    (
        {"question": "q", "answer": "a", "context": "c"},
        "question-answer",
        "User: c\n\nq\nAssistant: a\n",
        [" a\n"],
    ),
    ({"source": "q", "target": "a"}, "source-target", *ONE_TURN),
    ({"input": "q", "output": 1}, "input-output", "User: q\nAssistant: 1\n", [" 1\n"]),
    ({"messages": SPOKEN, "prompt": "of another column"}, "messages", WRITTEN, LEARNED),
    ({"messages": json.dumps(SPOKEN)}, "messages", WRITTEN, LEARNED),
    (
        {"messages": SPOKEN[1:], "system": "Be short."},
        "messages",
        WRITTEN,
        LEARNED,
    ),
    (
        {
            "conversations": [
                {"from": "gpt", "value": "Hi"},
                {"from": "human", "value": "q"},
                {"from": "gpt", "value": "b", "weight": 0},
                {"from": "gpt", "value": "a", "weight": 1},
            ]
        },
        "conversations",
        "Assistant: Hi\nUser: q\nAssistant: b\nAssistant: a\n",
        [" Hi\n", " a\n"],
    ),
]


@pytest.mark.parametrize(("row", "name", "text", "learned"), ROWS)
def test_a_row_is_known_by_its_fields_and_what_answers_is_learned(
    row: dict[str, Any], name: str, text: str, learned: list[str]
) -> None:
    assert row_format(row) == row_format(list(row)) == name
    assert has_format(list(row))
    written = write_row(row, "here", PLAIN)
    assert written is not None
    assert (written.text, written.format) == (text, name)
    assert [written.text[start:stop] for start, stop in written.spans] == learned


def test_every_format_has_an_example_here_and_no_two_have_the_same_fields() -> None:
    assert {name for _, name, _, _ in ROWS} == set(FORMATS)
    for one in FORMATS.values():
        assert row_format(one.fields) == row_format((*one.fields, *one.optional)) == one.name


@pytest.mark.parametrize("fields", [[], ["text"], ["prompt"], ["question", "answers"], ["instruction", "input"]])
def test_other_rows_have_none(fields: list[str]) -> None:
    assert row_format(fields) is None
    assert not has_format(fields)
    assert write_row(dict.fromkeys(fields, "x"), "here", PLAIN) is None


def test_a_models_own_format_is_followed_and_its_marks_are_known_from_what_is_said() -> None:
    style = DialogueFormat(user="<|user|>", assistant="<|bot|>\n", system="<|system|>", turn_end="<|end|>")
    written = write_row({"system": "s", "messages": [*SPOKEN[1:2], {"role": "bot", "content": "<|end|>"}]}, "", style)
    assert written is not None
    assert written.text == "<|system|>s<|end|><|user|>1+1?<|end|><|bot|>\n<|end|><|end|>"
    assert [written.text[start:stop] for start, stop in written.spans] == ["<|end|><|end|>"]
    assert isinstance(written.text, Rendered)
    marks = [written.text[start:stop] for start, stop in written.text.marks]
    assert marks == ["<|system|>", "<|end|>", "<|user|>", "<|end|>", "<|bot|>\n", "<|end|>"]


def turn(role: Any, content: Any = "x", **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def spoken(*turns: Any) -> dict[str, Any]:
    return {"messages": list(turns)}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            spoken(turn("user"), turn("asistant")),
            "unknown role 'asistant' in turn 1 of 'messages'.*expected one of",
        ),
        (spoken(turn("user"), turn("asistant")), "did you mean 'assistant'"),
        (spoken(turn("tool"), turn("gpt")), "unknown role 'tool' in turn 0 of 'messages'.*leave such turns out"),
        (spoken(turn(None), turn("gpt")), "turn 0 of 'messages' says not who speaks"),
        (spoken("Hi", "Ho"), "turn 0 of 'messages' says not who speaks; .*expected an object with role and content"),
        (spoken(turn("user", None)), "the content of turn 0 of 'messages' is null"),
        (spoken(turn("user", [{"type": "image"}])), "the content of turn 0 of 'messages' is list"),
        (spoken(turn("user"), turn("system"), turn("gpt")), "turn 1 of 'messages' is a system's; .*put it first"),
        (spoken(turn("gpt", weight=0.5)), "weight 0.5 of turn 0"),
        (spoken(), "nobody says anything in 'messages'"),
        (spoken(turn("system")), "nobody says anything in 'messages'"),
        (spoken(turn("user")), "no turn of the assistant that is learned in 'messages'; .*expected at least one"),
        (spoken(turn("user"), turn("gpt", weight=0)), "no turn of the assistant that is learned"),
        (spoken(turn("user"), turn("gpt", " \n")), "turn 1 of 'messages', the assistant's, is empty"),
        ({"messages": None}, "'messages' is null"),
        ({"messages": "[{'role': 'user'}]"}, "'messages' is not valid JSON"),
        ({"messages": {"role": "user"}}, "'messages' is dict; .*expected a list of turns"),
        ({"question": "q", "answer": ""}, "'answer' is empty; .*--null-text skip"),
        ({"question": "q", "answer": None}, "'answer' is null; .*--null-text skip"),
        ({"question": "q", "answer": ["a"]}, "'answer' is list"),
        ({"question": "q", "answer": True}, "'answer' is bool"),
        ({"prompt": "p", "completion": "\ud800"}, "half a surrogate pair"),
        (
            {"prompt": "p", "completion": "c", **spoken(turn("gpt"))},
            "a row of two formats: prompt \\+ completion, and messages; .*expected the fields of one",
        ),
        ({"instruction": "i", "output": "o", "response": "r"}, "a row of two formats: instruction \\+ output, and ins"),
    ],
)
def test_what_is_wrong_with_a_row_is_one_line_with_its_file_and_line(
    row: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{json.dumps({'text': 'first'})}\n{json.dumps(row)}\n")
    with pytest.raises(InputError, match=message) as caught:
        list(read_chunks([path]))
    assert f"in {path}:2" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rows_with_nothing_to_learn_are_passed_over_and_counted_where_that_is_asked_for(tmp_path: Path) -> None:
    rows = [
        {"question": "q", "answer": "a"},
        {"question": "q", "answer": ""},
        {"prompt": "p", "completion": None},
        spoken(turn("user")),
        {"text": None},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    text = TextFiles([path], null_text="skip")
    assert [chunk.text for chunk in text.chunks()] == [ONE_TURN[0]]
    assert text.num_null == 4
    path.write_text(json.dumps(spoken(turn("tool"))))
    with pytest.raises(InputError, match="unknown role"):  # whoever passes over empty rows means no others
        list(read_chunks([path], null_text="skip"))


QUOTED = 'Say "hi",\nthen go; or | not.'


def parquet_of(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), out)
    return out.getvalue()


def lines_of(rows: list[dict[str, Any]]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def csv_of(rows: list[dict[str, Any]], delimiter: str = ",") -> bytes:
    cells = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    quoted = ([f'"{cell}"' if "\n" in cell or '"' in cell else cell for cell in line] for line in escaped(cells))
    return "".join(f"{delimiter.join(line)}\r\n" for line in quoted).encode()


def escaped(cells: list[list[str]]) -> list[list[str]]:
    return [[cell.replace('"', '""') for cell in line] for line in cells]


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("x.jsonl", lines_of),
        ("x.json", lambda rows: json.dumps(rows, indent=1).encode()),
        ("x.csv", csv_of),
        ("semicolons.csv", lambda rows: csv_of(rows, ";")),
        ("x.parquet", parquet_of),
        ("x.jsonl.gz", lambda rows: gzip.compress(lines_of(rows))),
        ("x.csv.zst", lambda rows: zstandard.compress(csv_of(rows))),
    ],
)
def test_a_format_is_the_same_in_every_kind_of_file(
    name: str, write: Callable[[list[dict[str, Any]]], bytes], tmp_path: Path
) -> None:
    rows = [
        {"number": "1", "question": QUOTED, "answer": "a", "document": "d"},
        {"number": "2", "question": "q", "answer": QUOTED, "document": "e"},
    ]
    (tmp_path / name).write_bytes(write(rows))
    chunks = list(read_chunks([tmp_path / name]))
    assert [chunk.text for chunk in chunks] == [
        f"User: {QUOTED}\nAssistant: a\n",
        f"User: q\nAssistant: {QUOTED}\n",
    ]
    learned = [[chunk.text[start:stop] for start, stop in chunk.document.spans or ()] for chunk in chunks]
    assert learned == [[" a\n"], [f" {QUOTED}\n"]]
    assert [chunk.document.group for chunk in chunks] == ["d", "e"]
    assert {chunk.document.format for chunk in chunks} == {"question-answer"}
    assert [chunk.text for chunk in read_chunks([tmp_path / name], text_field="question")] == [QUOTED, "q"]


def test_turns_come_out_of_parquet_and_of_json_in_a_cell(tmp_path: Path) -> None:
    simple = [one for one in SPOKEN if isinstance(one["content"], str)]
    (tmp_path / "x.parquet").write_bytes(parquet_of([{"id": "a", "messages": simple}]))
    (tmp_path / "x.csv").write_bytes(csv_of([{"id": "a", "messages": json.dumps(simple)}]))
    one, other = (list(read_chunks([tmp_path / name])) for name in ("x.parquet", "x.csv"))
    assert [chunk.text for chunk in one] == ["Be short.\nUser: 1+1?\nAssistant: two\nAssistant: four\n"]
    assert [(chunk.text, chunk.document.id) for chunk in one] == [(chunk.text, chunk.document.id) for chunk in other]


def test_a_table_of_two_columns_by_tabs_is_one(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text('source\ttarget\n"a\tb"\n')
    ((text, spans),) = [(chunk.text, chunk.document.spans) for chunk in read_chunks([tmp_path / "x.tsv"])]
    assert text == 'User: "a\nAssistant: b"\n'
    assert spans is not None
    (tmp_path / "x.tsv").write_text('"source"\t"target"\n"a"\t"b"\n')
    with pytest.raises(InputError, match="the field 'source' is in quotation marks; .*--quoting csv"):
        list(read_chunks([tmp_path / "x.tsv"]))
    assert [chunk.text for chunk in read_chunks([tmp_path / "x.tsv"], quoting="csv")] == ["User: a\nAssistant: b\n"]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("question,answer,answer", "2 columns are named 'answer'"),
        ("question,Answer,answer", "2 columns are named 'answer'"),
        ("question,answer,messages", r"two formats: question \+ answer, and messages; in .*x\.csv"),
        ("question,reply,more", r"no field 'text'; .*one of question, reply, more; .*question \+ answer \+ context\?$"),
        ("title,reply,more", "no field 'text'; .*one of title, reply, more; .*--text-field title$"),
    ],
)
def test_a_table_with_other_columns_is_refused_by_its_header(header: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(f"{header}\na,b,c\n")
    with pytest.raises(InputError, match=message):
        list(read_chunks([tmp_path / "x.csv"]))
