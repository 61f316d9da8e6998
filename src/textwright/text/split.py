"""Which documents are kept for validation."""

from textwright.core.seeds import hash_u64

VALIDATION_OF = 10


def is_validation(text: str) -> bool:
    """Whether a document is kept for validation: a tenth is, chosen by the hash of its text.

    The same text is always on the same side, in whatever order and company it comes, so copies never straddle.
    """
    return hash_u64("validation", text) % VALIDATION_OF == 0
