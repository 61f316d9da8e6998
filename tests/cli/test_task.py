"""``textwright task``: lists, shows and writes pairs, which are trained on; mistakes are one line and leave no file."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from textwright.tasks.catalog import TASKS

TABLE = "text,label\nWhere is it?,card_arrival\nStolen!,lost_card\nStill waiting,card_arrival\nGone,lost_card\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "queries.csv"
    path.write_text(TABLE)
    return path


def test_list_has_every_task_with_its_metrics(textwright: Run) -> None:
    listed = textwright("task", "list", "--json").json["tasks"]
    assert [row["name"] for row in listed] == sorted(TASKS)
    assert all(set(row) == {"name", "summary", "metrics"} and row["metrics"] for row in listed)
    shown = textwright("task", "list")
    assert shown.code == 0
    assert all(name in shown.out for name in TASKS)


def test_show_gives_three_examples_and_marks_what_is_learned(textwright: Run, table: Path) -> None:
    done = textwright("task", "show", "classification", "--data", table, "--json")
    assert [example["completion"] for example in done.json["examples"]] == [
        " card arrival",
        " lost card",
        " card arrival",
    ]
    assert done.json["examples"][0]["prompt"] == "Where is it?\nLabel:"
    assert (done.json["task"], done.json["metrics"]) == ("classification", ["accuracy", "f1"])
    shown = textwright("task", "show", "classification", "--data", table)
    assert "Where is it?\nLabel:[[ card arrival]]\noptions: card arrival, lost card\n" in shown.out
    assert "Gone" not in shown.out


def test_what_is_learned_is_green_on_a_terminal(textwright: Run, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = textwright("task", "show", "classification", "--data", table)
    assert re.search(r"Label:\x1b\[1;32m card arrival\x1b\[0m", shown.out)
    assert "[[" not in shown.out


def test_pairs_are_written_for_every_reference_and_trained_on(textwright: Run, tmp_path: Path) -> None:
    rows = [{"source": f"text {number} is long", "target": [f"t{number}", f"u{number}"]} for number in range(12)]
    (tmp_path / "s.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    out = tmp_path / "pairs.jsonl"
    done = textwright("task", "pairs", "summarisation", "--data", tmp_path / "s.jsonl", "--out", out, "--json")
    assert done.json == {"task": "summarisation", "out": str(out), "examples": 12, "pairs": 24}
    pairs = [json.loads(line) for line in out.read_text().splitlines()]
    prompt = "text 0 is long\nTL;DR:"
    assert pairs[1] == {"id": "s.jsonl:1", "document": "s.jsonl:1", "prompt": prompt, "completion": " u0"}
    quick = (
        "--packing",
        "documents",
        "--model.preset",
        "nano",
        "--model.context-length",
        32,
        "--batch-size",
        2,
        "--steps",
        2,
    )
    trained = textwright("train", "--data", out, "--tokenizer", "byte", *quick, "--out", tmp_path / "run", "--json")
    assert trained.code == 0
    from textwright.data.dataset import open_data

    train = open_data(tmp_path / "run" / "data").train
    learned = train.learned
    assert learned is not None
    texts = {
        bytes(train.read(int(start), int(stop) - 1).tolist()).decode()
        for start, stop in zip(learned.starts, learned.stops, strict=True)
    }
    assert texts <= {pair["completion"] for pair in pairs}
    assert len(texts) >= 12


def test_pairs_leave_what_is_there_alone(textwright: Run, table: Path, tmp_path: Path) -> None:
    done = textwright("task", "pairs", "classification", "--data", table, "--out", table)
    assert (done.code, table.read_text()) == (2, TABLE)
    assert re.fullmatch(r"textwright: .*queries\.csv is there already; .*\n", done.err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "clasification", "--data", "{table}"), "unknown task 'clasification'.*did you mean 'classification'"),
        (("show", "classification"), "task classification without --data"),
        (("show", "summarisation", "--data", "{table}"), "no field 'target' or .* among text, label"),
        (("show", "classification", "--data", "missing.csv"), "there is no file or folder missing.csv"),
        (("show", "missing.toml", "--data", "{table}"), "there is no file missing.toml"),
        (("pairs", "summarisation", "--data", "{table}", "--out", "{folder}/out.jsonl"), "no field 'target'"),
        (("pairs", "classification", "--data", "{table}", "--out", "{folder}/no/out.jsonl"), "there is no folder"),
        (("pairs", "classification", "--out", "{folder}/out.jsonl"), "without --data"),
        (("shows", "classification"), "unknown verb of task 'shows'.*did you mean 'show'"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_file(
    textwright: Run, table: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    given = [argument.format(table=table, folder=tmp_path) for argument in arguments]
    done = textwright("task", *given)
    assert done.code == 2
    assert re.fullmatch(rf"textwright: .*{message}.*\n", done.err)
    assert [path.name for path in tmp_path.iterdir()] == ["queries.csv"]
