"""Tensors from a folder of safetensors files, distrusted until checked."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from textwright.core.errors import InputError

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
LARGEST_HEADER_BYTES = 16 << 20
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
OTHER_FORMATS = {
    "*.gguf": "llama.cpp's",
    "*.h5": "TensorFlow's",
    "*.ckpt.index": "TensorFlow's",
    "*.msgpack": "Flax's",
    "*.onnx": "ONNX's",
    "*.npz": "NumPy's",
}
"""Weights in files that are not opened: a pattern of their names, and whose format it is."""


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of ``model.safetensors``, or of the files that ``model.safetensors.index.json`` names.

    Buffers of whole numbers come too; weights must be float32, bfloat16 or float16.

    Raises:
        InputError: no such file, or one that is not whole, by name.
    """
    if (folder / SINGLE).exists():
        return read_safetensors(folder / SINGLE)
    if (folder / INDEX).exists():
        return _read_sharded(folder)
    pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    if pickles:
        raise InputError(
            f"{folder / pickles[0]} is a pickle, which can run code when it is opened",
            expected=SINGLE,
            fix="convert it where you trust it: load it with transformers and save_pretrained(FOLDER)",
        )
    others = sorted(path.name for path in folder.glob("*.safetensors"))
    raise other_format(folder) or InputError(
        f"no {SINGLE} in {folder}" + (f", but {others[0]}" if others else ""),
        fix=f"call it {SINGLE} if it is the whole model" if others else "check the path",
    )


def other_format(folder: Path) -> InputError | None:
    """Why a folder's weights are not read, where they are in another program's format; None where none are."""
    for pattern, whose in OTHER_FORMATS.items():
        for path in sorted(folder.glob(pattern)):
            return InputError(
                f"{path} is in {whose} format",
                expected=f"config.json and {SINGLE}",
                fix="get the model as these, or convert it: load it with transformers and save_pretrained(FOLDER)",
            )
    return None


def _read_sharded(folder: Path) -> dict[str, Tensor]:
    try:
        files = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
        names = sorted(set(files.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"not an index of safetensors files: {error}", where=str(folder / INDEX)) from None
    tensors: dict[str, Tensor] = {}
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            raise InputError(f"the file name {name!r}", where=str(folder / INDEX), expected="a file of the same folder")
        if not (folder / name).is_file():
            raise InputError(f"the file {folder / name} is missing", fix="get the folder anew")
        found = read_safetensors(folder / name)
        for tensor in found:
            if files.get(tensor) != name:
                raise InputError(
                    f"unexpected tensor {tensor!r}", where=str(folder / name), expected="those of the index"
                )
        tensors |= found
    for tensor in files:
        if tensor not in tensors:
            raise InputError(f"the tensor {tensor!r} is missing", where=str(folder / files[tensor]))
    return tensors


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """All tensors of one file.

    Raises:
        InputError: it is not whole, or no safetensors file.
    """
    _check_start(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"not a whole safetensors file: {error}", where=str(path), fix="get it anew") from None
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.dtype not in DTYPES:
            raise InputError(
                f"the tensor {name!r} is {tensor.dtype}", where=str(path), expected="float32, bfloat16 or float16"
            )
    return tensors


def _check_start(path: Path) -> None:
    """Name what people really have when a file is not what it says: a pointer, a web page, a part."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(64)
    if start.startswith(b"version https://git-lfs"):
        raise InputError(f"{path} is a Git LFS pointer, not the file", fix="run git lfs pull in its repository")
    if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise InputError(f"{path} is a web page, not the file", fix="download the file itself")
    if start.startswith((b"\x80\x02", b"PK\x03\x04")):
        raise InputError(f"{path} is a pickle under another name", expected="safetensors")
    if size < 8:
        raise InputError(f"{path} has {size} bytes", expected="a safetensors file", fix="get it anew")
    header = int.from_bytes(start[:8], "little")
    if header > min(size - 8, LARGEST_HEADER_BYTES):
        raise InputError(
            f"not a whole safetensors file: its header says {header:,} bytes, the file has {size:,}",
            where=str(path),
            fix="get it anew",
        )
