"""The journal is readable at any moment, and can be cut back."""

from pathlib import Path

from textwright.core.journal import Journal, read_rows


def test_rows_come_back_and_non_finite_numbers_become_null(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write("train", step=1, loss_nats=float("nan"), text="汉字")
    journal.close()
    assert list(read_rows(tmp_path / "journal.jsonl")) == [
        {"kind": "train", "step": 1, "loss_nats": None, "text": "汉字"}
    ]


def test_a_last_line_cut_short_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"kind": "train", "step": 1}\n{"kind": "tra')
    assert [row["step"] for row in read_rows(path)] == [1]


def test_cutting_back_drops_later_steps_and_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    for step in (1, 2, 3):
        journal.write("train", step=step)
    journal.cut_after(2)
    journal.write("train", step=3, again=True)
    assert [(row["step"], row.get("again")) for row in read_rows(journal.path)] == [(1, None), (2, None), (3, True)]
    journal.close()
