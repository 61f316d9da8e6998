"""The table of what batches are made of, by the name that ``packing`` has for it: one file and one row each."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from textwright.core.catalog import Catalog

if TYPE_CHECKING:
    from textwright.data.sources.base import BatchSource

SOURCES = Catalog(
    "packing",
    "textwright.sources",
    {
        "none": "textwright.data.sources.windows:Windows",
        "documents": "textwright.data.sources.packed_documents:PackedDocuments",
    },
)
"""Each is called with a stream of tokens, ``batch_size``, ``sequence_length`` and ``seed``."""


def find_source(name: str) -> "Callable[..., BatchSource]":
    """What makes a source of batches of a stream of tokens. Raises InputError for a name that is not in the table."""
    found: Callable[..., BatchSource] = SOURCES.load(name)
    return found
