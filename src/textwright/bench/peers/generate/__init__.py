"""What writes: one short file each, with ``SETTINGS`` in words, the ``PACKAGES`` it needs, and ``prepare``."""
