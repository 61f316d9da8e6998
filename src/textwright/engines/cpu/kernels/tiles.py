"""How large the tiles of a product are on the processor at hand. Numba-free."""

from textwright.engines.cpu.kernels.layout import CACHE_LINE, LANES, MAX_TOKENS
from textwright.kernels.processor import WIDE

VECTORS_PER_LINE, MAX_TOTALS = (1, 24) if WIDE else (2, 12)
"""The processor's own vectors for sixteen floats, and how many it can add up in without putting some aside."""
VECTOR_BYTES = CACHE_LINE // VECTORS_PER_LINE
DECODED_PANELS, DECODED_INPUTS = (2, 8) if WIDE else (1, 6)
"""Of a tile of decoded weights. Registers of sixteen floats: sixteen sums, and ten numbers are read for sixteen
products, where one panel would ask for seventeen, more than a processor reads meanwhile. Of eight: twelve sums, two
vectors of weights and an input fill sixteen registers."""
DECODED_COLUMNS = 128
"""Of panels that are decoded at once: with a tile's inputs they stay in the cache next to the core."""
DECODED_AT = DECODED_PANELS * MAX_TOKENS
"""Lines of sums, after which a thread has what is decoded."""
PARTIAL_AT = DECODED_AT + DECODED_PANELS * DECODED_COLUMNS
"""Lines, after which it has an int8 block's sums until they are scaled."""
SUMS = (PARTIAL_AT + MAX_TOKENS) * LANES
"""Floats of a thread: all of them."""
