"""Floats in fewer bits, exactly: their exponents as four-bit codes.

Of the 256 powers of two that a float may have, the weights of a row nearly all have one of fifteen neighbours. So a
row keeps where its fifteen begin, its *base*, and each weight a code::

    float32    s eeeeeeee mmmmmmmmmmmmmmmmmmmmmmm    ->    cccc  s mmmmmmmmmmmmmmmmmmmmmmm    28 bits of 32
    bfloat16   s eeeeeeee mmmmmmm                    ->    cccc  s mmmmmmm                    12 bits of 16

        exponent = base of the row + code, 1 to 15;  code 0 is zero

The few others, *outliers*, are zero there, and stand in a list of their own with their places.

A code is put where the exponent was and nothing is added to it: that is the weight times 2^-base, a tiny number.
Inputs are 2^96 times as large as they are, so that products are not too small, and the sum of a row is multiplied with
2^(base - 96), which is exact.

Eight columns of a row, a word of each line of memory::

    float32    codes | sA mA  sB mB  sC mC | sE mE  sF mF  sG mG      where the exponents of A, B and C were, three
                                                                      pieces of D; of E, F and G, those of H
    bfloat16   codes | A C B D | E G F H                              s m, a byte each; codes of A C E G B D F H, so
                                                                      that pairs AB, CD, ... come out side by side

Source: that exponents hold 3 of their 8 bits, Zhang et al. 2025 (arXiv:2504.11651), who give them codes of different
lengths; codes of one length are read sixteen at a time.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import carray, types

from textwright.engines.cpu.kernels.layout import BFLOAT16, CHUNK_LINES, COLUMNS, FLOAT32, INPUT_SHIFT, LANES
from textwright.kernels.llvm_ir import INTS
from textwright.kernels.numba_intrinsics import (
    bits_of_float,
    check_address,
    float_of_bits,
    ints,
    ints32,
    jit,
    jit_entry,
    pointer_to,
)

Words = npt.NDArray[np.uint32]

EXPONENTS = 15
"""In a row's window."""
HEADROOM_ABOVE_MEAN = 6
"""The window ends so far above the mean of a row's exponents, if it has any so large."""
MAX_BASE = 200
"""Where a window may begin, so that its factor is a number; only absurd weights are larger."""
INPUT_FACTOR = np.float32(2.0**INPUT_SHIFT)
SIGN, MANTISSA = 0x80000000, 0x007FFFFF
_pointer_to_words, _pointer_to_bases = map(pointer_to, (types.uint32, types.int32))


@jit_entry
def choose_base_exponents(bits_at: int, num_panels: int, num_columns: int, bases_at: int, counts_at: int) -> int:
    """Where the window of each row begins, and how many outliers each panel has.

    Args:
        bits_at: the address of float32, [panels, columns, 16].
        num_panels: of them.
        num_columns: of each.
        bases_at: of int32 [3, panels, 16], of which the first are written; the others are for working.
        counts_at: of int64 [panels], written.
    """
    bits, counts = words_at(bits_at, num_panels, num_columns), ints(counts_at, num_panels)
    most, total = bases_of(bases_at, num_panels, 0), bases_of(bases_at, num_panels, 1)
    full = bases_of(bases_at, num_panels, 2)
    for panel in range(num_panels):
        for lane in range(LANES):
            most[panel, lane], total[panel, lane], full[panel, lane] = 0, 0, 0
        for column in range(num_columns):
            for lane in range(LANES):
                exponent = np.int32(bits[panel, column, lane] >> np.uint32(23) & np.uint32(255))
                most[panel, lane] = max(most[panel, lane], exponent)
                total[panel, lane] += exponent
                full[panel, lane] += exponent > 0
        for lane in range(LANES):
            mean = total[panel, lane] // max(1, full[panel, lane])
            last = min(most[panel, lane], mean + HEADROOM_ABOVE_MEAN)
            most[panel, lane] = min(MAX_BASE, max(0, last - EXPONENTS))
        count = 0
        for column in range(num_columns):
            for lane in range(LANES):
                count += is_outlier(bits[panel, column, lane], most[panel, lane])
        counts[panel] = count
    return 0


