"""What is done to logits before a token is chosen. The table is in ``catalog``."""
