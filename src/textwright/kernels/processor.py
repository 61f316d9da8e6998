"""What the processor at hand can do that kernels are written for. Numba-free."""

from llvmlite import binding

_FEATURES = binding.get_host_cpu_features()
HAS_VNNI, HAS_BFLOAT16 = (bool(_FEATURES.get(name)) for name in ("avx512vnni", "avx512bf16"))
"""Whether it multiplies and adds, in each lane at once, four pairs of bytes, or two of bfloat16."""
WIDE = bool(_FEATURES.get("avx512f"))
"""Whether a register holds sixteen floats, and there are thirty-two of them; else it is eight, and sixteen."""
