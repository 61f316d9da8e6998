"""Compiled code for decoding on a CPU."""

from pathlib import Path

from textwright.core.caches import kernel_folder

COMPILING = (
    "preparing the kernels for this processor, once: a quarter of a minute, on older processors up to three minutes"
)


def are_compiled() -> bool:
    """Whether they are in the cache."""
    return any(kernel_folder(Path(__file__).with_name("forward.py")).glob("*.nbc"))
