"""The report opens without a network, shows what it was given, and runs nothing that was in the text."""

import html
import re
from pathlib import Path
from typing import Any

import pytest

from textwright.report.chart import (
    MAX_POINTS,
    MAX_TIPS,
    RIGHT,
    WIDTH,
    Bar,
    Line,
    bar_chart,
    histogram,
    line_chart,
    matrix_chart,
    nice_ticks,
)
from textwright.runs.record import RunRecord
from textwright.runs.report import MAX_EVENTS, run_parts, write_run_report

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


def record(journal: list[dict[str, Any]], **more: Any) -> RunRecord:
    return RunRecord(name="run", command="textwright train", config={}, journal=journal, samples=(), **more)


@pytest.fixture
def page(tmp_path: Path) -> str:
    facts = {
        "environment": {"torch": "x"},
        "held_out_bits_per_byte": {"this model": 1.5, "xz -9e": 1.6},
        "completions": [{"prompt": "def f(", "text": EVIL}],
    }
    full = RunRecord(
        name=f"run {EVIL}",
        command="textwright train",
        config={"data": [EVIL], "training": {"steps": 30}},
        journal=rows(30),
        samples=[{"step": step, "text": f"sample {step} {EVIL}"} for step in range(20)],
        facts=facts,
    )
    write_run_report(tmp_path / "report.html", full)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_nothing_of_the_text_becomes_markup(page: str) -> None:
    assert EVIL not in page
    assert "&lt;/script&gt;" in page


def test_nothing_is_loaded_from_anywhere_and_nothing_runs(page: str) -> None:
    assert not re.search(r"""(?:src|href)\s*=\s*['"]?(?:https?:)?//""", page)
    assert "default-src 'none'" in page
    assert "<script" not in page


def test_a_report_is_small(page: str) -> None:
    assert len(page) < 200_000


def test_charts_hold_the_journals_numbers(page: str) -> None:
    tips = [html.unescape(tip) for tip in re.findall(r"<title>(.*?)</title>", page, flags=re.S)]
    assert "step 3\ntraining: 4.9\nvalidation: 4.25" in tips
    assert "this model: 1.5" in tips
    assert "sample 0 " in page
    assert "sample 19 " in page


def test_a_curve_goes_through_its_numbers() -> None:
    drawn = line_chart([Line("a", [0, 1, 2, 3], [0.0, 10.0, None, 5.0])], x="x", y="y")
    path = next(re.finditer(r"<path class='line c0' d='(M[^']*L[^']*)'", drawn))[1]
    points = [tuple(map(float, place.split())) for place in re.findall(r"[ML]([\d. ]+)", path)]
    assert len(points) == 3  # what is not there is a gap, from which the curve begins anew
    assert [letter for letter in path if letter in "ML"] == ["M", "L", "M"]
    (x0, y0), (x1, y1), (x3, y3) = points
    assert x1 - x0 == pytest.approx((x3 - x0) / 3, abs=0.2)
    assert y0 - y1 == pytest.approx(2 * (y0 - y3), abs=0.2)  # up is less
    assert "nan" not in line_chart([Line("a", [0, 1], [float("nan"), float("inf")])], x="x", y="y")


def test_a_logarithmic_axis_shows_factors_alike() -> None:
    drawn = line_chart([Line("a", [0, 1, 2, 3], [1.0, 10.0, 100.0, -1.0])], x="x", y="y", is_logarithmic=True)
    path = next(re.finditer(r"<path class='line c0' d='(M[^']*L[^']*)'", drawn))[1]
    heights = [float(place.split()[1]) for place in re.findall(r"[ML]([\d. ]+)", path)]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.2)
    assert len(heights) == 3


def test_a_long_curve_is_thinned_and_keeps_its_end() -> None:
    count = 50_000
    drawn = line_chart([Line("a", range(count), [float(i) for i in range(count)])], x="x", y="y")
    path = next(re.finditer(r"<path class='line c0' d='(M[^']*L[^']*)'", drawn))[1]
    assert path.count("L") <= 2 * MAX_POINTS
    assert drawn.count("<title>") <= 2 * MAX_TIPS
    first, last = (tuple(map(float, place.split())) for place in re.findall(r"[ML]([\d. ]+)", path)[:: path.count("L")])
    assert last[0] == pytest.approx(WIDTH - RIGHT, abs=0.2)
    assert last[1] < first[1]


