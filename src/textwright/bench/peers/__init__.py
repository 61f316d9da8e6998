"""What is measured: one short file each, with ``SETTINGS`` in words and ``prepare``, which gives one optimizer step."""
