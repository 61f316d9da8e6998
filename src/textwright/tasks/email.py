"""E-mails: JSON or tables with a body and its subject line; from the subject to the body."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from textwright.tasks.base import Example, Task
from textwright.tasks.rows import read_rows
from textwright.tasks.wording import after, one_line


class Email(Task):
    """A subject line, about which an e-mail is to be written."""

    name = "email"
    summary = "write an e-mail to a subject line"
    metrics = ("rouge", "distinct_n")
    max_new_tokens = 256
    stop = ()
    baseline = "ngram"

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        """An example a row."""
        for row in read_rows(paths, [("subject", "body")]):
            subject, body = one_line(row.text("subject")), row.text("body")
            prompt = f"Subject: {subject}\nBody:"
            name = row.text("id") if row.has("id") else row.id
            yield Example(prompt, after(prompt, body), (body,), source=subject, id=name)
