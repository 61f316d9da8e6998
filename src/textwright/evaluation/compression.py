"""Yardsticks for bits per byte: what general compressors need for the same text."""

import lzma
from collections.abc import Iterable

import zstandard

XZ = "xz -9e"
"""The name of the stronger one."""
ZSTD_LEVEL = 19


def compressed_bits_per_byte(texts: Iterable[str]) -> dict[str, float]:
    """Bits per byte of the texts, one after the other, under ``xz -9e`` and ``zstd -19``.

    A compressor starts knowing nothing and a model has read its training text, so this is a baseline and no race:
    a model of a language that does not beat it has learned little.
    """
    raw = "\n".join(texts).encode()
    if not raw:
        return {}
    packed = {
        XZ: len(lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME)),
        f"zstd -{ZSTD_LEVEL}": len(zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(raw)),
    }
    return {name: 8 * size / len(raw) for name, size in packed.items()}
