"""Metrics, one file each: how good predictions are."""
