"""Classification: a text is given, and one of all labels is chosen. See ``labelled_texts`` for the forms of files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from textwright.tasks.base import Example, Task
from textwright.tasks.labelled_texts import read_labelled_texts
from textwright.tasks.wording import after, is_spaceless

ASKED = ("Label:", "标签：")
"""After a text, and after one in a language that is written without spaces."""


class Classification(Task):
    """A text, of which is to be said what kind it is: every label is an option."""

    name = "classification"
    summary = "say what kind a text is: sentiment, topic, intent"
    metrics = ("accuracy", "f1")
    max_new_tokens = 16

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        """An example a row, with the labels of all of them.

        Raises:
            InputError: fewer than two labels, or one that has no name among those given.
        """
        found = read_labelled_texts(paths)
        options = {prompt: tuple(after(prompt, name) for name in found.names.values()) for prompt in ASKED}
        for one, named in zip(found.texts, found.named(), strict=True):
            asked, label = ASKED[is_spaceless(one.text)], str(named.label)
            yield Example(
                f"{one.text}\n{asked}",
                after(asked, label),
                (label,),
                options=options[asked],
                source=one.text,
                id=one.id,
                details={"label": one.label},
            )
