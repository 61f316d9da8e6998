"""Resumes: JSON or tables with a job's name (``category``) and a resume."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from textwright.tasks.base import Example, Task
from textwright.tasks.rows import read_rows
from textwright.tasks.wording import after, one_line


class Resume(Task):
    """A job, for which a resume is to be written."""

    name = "resume"
    summary = "write a resume for a job"
    metrics = ("rouge", "distinct_n", "repetition")
    max_new_tokens = 256
    stop = ()
    baseline = "ngram"

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        """An example for every different resume: the same one twice would be learned, and judged, twice."""
        seen = set[tuple[str, str]]()
        for row in read_rows(paths, [("category", "resume")]):
            job, text = one_line(row.text("category", "job", "title")), row.text("resume", "text")
            if (job, text) in seen:
                continue
            seen.add((job, text))
            prompt = f"Job: {job}\nResume:"
            yield Example(prompt, after(prompt, text), (text,), source=job, id=row.id)
