"""What a machine is and how fast it goes, as ``textwright doctor`` says it."""

import os
import platform
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from textwright.bench.job import Job
from textwright.bench.peers import matrix_product, memory_read
from textwright.core.caches import cache_folder
from textwright.core.device import Precision, PrecisionRates, measure_products, measure_rates, processor_name
from textwright.evaluation.sandbox import why_not_isolated
from textwright.kernels import torch_threads
from textwright.training.memory import free_bytes
from textwright.training.precision import HOPELESS

FEATURES = ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
FEATURES_OF_ARM = ("asimd", "asimddp", "i8mm", "bf16", "sve", "sve2")
"""What products can be made with, by the names of Linux."""
COMPILERS = "g++", "clang++", "c++"
READS = 5
"""Of the memory; the median counts."""


def describe_machine(device: torch.device) -> dict[str, Any]:
    """What there is: processor, threads, memory, GPU, compiler and libraries; plain values for JSON."""
    threads = torch.get_num_threads()
    return {
        "processor": processor_name(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_features": cpu_features(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": threads,
        "memory_bytes": _total_memory(),
        "free_memory_bytes": free_bytes(torch.device("cpu")),
        "gpu": _gpu(),
        "device": str(device),
        "compiler": _compiler(),
        "training_kernels": torch_threads.CAN_RUN,
        "cache": str(cache_folder()),
        "cache_can_be_written": _can_be_written(cache_folder()),
        "not_isolated": why_not_isolated(),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("textwright", "torch", "numba", "numpy")}
        | {"cuda": torch.version.cuda},
    }


def measure_machine(device: torch.device) -> dict[str, Any]:
    """How fast it goes: products in both precisions, and reading memory; a few seconds.

    Where the device does not even do that, ``error`` says why, and nothing else is there.
    """
    try:
        rates, bytes_per_s = product_rates(device), memory_rate(device)
    except RuntimeError as raised:
        return {"error": str(raised).strip().partition("\n")[0] or type(raised).__name__}
    return {
        "float32_flops_per_s": rates.float32,
        "bfloat16_flops_per_s": rates.bfloat16,
        "faster": rates.faster,
        "memory_bytes_per_s": bytes_per_s,
    }


def product_rates(device: torch.device) -> PrecisionRates:
    """Rates of large products in both precisions, which take turns; of small ones in bfloat16 where it is hopeless."""
    names: tuple[Precision, ...] = ("float32", "bfloat16")
    small = measure_products(32, 512) if device.type == "cpu" else None
    if small is not None and small.float32 > HOPELESS * small.bfloat16:
        large = matrix_product.prepare(Job("gpt2", 1, 1, "float32", str(device)))
        of_float32 = measure_rates(lambda _: _finished(large, device), matrix_product.FLOPS_PER_STEP, max_s=2.0)
        return PrecisionRates(of_float32.float32, small.bfloat16)
    steps = {name: matrix_product.prepare(Job("gpt2", 1, 1, name, str(device))) for name in names}
    return measure_rates(lambda name: _finished(steps[name], device), matrix_product.FLOPS_PER_STEP, max_s=2.0)


def memory_rate(device: torch.device) -> float:
    """Bytes that are read a second."""
    step = memory_read.prepare(Job("gpt2", 1, 1, "float32", str(device)))
    _finished(step, device)
    seconds = []
    for _ in range(READS):
        begun_s = time.perf_counter()
        _finished(step, device)
        seconds.append(time.perf_counter() - begun_s)
    return memory_read.BYTES_PER_STEP / statistics.median(seconds)


def cpu_features() -> list[str]:
    """Those of ``FEATURES`` that Linux tells of; none elsewhere."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.is_file() else []
    told = {word for line in lines if line.startswith(("flags", "Features")) for word in line.split(":", 1)[1].split()}
    return [name for name in (*FEATURES, *FEATURES_OF_ARM) if name in told]


def _finished(step: Callable[[], None], device: torch.device) -> None:
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _total_memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _gpu() -> dict[str, Any] | None:
    if not torch.cuda.is_available():
        return None
    found = torch.cuda.get_device_properties(0)
    return {
        "name": found.name,
        "count": torch.cuda.device_count(),
        "memory_bytes": found.total_memory,
        "compute_capability": f"{found.major}.{found.minor}",
    }


def _compiler() -> str | None:
    """The C++ compiler that torch.compile finds, as it names itself."""
    path = next(filter(None, map(shutil.which, COMPILERS)), None)
    if path is None:
        return None
    try:
        said = subprocess.run([path, "--version"], capture_output=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return path
    return said.stdout.decode(errors="replace").partition("\n")[0].strip() or path


def _can_be_written(folder: Path) -> bool:
    """Whether what is kept there can be: in the folder, or in the nearest of those above that is there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)
