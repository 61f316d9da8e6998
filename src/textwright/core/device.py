"""Where and how exactly to compute. Decided once, by name or by looking at the machine."""

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from textwright.core.errors import InputError

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "bfloat16"]


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
    except RuntimeError:
        raise InputError(f"device {name!r}", expected="auto, cpu, cuda or cuda:N") from None


def has_fast_bfloat16(device: "torch.device") -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware, so that it beats float32."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        # AVX-512 BF16 or AMX: without either, oneDNN emulates bfloat16 and is slower than float32.
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def choose_precision(device: "torch.device", name: str = "auto") -> Precision:
    """``float32`` or ``bfloat16``; ``auto`` takes bfloat16 where the hardware has it.

    Raises:
        InputError: any other name.
    """
    if name == "auto":
        return "bfloat16" if has_fast_bfloat16(device) else "float32"
    if name == "float32":
        return "float32"
    if name == "bfloat16":
        return "bfloat16"
    raise InputError(f"precision {name!r}", expected="auto, float32 or bfloat16")


def processor_name() -> str:
    """The CPU's name, as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
