"""Decoding on a CPU with kernels of our own. How they are laid out: README.md."""
