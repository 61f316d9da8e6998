"""A task that a TOML file describes: what it makes of rows, and how a mistake in it is answered."""

import json
import re
from pathlib import Path

import pytest

from textwright.core.errors import InputError
from textwright.tasks.catalog import find_task

TASK = """
fields = ["title", "label"]
prompt = "{title}\\nLabel:"
completion = " {label}"
options = ["sports", "business"]
metrics = ["accuracy", "f1"]
"""
TABLE = "title,label\nA goal,sports\nA merger,business\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "news.csv"
    path.write_text(TABLE)
    return path


def described(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


def test_templates_become_examples(tmp_path: Path, table: Path) -> None:
    task = find_task(described(tmp_path, TASK))
    first, second = task.examples([table])
    assert (task.name, task.metrics, task.stop, task.max_new_tokens) == ("mine", ("accuracy", "f1"), ("\n",), 64)
    assert (first.prompt, first.completion, first.references) == ("A goal\nLabel:", " sports", ("sports",))
    assert first.options == second.options == (" sports", " business")
    assert task.read_answer(second.completion, second).prediction == "business"


def test_a_table_without_names_has_the_fields_for_columns(tmp_path: Path) -> None:
    path = tmp_path / "news.tsv"
    path.write_text("A goal, at last!\tsports\n")
    (example,) = find_task(described(tmp_path, TASK)).examples([path])
    assert (example.prompt, example.completion) == ("A goal, at last!\nLabel:", " sports")


def test_references_are_fields_and_the_first_is_learned(tmp_path: Path) -> None:
    rows = tmp_path / "r.jsonl"
    rows.write_text(json.dumps({"data": {"text": ["a", "b"]}, "short": ["A.", "B."], "other": "C."}) + "\n")
    text = """
fields = ["data.text", "short", "other"]
prompt = "{data.text} {{x}}:"
completion = " {short}"
references = ["short", "other"]
source = "{data.text}"
metrics = ["rouge"]
stop = []
max_new_tokens = 9
json_schema = { type = "object" }
"""
    task = find_task(described(tmp_path, text))
    (example,) = task.examples([rows])
    assert (example.prompt, example.completion, example.source) == ("a b {x}:", " A.", "a b")
    assert example.references == ("A.", "B.", "C.")
    assert (task.json_schema, task.stop, task.max_new_tokens) == ({"type": "object"}, (), 9)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("metrics", "metric", "unknown key 'metric'; .*did you mean 'metrics'"),
        ('completion = " {label}"', "", "the key 'completion' is missing"),
        ("{title}", "{titel}", "unknown field 'titel' in prompt; .*expected one of title, label; did you mean 'title'"),
        ("{label}", "{lable}", "unknown field 'lable' in completion; .*did you mean 'label'"),
        ("{title}", "{title!r}", "unknown field 'title!r' in prompt"),
        ("{title}", "{title.__class__}", "unknown field 'title.__class__' in prompt"),
        ("{title}", "{0}", "unknown field '0' in prompt"),
        ("{title}", "{}", "unknown field '' in prompt"),
        ("{title}", "{title", "a single '{' in prompt; .*a brace is written {{"),
        ("{title}", "title}", "a single '}' in prompt"),
        ("Label:", "Label: ", "the prompt ends with a space"),
        (" {label}", " {label} {title}", "options with 2 fields in completion; .*expected one field"),
        ("options", 'regex = "x"\noptions', "options and regex; .*expected one of them"),
        ("options", 'references = ["labels"]\noptions', "unknown field 'labels' in references; .*did you mean 'label'"),
        ('["accuracy", "f1"]', "[]", "metrics = .*at least 1 item"),
        ("metrics", "max_new_tokens = 0\nmetrics", "max_new_tokens = 0; .*greater than or equal to 1"),
        ("options = [", "options = [[", "not valid TOML"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(tmp_path: Path, before: str, after: str, message: str) -> None:
    assert before in TASK
    with pytest.raises(InputError, match=message) as error:
        find_task(described(tmp_path, TASK.replace(before, after, 1)))
    assert "\n" not in str(error.value)
    assert "mine.toml" in str(error.value)


def test_what_rows_lack_is_answered_with_the_nearest(tmp_path: Path, table: Path) -> None:
    text = TASK.replace('"title"', '"titles"').replace("{title}", "{titles}")
    with pytest.raises(
        InputError, match=r"no field 'titles' among title, label; in .*news\.csv:2; did you mean 'title'"
    ):
        list(find_task(described(tmp_path, text)).examples([table]))
    with pytest.raises(InputError, match=r"label = 'sports'; in .*:2; expected one of the options sport, .*'sport'"):
        list(find_task(described(tmp_path, TASK.replace("sports", "sport"))).examples([table]))


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        find_task(str(tmp_path / "none.toml"))


def test_the_documents_own_task_runs(tmp_path: Path) -> None:
    document = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text(encoding="utf-8")
    (text,), (table,) = (re.findall(rf"^```{name}\n(.*?)^```", document, re.M | re.S) for name in ("toml", "csv"))
    (tmp_path / "talks.csv").write_text(table)
    first, second = find_task(described(tmp_path, text)).examples([tmp_path / "talks.csv"])
    assert first.prompt == "We cut text into tokens. It is slow, and we make it fast.\nTitle:"
    assert (first.completion, second.completion) == (" Fast tokens", " Small is enough")


def test_the_documents_own_table_is_classified(tmp_path: Path) -> None:
    document = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```text\n(.*?)^```", document, re.M | re.S)
    (tmp_path / "reviews.tsv").write_text(text)
    first, second, _ = find_task("classification").examples([tmp_path / "reviews.tsv"])
    assert (first.prompt, first.completion) == ("a funny and moving film\nLabel:", " good")
    assert second.options == (" bad", " good")


def test_the_document_lists_every_task_and_every_key() -> None:
    from textwright.tasks.catalog import TASKS
    from textwright.tasks.described import TaskFile

    document = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text(encoding="utf-8")
    assert [name for name in (*TASKS, *TaskFile.model_fields) if f"`{name}`" not in document] == []
