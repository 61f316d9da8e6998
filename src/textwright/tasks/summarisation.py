"""Summaries: JSON or tables with a text (``source``) and its summary, or several (``target``)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from textwright.tasks.base import Example, Task
from textwright.tasks.rows import read_rows
from textwright.tasks.wording import after, one_line

TEXT = ("source", "document", "article", "text", "body")
SUMMARY = ("target", "summary", "highlights", "abstract", "tldr")


class Summarisation(Task):
    """A text, to be said in a sentence."""

    name = "summarisation"
    summary = "say a text in a sentence"
    metrics = ("rouge", "meteor", "bleu")
    baseline = "lead"

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        """An example a row; the sentences of a list are put together."""
        for row in read_rows(paths, [(TEXT[0], SUMMARY[0])]):
            text = one_line(row.text(*TEXT))
            references = tuple(one_line(summary) for summary in row.texts(*SUMMARY))
            prompt = f"{text}\nTL;DR:"
            name = row.text("paper_id", "id") if row.has("paper_id", "id") else row.id
            yield Example(prompt, after(prompt, references[0]), references, source=text, id=name)
