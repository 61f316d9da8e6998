"""Suites: figures that papers and programs quote, each by the protocols it is quoted by, side by side."""
