"""How large the tiles of a product are on the processor at hand. Numba-free."""

from llvmlite import binding

from textwright.engines.cpu.kernels.layout import LANES, MAX_TOKENS

_FEATURES = binding.get_host_cpu_features()
HAS_VNNI, HAS_BFLOAT16 = (bool(_FEATURES.get(name)) for name in ("avx512vnni", "avx512bf16"))
"""Whether the processor multiplies and adds, in each lane at once, four pairs of bytes, or two of bfloat16."""
WIDE = bool(_FEATURES.get("avx512f"))
VECTORS_PER_LINE, MAX_TOTALS = (1, 24) if WIDE else (2, 12)
"""The processor's own vectors for sixteen floats, and how many it can add up in without putting some aside."""
DECODED_PANELS, DECODED_INPUTS = (2, 8) if WIDE else (1, 6)
"""Of a tile of decoded weights. Registers of sixteen floats: sixteen sums, and ten numbers are read for sixteen
products, where one panel would ask for seventeen, more than a processor reads meanwhile. Of eight: twelve sums, two
vectors of weights and an input fill sixteen registers."""
DECODED_COLUMNS = 128
"""Of panels that are decoded at once: with a tile's inputs they stay in the cache next to the core."""
DECODED_AT = DECODED_PANELS * MAX_TOKENS
"""Lines of sums, after which a thread has what is decoded."""
SUMS = (DECODED_AT + DECODED_PANELS * DECODED_COLUMNS) * LANES
"""Floats of a thread: both."""
