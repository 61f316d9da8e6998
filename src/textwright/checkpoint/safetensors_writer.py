"""Writing a safetensors file: a header of names, types and places, then the bytes of the tensors.

Of our own, because it hashes what it writes while it writes it, and because a file comes into being by plain calls of
the operating system, each of which can be cut short in a test. Reading is left to the safetensors library.

Source: the format's description, https://github.com/huggingface/safetensors (README, section Format).
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
WRITE_BYTES = 1 << 24


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> str:
    """Write tensors on the CPU; those that share memory are written once each.

    Args:
        path: the file.
        tensors: by name, of the types in ``NAMES``.
        metadata: texts by name, for the header.

    Returns:
        The SHA-256 of the file, as its bytes were handed to the system.

    Raises:
        OSError: the disk does not take it.
    """
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0]))  # so that all are aligned
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, tensor in ordered:
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    digest = hashlib.sha256()
    with open(path, "wb", buffering=0) as file:
        parts = [memoryview(len(raw).to_bytes(8, "little") + raw), *(_bytes(tensor) for _, tensor in ordered)]
        for view in parts:
            left = view
            while len(left):
                done = file.write(left[:WRITE_BYTES])
                digest.update(left[:done])
                left = left[done:]
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> memoryview:
    flat = tensor.detach().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data
