"""The rows of tasks_table.py: which data, which task, and what is kept for judging."""

import csv
import gzip
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from public_text import public

from textwright.core.seeds import hash_u64

Parts = tuple[list[Path], list[Path]]
TEST_SHARE = 5
"""Of data that has no test part of its own, one in so many is kept; what is alike lies on one side."""


@dataclass(frozen=True)
class TaskRow:
    """A data set, and what is done with it."""

    task: str
    split: Callable[[Path], Parts]
    """What is trained on and what is judged; given a folder for files of its own."""
    described: str
    shown: tuple[str, ...]
    """Figures that the table shows."""
    limit: int | None = None
    sampling: tuple[str, ...] = ()
    model_of: str | None = None
    """Another row, whose model answers."""


def parts(train: Sequence[str], test: Sequence[str]) -> Callable[[Path], Parts]:
    """Files as they are published."""
    return lambda _folder: ([public(name) for name in train], [public(name) for name in test])


def kept_of_table(name: str, key: str) -> Callable[[Path], Parts]:
    """Rows of a table with names above it: by a field's text, some are kept for judging."""

    def split(folder: Path) -> Parts:
        with gzip.open(public(name), "rt", encoding="utf-8", newline="") as file:
            return _written(folder, list(csv.DictReader(file)), lambda row: str(row[key]))

    return split


def kept_of_lines(name: str) -> Callable[[Path], Parts]:
    """Lines with tabs: by what stands before the first tab, some are kept for judging."""

    def split(folder: Path) -> Parts:
        with gzip.open(public(name), "rt", encoding="utf-8") as file:
            rows = [dict(zip(("source", "target"), line.rstrip("\n").split("\t"), strict=False)) for line in file]
        return _written(folder, rows, lambda row: str(row["source"]))

    return split


def kept_of_dialogues(folder: Path) -> Parts:
    """Whole conversations."""
    rows = [{"line": line} for line in public("dailydialog-test/dialogues_test.txt").read_text().splitlines() if line]
    train, test = folder / "train.txt", folder / "test.txt"
    for path, is_kept in ((train, False), (test, True)):
        path.write_text("".join(f"{row['line']}\n" for row in rows if _is_kept(row["line"]) == is_kept))
    return [train], [test]


def mbpp(folder: Path) -> Parts:
    """Problems 11 to 510 are judged, as its README has it."""
    rows = json.loads(public("mbpp-sanitized/sanitized-mbpp.json").read_text())
    return _written(folder, rows, lambda row: row["task_id"], lambda task_id: 11 <= int(task_id) <= 510)


def _written(
    folder: Path,
    rows: Iterable[dict[str, Any]],
    key: Callable[[dict[str, Any]], str],
    is_kept: Callable[[str], bool] | None = None,
) -> Parts:
    train, test = folder / "train.jsonl", folder / "test.jsonl"
    with open(train, "w", encoding="utf-8") as learned, open(test, "w", encoding="utf-8") as judged:
        for row in rows:
            file = judged if (is_kept or _is_kept)(key(row)) else learned
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return [train], [test]


def _is_kept(text: str) -> bool:
    return hash_u64("tasks_table", text) % TEST_SHARE == 0


