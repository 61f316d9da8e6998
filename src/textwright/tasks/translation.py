"""Translation: files of lines side by side (``val.en`` ``val.de``), or a table of both."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from textwright.tasks.base import Example, Task
from textwright.tasks.parallel import read_parallel
from textwright.tasks.references import gather
from textwright.tasks.wording import after


class Translation(Task):
    """A sentence, to be said in another language: which one, the pairs that are learned say."""

    name = "translation"
    summary = "say a sentence in another language"
    metrics = ("bleu", "chrf", "ter")
    baseline = "copy"

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        """All translations of one sentence are references of one example."""
        for found in gather(read_parallel(paths)):
            prompt = f"{found.source}\nTranslation:"
            completion = after(prompt, found.references[0])
            yield Example(prompt, completion, found.references, source=found.source, id=found.id)
