"""What is wrong with an evaluation that is asked for is seen without a model, and without torch."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from textwright.api.task_request import read_task_request
from textwright.core.errors import InputError
from textwright.tasks.base import Example, Task


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.tsv"
    path.write_text("text\tlabel\nfine\tgood\ndull\tbad\ngreat\tgood\n")
    return path


def test_a_request_has_the_first_examples_and_the_tasks_own_settings(reviews: Path, tmp_path: Path) -> None:
    found = read_task_request("classification", [reviews], out=tmp_path / "out", limit=2, seed=3)
    assert [one.references for one in found.examples] == [("good",), ("bad",)]
    assert (found.sampling.temperature, found.sampling.seed) == (0, 3)
    assert next(iter(found.metrics)) == found.task.metrics[0]
    assert found.options == {"metrics": None, "limit": 2, "skip_long": False, "trust_code": False, "seed": 3}
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "clasification"}, "unknown task 'clasification'.*did you mean 'classification'"),
        ({"metrics": ["blue"]}, "unknown metric 'blue'.*did you mean 'bleu'"),
        ({"metrics": ["fluency"]}, "the metric fluency alone"),
        ({"limit": 0}, "limit = 0; expected at least 1"),
        ({"temperature": -1}, "temperature = -1"),
        ({"regex": "a", "grammar": "b"}, "regex and grammar were given; one of them at a time"),
        ({"num_beams": 2, "top_k": 3}, "top_k with num_beams"),
        ({"out": "full"}, "holds other files"),
        ({"paths": ["none.tsv"]}, "there is no file or folder"),
        ({"paths": ["unlabelled.tsv"]}, "no field 'label'"),
        ({"task": "summarisation", "paths": ["without.jsonl"]}, "target"),
    ],
)
def test_what_is_wrong_is_one_line(reviews: Path, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    (tmp_path / "unlabelled.tsv").write_text("text\tkind\nfine\tgood\n")
    (tmp_path / "without.jsonl").write_text('{"source": "a"}\n')
    given = {"task": "classification", "paths": [reviews.name], "out": "out"} | change
    task, paths, out = given.pop("task"), [tmp_path / name for name in given.pop("paths")], tmp_path / given.pop("out")
    with pytest.raises(InputError, match=message):
        read_task_request(task, paths, out=out, **given)


class Free(Task):
    """A line is gone on with, in any way."""

    name = "free"
    summary = "go on"
    metrics = ("repetition",)

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        for line in paths[0].read_text().splitlines():
            yield Example(line)


def test_an_example_without_a_reference_is_named_where_a_metric_compares(reviews: Path, tmp_path: Path) -> None:
    assert len(read_task_request(Free(), [reviews], out=tmp_path / "out").examples) == 4
    with pytest.raises(InputError, match="no reference for bleu; in example 1; expected one at least"):
        read_task_request(Free(), [reviews], out=tmp_path / "out", metrics=["repetition", "bleu"])


def test_all_of_it_is_seen_without_torch(reviews: Path, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom textwright.api.task_request import read_task_request\n"
        f"read_task_request('classification', [Path({str(reviews)!r})], out=Path({str(tmp_path / 'out')!r}))\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