@jit
def words_at(address: int, num_panels: int, num_columns: int) -> Words:
    """Words of panels at an address, uint32 [panels, columns, 16]."""
    check_address(address)
    return carray(_pointer_to_words(address), (num_panels, num_columns, LANES))


@jit
def bases_of(address: int, num_panels: int, part: int) -> Any:
    """The ``part``-th of tables of int32 [panels, 16] at an address."""
    check_address(address)
    return carray(_pointer_to_bases(address + 4 * LANES * num_panels * part), (num_panels, LANES))


@jit
def is_outlier(bits: np.uint32, base: np.int32) -> bool:
    """Whether a weight is neither zero nor in the window."""
    code = np.int32(bits >> np.uint32(23) & np.uint32(255)) - np.int32(base)
    return bool((bits & np.uint32(0x7FFFFFFF)) != 0 and (code < 1 or code > EXPONENTS))


@jit_entry
def extract_outliers(bits_at: int, num_panels: int, num_columns: int, bases_at: int, entries_at: int) -> int:
    """Move outliers to a list, panel after panel, and leave zeros.

    Args:
        bits_at: as above, changed.
        num_panels: as above.
        num_columns: as above.
        bases_at: as above.
        entries_at: the address of uint32 [outliers, 2], written: 16 x column + lane, and the bits of the weight times
            2^(96 - base).

    Returns:
        How many there are.
    """
    bits, bases, n = words_at(bits_at, num_panels, num_columns), bases_of(bases_at, num_panels, 0), 0
    for panel in range(num_panels):
        for column in range(num_columns):
            for lane in range(LANES):
                weight = bits[panel, column, lane]
                base = bases[panel, lane]
                if is_outlier(weight, base):
                    entry = ints32(entries_at + 8 * n, 2)
                    scaled = float_of_bits(np.int32(weight)) * 2.0 ** (INPUT_SHIFT - base)
                    entry[0] = LANES * column + lane
                    entry[1] = bits_of_float(np.float32(scaled))
                    bits[panel, column, lane] = 0
                    n += 1
    return n


@jit
def encode_exponent(bits: np.uint32, base: np.int32) -> np.uint32:
    """A weight's code; it is no outlier."""
    code = (bits >> np.uint32(23) & np.uint32(255)) - np.uint32(base)
    return np.uint32(code if bits & np.uint32(0x7FFFFFFF) else 0)


