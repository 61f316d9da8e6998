"""What is compiled for the processor at hand: the words that kernels are written with, and those of training."""

CACHE_LINE = 64
"""Bytes of a line of the processor's cache, and of a vector of sixteen floats."""
LANES = 16
"""Numbers of 32 bits side by side in one."""
