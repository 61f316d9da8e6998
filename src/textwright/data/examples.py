"""Examples in memory: texts, which are learned whole, and prompts with completions, of which the completion is learned.

::

    text                    The cat sat. |             all of it          (| is the end token)
    prompt and completion   Q: 1+1? two |              two |
"""

from collections.abc import Iterable
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
            examples: one is held at a time; those without any text are left out.
            tokenizer: makes the ids. A prompt has those that it has when it is continued, whatever follows it here.
            max_pair_tokens: of a prompt with its completion: in rows that are shorter it would be cut, and learned
                without its prompt.

        Raises:
            InputError: a longer pair.
        """
        ids, documents = list[Ids](), list[Document]()
        self.num_left_out = self.longest_pair = size_bytes = num_characters = 0
        for example in examples:
            if not example.text.strip() and example.prompt is None:
                self.num_left_out += 1
                continue
            found, document = _encode(example, tokenizer)
            if example.prompt is not None:
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

    @property
    def fingerprint(self) -> str:
        """A hash of ids, documents, and what is learned of them."""
        return fingerprint_of(super().fingerprint, [document.spans for document in self._documents])

    @cached_property
    def documents(self) -> Any:
        """See ``TokenDataset``."""
        return make_table(self._documents)


def _encode(example: Example, tokenizer: Tokenizer) -> tuple[Ids, Document]:
    """An example's ids with its end token, and what is known of it, with what is learned."""
    if example.prompt is None:
        return _document_ids(example.text, tokenizer), example.document
    prompt = _document_ids(example.prompt, tokenizer)
    # The completion goes on where the prompt ends.
    ids = np.concatenate([prompt[:-1], tokenizer.encode_array(example.text), prompt[-1:]])
    return ids, replace(example.document, spans=((len(prompt) - 1, len(ids)),))


def _document_ids(text: str, tokenizer: Tokenizer) -> Ids:
    """A text as documents are: with the end token, and whatever else the tokenizer has them begin with."""
    whole = TokenDataset.from_texts([text], tokenizer)
    return whole.read(0, whole.num_tokens).astype(np.uint32)


def _too_long(document: Document, num_tokens: int, most: int) -> InputError:
    return InputError(
        f"pair {document.id} has {num_tokens:,} tokens with its end",
        where=document.source,
        expected=f"at most {most:,}, the model's context",
        fix="shorten it, or leave it out",
    )