@jit_entry
def encode_float32(bits_at: int, num_panels: int, num_columns: int, bases_at: int, out_at: int) -> int:
    """Write panels without outliers, uint32 [panels, columns, 16], as [panels, columns / 8, 7, 16]."""
    lines = CHUNK_LINES[FLOAT32]
    bits, bases = words_at(bits_at, num_panels, num_columns), bases_of(bases_at, num_panels, 0)
    out = words_at(out_at, num_panels, num_columns // COLUMNS * lines)
    for panel in range(num_panels):
        for chunk in range(num_columns // COLUMNS):
            first, to = COLUMNS * chunk, lines * chunk
            for lane in range(LANES):
                out[panel, to, lane] = 0
            for k in range(COLUMNS):
                for lane in range(LANES):
                    code = encode_exponent(bits[panel, first + k, lane], bases[panel, lane])
                    out[panel, to, lane] |= code << np.uint32(4 * k)
            for half in range(2):
                for k in range(3):
                    for lane in range(LANES):
                        kept = bits[panel, first + 4 * half + k, lane] & np.uint32(SIGN | MANTISSA)
                        fourth = bits[panel, first + 4 * half + 3, lane]
                        rest = fourth >> np.uint32(8) & np.uint32(0x800000) | fourth & np.uint32(MANTISSA)
                        piece = rest >> np.uint32(8 * k) & np.uint32(255)
                        out[panel, to + 1 + 3 * half + k, lane] = kept | piece << np.uint32(23)
    return 0


@jit_entry
def encode_bfloat16(bits_at: int, num_panels: int, num_columns: int, bases_at: int, out_at: int) -> int:
    """Write panels without outliers, uint32 [panels, columns, 16], whose lower halves are zero, as [panels,
    columns / 8, 3, 16]."""
    lines = CHUNK_LINES[BFLOAT16]
    bits, bases = words_at(bits_at, num_panels, num_columns), bases_of(bases_at, num_panels, 0)
    out = words_at(out_at, num_panels, num_columns // COLUMNS * lines)
    for panel in range(num_panels):
        for chunk in range(num_columns // COLUMNS):
            first, to = COLUMNS * chunk, lines * chunk
            for line in range(lines):
                for lane in range(LANES):
                    out[panel, to + line, lane] = 0
            for k in range(COLUMNS):
                at, place = np.uint32(4 * (k // 2) + 16 * (k % 2)), np.uint32(8 * (k % 4 // 2) + 16 * (k % 2))
                for lane in range(LANES):
                    weight = bits[panel, first + k, lane]
                    out[panel, to, lane] |= encode_exponent(weight, bases[panel, lane]) << at
                    half = weight >> np.uint32(24) & np.uint32(0x80) | weight >> np.uint32(16) & np.uint32(0x7F)
                    out[panel, to + 1 + k // 4, lane] |= half << place
    return 0


def decode_float32(b: ir.IRBuilder, word: Callable[[int], Any]) -> Iterator[Any]:
    """Code that makes eight words again of seven, one after the other, but for their windows.

    Args:
        word: the code that reads the n-th.
    """
    codes = word(0)
    for half in range(2):
        three = [word(1 + 3 * half + k) for k in range(3)]
        for k, one in enumerate(three):
            yield b.or_(_masked(b, one, SIGN | MANTISSA), _code(b, codes, 4 * half + k))
        low, middle, high = three
        fourth = b.or_(_masked(b, _right(b, low, 23), 0xFF), _masked(b, _right(b, middle, 15), 0xFF00))
        fourth = b.or_(fourth, _masked(b, _right(b, high, 7), 0x7F0000))
        fourth = b.or_(fourth, _masked(b, _left(b, high, 1), SIGN))
        yield b.or_(fourth, _code(b, codes, 4 * half + 3))


def decode_bfloat16(b: ir.IRBuilder, word: Callable[[int], Any]) -> Iterator[Any]:
    """The same for four pairs, of three words."""
    codes = word(0)
    for half in range(2):
        rest = word(1 + half)
        for k in range(2):
            signs = _left(b, rest, 8) if k == 0 else rest
            mantissas = rest if k == 0 else _right(b, rest, 8)
            pair = b.or_(_masked(b, signs, 0x80008000), _masked(b, mantissas, 0x007F007F))
            at = 4 * (2 * half + k)
            moved = _left(b, codes, 7 - at) if at < 7 else _right(b, codes, at - 7)
            yield b.or_(pair, _masked(b, moved, 0x07800780))


def _code(b: ir.IRBuilder, codes: Any, k: int) -> Any:
    """The k-th code of a word, where a float32 has its exponent."""
    moved = _left(b, codes, 23 - 4 * k) if 4 * k < 23 else _right(b, codes, 4 * k - 23)
    return _masked(b, moved, EXPONENTS << 23)


def _masked(b: ir.IRBuilder, word: Any, mask: int) -> Any:
    return b.and_(word, ir.Constant(INTS, [mask] * LANES))


def _left(b: ir.IRBuilder, word: Any, bits: int) -> Any:
    return b.shl(word, ir.Constant(INTS, [bits] * LANES))


def _right(b: ir.IRBuilder, word: Any, bits: int) -> Any:
    return b.lshr(word, ir.Constant(INTS, [bits] * LANES))
