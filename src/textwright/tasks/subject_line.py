"""Subject lines: JSON or tables with an e-mail's body and its subject line, and those that others gave it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from textwright.tasks.base import Example, Task
from textwright.tasks.rows import read_rows
from textwright.tasks.wording import after, one_line

MOST_ANNOTATORS = 10


class SubjectLine(Task):
    """An e-mail, for which a subject line is to be found: its writer's (``subject``) or others' (``ann0``, ...)."""

    name = "subject_line"
    summary = "find a subject line for an e-mail"
    metrics = ("rouge", "meteor")
    max_new_tokens = 24
    baseline = "lead"

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        """An example a row."""
        for row in read_rows(paths, [("subject", "body")]):
            names = ("subject", *(f"ann{number}" for number in range(MOST_ANNOTATORS)))
            given = (one_line(row.text(name)) for name in names if name == "subject" or row.has(name))
            references = tuple(dict.fromkeys(text for text in given if text))
            body = one_line(row.text("body"))
            prompt = f"{body}\nSubject:"
            name = row.text("id") if row.has("id") else row.id
            completion = after(prompt, references[0]) if references else ""
            yield Example(prompt, completion, references, source=body, id=name)