def test_bars_are_in_the_given_order_and_the_first_is_marked() -> None:
    drawn = bar_chart([Bar("ours", 1.0, 0.9, 1.2), Bar("theirs", 2.0)], x="bits")
    assert drawn.index("ours") < drawn.index("theirs")
    assert re.findall(r"class='bar (\w+)'", drawn) == ["c0", "plain"]
    one, other = (
        float(width) for width in re.findall(r"class='bar \w+' x='[\d.]+' y='[\d.]+' width='([\d.]+)'", drawn)
    )
    assert other == pytest.approx(2 * one, abs=0.3)
    assert "ours: 1 (0.9 to 1.2)" in drawn


def test_bars_of_several_are_told_apart_by_colour() -> None:
    drawn = bar_chart([Bar("a, one", 1.0, colour=0), Bar("a, two", 2.0, colour=1)], x="bits")
    assert re.findall(r"class='bar (\w+)'", drawn) == ["c0", "c1"]


def test_a_histogram_counts_every_value_once() -> None:
    values = [0.0, 1, 1, 2, 5, 40, 63, 64, 64, 64]
    drawn = histogram(values, x="tokens", y="answers")
    counts = [int(tip.split(": ")[1]) for tip in re.findall(r"<title>(.*?)</title>", drawn)]
    assert sum(counts) == len(values)
    assert counts[0] == 4
    assert "0 to 4: 4" in drawn
    assert histogram([7.0], x="tokens", y="answers").count("<rect") == 1


def test_a_matrix_tells_what_was_said_that_is_no_label() -> None:
    drawn = matrix_chart(["cat", "dog"], [[8, 2, 1], [0, 5, 0]], rows="is", columns="said", others="neither")
    assert "cat → neither: 1 of 11" in drawn
    assert drawn.count("cell right") == 2


def test_a_matrix_tells_who_was_taken_for_whom() -> None:
    drawn = matrix_chart(["cat", "dog"], [[8, 2], [0, 5]], rows="is", columns="said")
    assert "cat → dog: 2 of 10" in drawn
    assert drawn.count("cell right") == 2
    assert "fill-opacity='0.200'" in drawn


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 12), (0.00012, 0.00019), (7, 7), (0, 123456)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    ticks = nice_ticks(low, high, 5)
    assert 1 <= len(ticks) <= 11
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)


def test_a_run_that_ended_before_its_first_step_has_a_report_too(tmp_path: Path) -> None:
    write_run_report(tmp_path / "report.html", record([]))
    assert "<h1>run</h1>" in (tmp_path / "report.html").read_text()


def test_two_events_of_one_step_and_second_are_both_told() -> None:
    events = [
        {"kind": "event", "step": 3, "elapsed_s": 1.0, "event": "skipped", "message": "the first of them"},
        {"kind": "event", "step": 3, "elapsed_s": 1.2, "event": "skipped", "message": "the second of them"},
    ]
    page = "".join(run_parts(record(events)))
    assert "the first of them" in page
    assert "the second of them" in page


def test_tasks_are_curves_and_losses_have_one_each() -> None:
    journal = [row | {"loss_nats/code": 2.0, "loss_nats/prose": 3.0} for row in rows(4) if row["kind"] == "train"]
    for step, accuracy in ((2, 0.25), (4, 0.75)):
        figures = {"classification.accuracy": accuracy, "translation.bleu": 12.0, "reviews.accuracy": 0.5}
        journal.append({"kind": "val", "step": step, "elapsed_s": 1.0, "val_loss_nats": 5.0 - step} | figures)
    drawn = html.unescape("".join(run_parts(record(journal))))
    for label in ("accuracy", "bleu", "training loss, nats per token"):
        assert f"aria-label='{label}'" in drawn
    assert "step 2\nclassification.accuracy: 0.25\nreviews.accuracy: 0.5" in drawn
    assert "code: 2\nprose: 3" in drawn
    assert "<td>classification.accuracy</td><td>0.7500</td><td>0.2500</td>" in drawn
    assert "No intervals while it trains" in drawn


def test_a_run_of_a_hundred_thousand_rows_stays_small_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    journal = rows(100_000)
    journal += [row | {"event": "skipped", "message": "x" * 5000} for row in journal[-1:] for _ in range(1000)]
    settings = {"data": [f"file {number}" for number in range(5000)], "note": "y" * 100_000}
    long = [{"step": step, "text": "z" * 100_000} for step in range(500)]
    big = RunRecord(name="r", command="c", config=settings, journal=journal, samples=long)
    write_run_report(tmp_path / "report.html", big)
    assert (tmp_path / "report.html").stat().st_size < 1_500_000
    page = (tmp_path / "report.html").read_text()
    assert f"{1001 - MAX_EVENTS:,} in between are left out" in page
    assert "5,000: file 0, file 1, ..., file 4999" in page
    assert "98,800 characters left out" in page
