"""Compiled code for decoding on a CPU."""

from pathlib import Path

from textwright.kernels import folder_of

COMPILING = (
    "preparing the kernels for this processor, once: a quarter of a minute, on older processors up to three minutes"
)


def are_compiled() -> bool:
    """Whether they are in the cache."""
    return any(folder_of(Path(__file__).parent).glob("**/*.nbc"))
