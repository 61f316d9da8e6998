"""What a task is: rows of files become examples, a model's text becomes an answer. Plain data; knows no model.

::

    files ──rows──> example ──> prompt ──(a model)──> text ──read_answer──> prediction, details ──> metrics
                       └─ completion: what is learned after the prompt     references, details ──┘
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Example:
    """One thing to do."""

    prompt: str
    """What the model is given."""
    completion: str = ""
    """What it is to write after it, as it is learned: from its first character, a space perhaps, to its last."""
    references: tuple[str, ...] = ()
    """What a good answer is, one way or the other, as metrics compare it: without the space before it."""
    options: tuple[str, ...] = ()
    """Completions of which one is chosen, by how likely each is; empty where the model writes freely."""
    source: str = ""
    """What is to be turned into something else: what a copying baseline gives, and an encoder reads."""
    id: str = ""
    """Its name; the place in its file where it has none."""
    document: str = ""
    """Examples of one document stand and fall together, in intervals; empty: each for itself."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What else metrics ask for, by their names: entities, tests, ..."""
    prefix_suffix: tuple[str, str] | None = None
    """What stands before the completion and after it: a model that fills in the middle is given these two, and any
    other the prompt. None where nothing stands after it."""


@dataclass(frozen=True)
class Answer:
    """What a model's text says."""

    prediction: str
    """As metrics compare it."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What was read from it, by the names that metrics ask for."""


class Task(ABC):
    """What is done, and how it is judged. Final classes say what they are in class variables; a task that a file
    describes says it of itself.

    Attributes:
        name: as on the command line.
        summary: one line.
        metrics: by their names in the table of metrics, the one that matters first.
        max_new_tokens: of an answer.
        stop: texts that end an answer.
        regex: what an answer must be; None where it may be anything.
        json_schema: likewise.
        runs_code: whether an answer is a program, which is run with the tests in the example's details.
        baseline: the name of what answers without a model, in the table of baselines.
    """

    name: str
    summary: str
    metrics: tuple[str, ...]
    max_new_tokens: int = 64
    stop: tuple[str, ...] = ("\n",)
    regex: str | None = None
    json_schema: Mapping[str, Any] | None = None
    runs_code: bool = False
    baseline: str = "majority"

    @abstractmethod
    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        """The examples of files, in their order.

        Raises:
            InputError: files that are not of a form that the task knows, with file and place.
        """

    def read_answer(self, text: str, example: Example) -> Answer:  # noqa: ARG002
        """What a text that a model wrote, or an option that it chose, says as an answer."""
        return Answer(text.strip())
