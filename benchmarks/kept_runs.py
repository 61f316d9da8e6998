"""Runs and rows of results that are kept, so that a benchmark that was stopped goes on where it was."""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks_table import textwright

RESULTS = Path(__file__).parent / "results"


def trained(run: Path, command: str, *arguments: str) -> Path:
    """The model of a run: there already, gone on with, or made by ``train`` or ``finetune`` with these arguments."""
    if not (run / "model").exists():
        if (run / "config.toml").exists():
            textwright("train", "--resume", str(run))
        else:
            textwright(command, *arguments, "--out", str(run))
    return run / "model"


def finished(name: str, head: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The rows of ``results/NAME.jsonl`` with these values, by what they are called."""
    path = RESULTS / f"{name}.jsonl"
    rows = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
    return {row["row"]: row for row in rows if all(row.get(key) == value for key, value in head.items())}


def keep(name: str, row: dict[str, Any]) -> None:
    """Append a row to ``results/NAME.jsonl``."""
    with open(RESULTS / f"{name}.jsonl", "a") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_between(document: Path, mark: str, lines: Sequence[str]) -> None:
    """Replace what stands between ``<!-- MARK -->`` and ``<!-- end of MARK -->`` in a document."""
    text, marks = document.read_text(), (f"<!-- {mark} -->\n", f"<!-- end of {mark} -->")
    if not all(one in text for one in marks):
        sys.exit(f"{document}: no lines {' and '.join(one.strip() for one in marks)}")
    found = re.sub(
        f"({re.escape(marks[0])}).*?({re.escape(marks[1])})",
        lambda match: match[1] + "\n".join(lines) + "\n" + match[2],
        text,
        flags=re.DOTALL,
    )
    document.write_text(found)
