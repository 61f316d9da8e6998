"""The display says what the rows say, in a terminal and in a file."""

import io
import re
from typing import Any

from textwright.core.console import Console
from textwright.runs.display import TrainingDisplay, sparkline

ROWS = [
    {
        "kind": "event",
        "step": 0,
        "elapsed_s": 9.0,
        "event": "started",
        "num_steps": 100,
        "message": "training for 100 steps",
    },
    {"kind": "train", "step": 50, "elapsed_s": 39.0, "loss_nats": 2.5, "tokens_per_s": 12345.0, "memory_bytes": 2e9},
    {"kind": "val", "step": 50, "val_loss_nats": 2.25, "val_bits_per_byte": 1.5, "elapsed_s": 39.0},
    {"kind": "sample", "step": 50, "text": "def [bold]not markup[/bold]"},
]


def draw(is_terminal: bool, evaluation: dict[str, Any] | None = None) -> str:
    out = io.StringIO()
    out.isatty = lambda: is_terminal  # type: ignore[method-assign]
    with TrainingDisplay("a run", Console(file=out, width=110)) as display:
        for row in ROWS:
            display.show(evaluation if evaluation and row["kind"] == "val" else row)
    return out.getvalue()


def test_a_terminal_shows_losses_speed_memory_time_left_and_the_sample() -> None:
    text = draw(is_terminal=True)
    for part in ("2.500", "2.250", "12,345", "2.00 GB", "30 s", "step 50 of 100", "def [bold]not markup[/bold]"):
        assert part in text


def test_a_file_gets_plain_lines_without_control_characters() -> None:
    text = draw(is_terminal=False)
    assert "step 50: validation loss 2.2500 nats, 1.500 bits/byte, time left 30 s" in text
    assert "\x1b" not in text


TASKS = {"reviews.accuracy": 0.625, "reviews.f1_macro": 0.5, "my.talks.bleu": 12.5, "my.talks.bleu_1": 30.0}


def test_the_first_figure_of_each_task_stands_beside_the_loss() -> None:
    row = ROWS[2] | TASKS
    shown = re.sub("\x1b\\[[0-9;]*m", "", draw(is_terminal=True, evaluation=row))
    assert "reviews.accuracy 0.625   my.talks.bleu 12.500" in shown
    lines = draw(is_terminal=False, evaluation=row)
    assert "1.500 bits/byte, reviews.accuracy 0.6250, my.talks.bleu 12.5000, time left 30 s" in lines
    assert "f1_macro" not in shown + lines


def test_tasks_alone_are_an_evaluation_too() -> None:
    row = {"kind": "val", "step": 50, "elapsed_s": 39.0, **TASKS}
    assert "step 50: reviews.accuracy 0.6250, my.talks.bleu 12.5000, time" in draw(is_terminal=False, evaluation=row)


def test_a_curve_of_one_value_and_of_many_fits_its_width() -> None:
    assert sparkline([], 10) == ""
    assert sparkline([1.0], 10) == "▁"
    assert sparkline([float(i) for i in range(1000)], 8) == "▁▂▃▄▅▆▇█"
