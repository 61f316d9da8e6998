"""Randomness as a function of names: the same parts always give the same numbers, on any machine."""

import hashlib


def hash_u64(*parts: int | str) -> int:
    """A stable 64-bit hash of the parts (BLAKE2b). ``(1, "2")`` and ``("1", 2)`` differ."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        raw = f"{type(part).__name__}:{part}".encode()
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return int.from_bytes(digest.digest(), "little")
