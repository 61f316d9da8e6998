"""Compiled code for decoding on a CPU."""
