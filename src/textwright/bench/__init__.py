"""Measuring ourselves beside others: every speed claim is a ratio from one interleaved run."""
