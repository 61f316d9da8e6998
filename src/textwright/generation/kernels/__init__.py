"""Compiled code for decoding on a CPU."""

from pathlib import Path

from textwright.core.caches import kernel_folder

COMPILING = "preparing the kernels for this processor: about a quarter of a minute, once"


def are_compiled() -> bool:
    """Whether they are in the cache."""
    return any(kernel_folder(Path(__file__).parent).glob("**/*.nbc"))
