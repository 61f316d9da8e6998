"""Style transfer: files of lines side by side (the original, the same in another style), or a table of both.

Sentences of two styles that do not belong together teach no transfer; see ``styled_text``.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from textwright.tasks.base import Example, Task
from textwright.tasks.parallel import read_parallel
from textwright.tasks.references import gather
from textwright.tasks.wording import after


class StyleTransfer(Task):
    """A sentence, to be said in another style: which one, the pairs that are learned say."""

    name = "style_transfer"
    summary = "say a sentence in another style"
    metrics = ("bleu", "chrf", "edit_distance")
    baseline = "copy"

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        """All rewritings of one sentence are references of one example."""
        for found in gather(read_parallel(paths)):
            prompt = f"{found.source}\nRewritten:"
            completion = after(prompt, found.references[0])
            yield Example(prompt, completion, found.references, source=found.source, id=found.id)