ROWS: dict[str, TaskRow] = {
    "e2e": TaskRow(
        "data_to_text", parts(["e2e/devset.csv.gz"], ["e2e/testset_w_refs.csv.gz"]), "its dev set", ("bleu", "rouge_l")
    ),
    "webnlg2017": TaskRow(
        "data_to_text",
        parts(["webnlg2017/train.jsonl.gz"], ["webnlg2017/test.jsonl.gz"]),
        "its training set",
        ("bleu", "rouge_l"),
    ),
    "scitldr": TaskRow(
        "summarisation",
        parts(["scitldr/train.jsonl.gz"], ["scitldr/test.jsonl.gz"]),
        "its training set",
        ("rouge_1", "rouge_l"),
    ),
    "multi30k (en-de)": TaskRow(
        "translation",
        parts(
            ["multi30k/train.en.gz", "multi30k/train.de.gz"],
            [f"multi30k/test_2016_flickr.{one}.gz" for one in ("en", "de")],
        ),
        "its training set",
        ("bleu", "chrf"),
    ),
    "style-shakespeare": TaskRow(
        "style_transfer",
        parts(
            [f"style-shakespeare/train.{one}.nltktok" for one in ("modern", "original")],
            [f"style-shakespeare/test.{one}.nltktok" for one in ("modern", "original")],
        ),
        "its training set, modern to Shakespeare's",
        ("bleu", "chrf"),
    ),
    "style-yelp": TaskRow(
        "styled_text",
        parts(
            [f"style-yelp/train-from-other-release/sentiment.test.{one}.gz" for one in (0, 1)],
            [f"style-yelp/sentiment.test.{one}" for one in (0, 1)],
        ),
        "50,000 sentences of another release",
        ("distinct_2",),
        sampling=("--temperature", "1.0", "--seed", "1"),
    ),
    "sgd": TaskRow("dialogue", parts(["sgd/train"], ["sgd/test"]), "its training part", ("bleu", "meteor"), limit=1000),
    "dailydialog": TaskRow("dialogue", kept_of_dialogues, "four fifths", ("bleu", "distinct_2")),
    "sst2": TaskRow(
        "classification", parts(["sst2/train.tsv"], ["sst2/test.tsv"]), "its training set", ("accuracy", "f1_macro")
    ),
    "banking77": TaskRow(
        "classification",
        parts(*([f"banking77/{part}.csv", "banking77/categories.json"] for part in ("train", "test"))),
        "its training set",
        ("accuracy", "f1_macro"),
    ),
    "chnsenticorp-hotel": TaskRow(
        "classification",
        kept_of_table("chnsenticorp-hotel/ChnSentiCorp_htl_all.csv.gz", "review"),
        "four fifths",
        ("accuracy", "f1_macro"),
    ),
    "tatoeba-eng-cmn": TaskRow(
        "translation", kept_of_lines("tatoeba-eng-cmn/cmn.txt.gz"), "four fifths", ("bleu", "chrf"), limit=1000
    ),
    "wnut17": TaskRow(
        "named_entities",
        parts(["wnut17/wnut17train.conll"], ["wnut17/emerging.test.annotated"]),
        "its training set",
        ("entity_f1",),
    ),
    "semeval2010-task8": TaskRow(
        "relations",
        parts(["semeval2010-task8/TRAIN_FILE.TXT.gz"], ["semeval2010-task8/TEST_FILE_FULL.TXT"]),
        "its training set",
        ("relation_f1", "accuracy"),
    ),
    "mbpp": TaskRow(
        "code_completion",
        mbpp,
        "problems 1 to 10 and from 511 on",
        ("pass@1",),
        sampling=("--max-new-tokens", "128"),
    ),
    "humaneval": TaskRow(
        "code_completion",
        lambda folder: (mbpp(folder)[0], [public("humaneval/HumanEval.jsonl.gz")]),
        "mbpp's",
        ("pass@1",),
        sampling=("--max-new-tokens", "128"),
        model_of="mbpp",
    ),
    "aeslc": TaskRow(
        "subject_line",
        parts(["aeslc/train.jsonl.gz"], ["aeslc/test.jsonl.gz"]),
        "its training set",
        ("rouge_1", "rouge_l"),
        limit=1000,
    ),
    "resumes": TaskRow(
        "resume",
        kept_of_table("resumes/UpdatedResumeDataSet.csv.gz", "Resume"),
        "four fifths of the different ones",
        ("rouge_1", "rouge_l"),
    ),
    "ag_news": TaskRow(
        "cluster",
        parts([], ["ag_news/test.csv.gz", "ag_news/classes.txt"]),
        "nothing: the base's vectors",
        ("adjusted_rand_index", "normalised_mutual_information"),
        sampling=("--clusters", "4"),
    ),
}
