"""A mistake in what is asked for is told before any model is looked for: none of these models is there."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_bad_input import assert_one_line

NONE = "no/model"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files for all commands, in the folder where they run."""
    monkeypatch.chdir(tmp_path)
    Path("kinds.tsv").write_text("text\tlabel\naa\tx\nab\tx\n11\ty\n12\ty\n")
    Path("one_kind.tsv").write_text("text\tlabel\naa\tx\nab\tx\n")
    Path("named.tsv").write_text("text\tlabel\naa\t0\nab\t0\n")
    Path("names.txt").write_text("x\ny\n")
    Path("cloze.jsonl").write_text('{"text": "a _", "answer": "b"}\n')
    Path("full").mkdir()
    Path("full/mine.txt").write_text("x")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("evaluate {m} --task classification --data kinds.tsv --metrics acuracy", "did you mean 'accuracy'?"),
        ("evaluate {m} --task classification --data none.tsv", "there is no file or folder none.tsv"),
        ("evaluate {m} --task classification --data kinds.tsv --out full", "full holds other files"),
        ("evaluate {m} --task classification --data kinds.tsv --num-beams 2 --top-p 0.5", "top_p with num_beams"),
        ("evaluate {m} --task translation --data kinds.tsv", "kinds.tsv"),
        ("evaluate {m} --text kinds.tsv --window 0", "--window 0; expected at least 1"),
        ("evaluate {m} --text kinds.tsv --window 4 --stride 5", "--stride 5; expected 1 to 4, the window"),
        ("evaluate {m} --text kinds.tsv --stride 0", "--stride 0; expected at least 1"),
        ("evaluate {m} --suite gpt2", "a suite without data"),
        ("evaluate {m} --suite gpt2 --bytes none.txt", "there is no file or folder none.txt"),
        ("evaluate {m} --suite gpt2 --cloze cloze.jsonl", "no field 'options' among text, answer; in cloze.jsonl:1"),
        ("classify train {m} --data kinds.tsv --out full", "full is there already"),
        ("classify train {m} --data named.tsv names.txt --val-data kinds.tsv --out new", "of the label 'x' alone"),
        ("classify train {m} --data one_kind.tsv --out new", "one label alone: x"),
        ("cluster train {m} --data kinds.tsv --out full", "full is there already"),
        ("cluster train {m} --data kinds.tsv --clusters 5", "--clusters 5 of 4 different texts; expected at most as m"),
        ("cluster train {m} --data none.tsv", "there is no file or folder none.tsv"),
        ("classify apply {m} --data none.tsv", "there is no file or folder none.tsv"),
        ("cluster apply {m} text --out no/where.jsonl", "there is no folder no"),
    ],
)
def test_it_is_told(textwright: Run, arguments: str, said: str) -> None:
    assert_one_line(textwright(*arguments.format(m=NONE).split()), said)
