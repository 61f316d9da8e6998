"""The report opens without a network, shows what it was given, and runs nothing that was in the text."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from textwright.report.chart import MAX_POINTS, Line, bar_chart, line_chart
from textwright.runs.report import write_run_report

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


def rows(count: int) -> list[dict[str, Any]]:
    train = [
        {
            "kind": "train",
            "step": step,
            "elapsed_s": step * 0.5,
            "loss_nats": 5 - step / count,
            "tokens": step * 100,
            "tokens_per_s": 1234.5,
            "learning_rate": 0.001,
        }
        for step in range(1, count + 1)
    ]
    val = [{"kind": "val", "step": count, "elapsed_s": 1.0, "val_loss_nats": 4.25, "val_bits_per_byte": 1.5}]
    return [*train, *val, {"kind": "event", "step": 0, "elapsed_s": 0.0, "event": "started", "message": EVIL}]


@pytest.fixture
def page(tmp_path: Path) -> str:
    write_run_report(
        tmp_path / "report.html",
        title=f"run {EVIL}",
        journal_rows=rows(30),
        samples=[{"step": step, "text": f"sample {step} {EVIL}"} for step in range(20)],
        config={"data": [EVIL], "training": {"steps": 30}},
        environment={"torch": "x"},
        metrics={"this model": 1.5, "xz -9e": 1.6},
        completions=[{"prompt": "def f(", "text": EVIL}],
        command="textwright train",
    )
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_nothing_of_the_text_becomes_markup(page: str) -> None:
    assert EVIL not in page
    assert "&lt;/script&gt;" in page


def test_nothing_is_loaded_from_anywhere(page: str) -> None:
    own = re.sub(r"<script>(?!\s*function draw).*?</script>", "", page, flags=re.S)  # without plotly's own text
    assert not re.search(r"""(?:src|href)\s*=\s*['"]?(?:https?:)?//""", own)
    assert "default-src 'none'" in own


def test_charts_hold_the_journals_numbers(page: str) -> None:
    figures = [json.loads(raw) for raw in re.findall(r"<script type='application/json'>(.*?)</script>", page)]
    losses = figures[0]["data"]
    assert losses[0]["y"] == [5 - step / 30 for step in range(1, 31)]
    assert losses[1]["y"] == [4.25]
    assert "1.500" in page
    assert "sample 0 " in page
    assert "sample 19 " in page


def test_a_long_curve_is_thinned_and_keeps_its_shape() -> None:
    count = 50_000
    line = line_chart([Line("a", range(count), [float(i) for i in range(count)])], x="x", y="y")["data"][0]
    assert len(line["x"]) <= 2 * MAX_POINTS
    assert line["x"] == line["y"]
    assert line["x"][-1] > 0.99 * count


def test_bars_are_in_the_given_order_from_above() -> None:
    trace = bar_chart({"ours": 1.0, "theirs": 2.0}, x="bits")["data"][0]
    assert trace["y"][::-1] == ["ours", "theirs"]
    assert trace["marker"]["color"][-1] != trace["marker"]["color"][0]


def test_a_run_that_ended_before_its_first_step_has_a_report_too(tmp_path: Path) -> None:
    empty: dict[str, Any] = {"config": {}, "environment": {}, "metrics": {}, "completions": [], "command": "x"}
    write_run_report(tmp_path / "report.html", title="t", journal_rows=[], samples=[], **empty)
    assert "<h1>t</h1>" in (tmp_path / "report.html").read_text()


def test_two_events_of_one_step_and_second_are_both_told(tmp_path: Path) -> None:
    events = [
        {"kind": "event", "step": 3, "elapsed_s": 1.0, "event": "skipped", "message": "the first of them"},
        {"kind": "event", "step": 3, "elapsed_s": 1.2, "event": "skipped", "message": "the second of them"},
    ]
    write_run_report(
        tmp_path / "report.html",
        title="run",
        journal_rows=events,
        samples=[],
        config={},
        environment={},
        metrics={},
        completions=[],
        command="textwright train",
    )
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "the first of them" in page
    assert "the second of them" in page
