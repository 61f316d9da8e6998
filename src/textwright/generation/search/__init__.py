"""Search: texts that are found by following several at a time."""
