"""What is compiled for the processor at hand: the words that kernels are written with, and those of training."""

from pathlib import Path

from textwright.core.caches import kernel_folder

FOLDER = Path(__file__).parent
"""Of the words that all kernels are written with."""
CACHE_LINE = 64
"""Bytes of a line of the processor's cache, and of a vector of sixteen floats."""


def folder_of(sources: Path) -> Path:
    """Where compiled kernels are kept whose sources lie in a folder; see ``kernel_folder``."""
    return kernel_folder(sources, FOLDER)
