"""Where and how exactly to compute. Decided once, by name or by looking at the machine."""

import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from textwright.core.errors import InputError

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "bfloat16"]
PRECISION_MARGIN = 1.03
"""How much faster bfloat16 must be to be taken: a choice by less would change from run to run."""
MIN_TURNS, MAX_TURNS = 2, 7


def choose_device(name: str = "auto") -> "torch.device":
    """The device called ``name``; ``auto`` takes the GPU where torch sees one, else the CPU.

    Raises:
        InputError: a GPU was asked for and there is none.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"device {name!r}, but torch sees no NVIDIA GPU", fix="use --device cpu")
    try:
        return torch.device(name)
    except (RuntimeError, ValueError):
        raise InputError(f"device {name!r}", expected="auto, cpu, cuda or cuda:N") from None


def has_bfloat16_products(device: "torch.device") -> bool:
    """Whether the device announces that it multiplies bfloat16 matrices in hardware. On a CPU it says nothing of speed.

    A processor in a virtual machine may have AVX-512 BF16 and hide AMX: then bfloat16 is half as fast as float32.
    """
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        # AVX-512 BF16 or AMX: without either, oneDNN emulates bfloat16.
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def choose_precision(device: "torch.device", name: str = "auto", *, hidden_size: int = 768) -> Precision:
    """``float32`` or ``bfloat16``; ``auto`` takes the one whose products are faster, measured on a CPU.

    Args:
        device: where to compute.
        name: a precision, or auto.
        hidden_size: of the model whose products are timed.

    Raises:
        InputError: any other name.
    """
    if name == "auto":
        if device.type != "cpu":
            return "bfloat16" if has_bfloat16_products(device) else "float32"
        return measure_products(512, hidden_size).faster
    if name == "float32":
        return "float32"
    if name == "bfloat16":
        return "bfloat16"
    raise InputError(f"precision {name!r}", expected="auto, float32 or bfloat16")


@dataclass(frozen=True)
class PrecisionRates:
    """How fast the same work goes in either precision."""

    float32: float
    """Floating-point operations a second."""
    bfloat16: float
    """The same."""

    @property
    def faster(self) -> Precision:
        """The faster one; float32, which is the more exact, unless bfloat16 is faster by more than chance."""
        return "bfloat16" if self.bfloat16 > PRECISION_MARGIN * self.float32 else "float32"

    def __str__(self) -> str:
        return f"float32 {self.float32 / 1e9:,.0f} and bfloat16 {self.bfloat16 / 1e9:,.0f} GFLOP/s"


def measure_rates(work: Callable[[Precision], object], flops: float, *, max_s: float = 0.6) -> PrecisionRates:
    """Time a piece of work in both precisions, which take turns.

    The ratio is the median of those of turns, so that what else the machine does falls on both alike.

    Args:
        work: does it once, in the given precision.
        flops: floating-point operations of the work.
        max_s: about how long it may take; there are at least two turns, whatever they take.
    """
    work("float32"), work("bfloat16")
    begun_s = time.perf_counter()
    turns: list[tuple[float, float]] = []
    while len(turns) < MIN_TURNS or (len(turns) < MAX_TURNS and time.perf_counter() - begun_s < max_s):
        turns.append((_seconds(lambda: work("float32")), _seconds(lambda: work("bfloat16"))))
    float32_s = statistics.median(float32_s for float32_s, _ in turns)
    speedup = statistics.median(float32_s / bfloat16_s for float32_s, bfloat16_s in turns)
    return PrecisionRates(flops / float32_s, flops / float32_s * speedup)


def measure_products(num_tokens: int, hidden_size: int) -> PrecisionRates:
    """Rates of products such as a transformer's MLP does, [num_tokens, hidden_size] x [hidden_size, hidden_size], on
    the CPU."""
    import torch

    dtypes: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    with torch.inference_mode():
        inputs = {name: torch.full((num_tokens, hidden_size), 0.5).to(dtype) for name, dtype in dtypes.items()}
        weights = {name: torch.full((hidden_size, hidden_size), 0.5).to(dtype) for name, dtype in dtypes.items()}
        return measure_rates(
            lambda name: inputs[name] @ weights[name].t(), 2.0 * num_tokens * hidden_size**2, max_s=0.2
        )


def _seconds(action: Callable[[], object]) -> float:
    begun_s = time.perf_counter()
    action()
    return time.perf_counter() - begun_s


def processor_name() -> str:
    """The CPU's name, as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
