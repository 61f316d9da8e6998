"""Examples in memory: texts, which are learned whole, and prompts with completions, of which the completion is learned.

::

    text                    The cat sat. |             all of it          (| is the end token)
    prompt and completion   Q: 1+1? two |              two |
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from textwright.core.errors import InputError
from textwright.data.dataset import Ids, TokenDataset
from textwright.data.documents import make_table
from textwright.data.encode import num_bytes
from textwright.data.sources.base import fingerprint_of
from textwright.text.document import Document
from textwright.tokens.tokenizer import Tokenizer

BATCH_CHARACTERS = 1 << 20
"""Of the examples that are encoded at once: one by one, many short ones take much longer."""


@dataclass(frozen=True)
class Example:
    """One document to learn from."""

    text: str
    """What is learned, and with it that it ends there."""
    document: Document
    """What is known of it."""
    prompt: str | None = None
    """What is given before the text: it is read, and not learned. None where the text stands by itself."""


class ExampleTokens(TokenDataset):
    """Examples as token ids in memory."""

    def __init__(self, examples: Iterable[Example], tokenizer: Tokenizer, *, max_pair_tokens: int) -> None:
        """
        Args:
            examples: some are held at a time; those without any text are left out.
            tokenizer: makes the ids. A prompt has those that it has when it is continued, whatever follows it here.
            max_pair_tokens: of a prompt with its completion: in rows that are shorter it would be cut, and learned
                without its prompt.

        Raises:
            InputError: a longer pair.
        """
        ids, documents = list[Ids](), list[Document]()
        self.validated_on: list[str] = []
        """Names of files of which nothing was taken, as they are validated on."""
        self.num_left_out = self.longest_pair = size_bytes = num_characters = 0
        for example, found in _encode(self._with_text(examples), tokenizer):
            document = example.document
            if example.prompt is not None:
                # The completion goes on where the prompt ends.
                num_given = len(found) - 1
                found = np.concatenate([found[:-1], tokenizer.encode_array(example.text), found[-1:]])
                document = replace(document, spans=((num_given, len(found)),))
                self.longest_pair = max(self.longest_pair, len(found))
                if len(found) > max_pair_tokens:
                    raise _too_long(document, len(found), max_pair_tokens)
            ids.append(found)
            documents.append(document)
            for text in (example.prompt or "", example.text):
                size_bytes += num_bytes(text)
                num_characters += len(text)
        self._documents = documents
        super().__init__(
            [np.concatenate(ids)] if ids else [],
            np.cumsum([len(one) for one in ids], dtype=np.int64),
            num_bytes=size_bytes,
            num_characters=num_characters,
            has_spans=any(document.spans is not None for document in documents),
        )

    def _with_text(self, examples: Iterable[Example]) -> Iterator[Example]:
        for example in examples:
            if example.text.strip() or example.prompt is not None:
                yield example
            else:
                self.num_left_out += 1

    @property
    def fingerprint(self) -> str:
        """A hash of ids, documents, and what is learned of them."""
        return fingerprint_of(super().fingerprint, [document.spans for document in self._documents])

    @cached_property
    def documents(self) -> Any:
        """See ``TokenDataset``."""
        return make_table(self._documents)


def _encode(examples: Iterable[Example], tokenizer: Tokenizer) -> Iterator[tuple[Example, Ids]]:
    """Each with the ids of its prompt, or else of its text, as documents are: ended, and begun where they are begun."""
    for some in _batches(examples):
        whole = TokenDataset.from_texts((_beginning(one) for one in some), tokenizer)
        ids = whole.read(0, whole.num_tokens).astype(np.uint32)
        yield from zip(some, np.split(ids, whole.document_ends[:-1]), strict=True)


def _batches(examples: Iterable[Example]) -> Iterator[list[Example]]:
    held, size = list[Example](), 0
    for example in examples:
        held.append(example)
        size += 1 + len(example.prompt or "") + len(example.text)
        if size >= BATCH_CHARACTERS:
            yield held
            held, size = [], 0
    if held:
        yield held


def _beginning(example: Example) -> str:
    return example.text if example.prompt is None else example.prompt


def _too_long(document: Document, num_tokens: int, most: int) -> InputError:
    return InputError(
        f"pair {document.id} has {num_tokens:,} tokens with its end",
        where=document.source,
        expected=f"at most {most:,}, the model's context",
        fix="shorten it, or leave it out",
    )
