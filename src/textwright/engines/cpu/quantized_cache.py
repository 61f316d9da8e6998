"""int8 weights, kept beside the model that they were rounded from.

::

    MODEL/  config.json  model.safetensors  ...
            cache/int8/  weights.safetensors  cache.json     sealed: the hashes of the model's files, and its own file's

The hashes of the model's files are remembered with the files' sizes and times, so that they are made once; a folder
that was copied is hashed again, and its kept weights hold. What does not fit any more, or is damaged, is made anew; a
folder that cannot be written is left as it is. Nothing else reads it, and it can be deleted at any time.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from textwright.checkpoint.model_files import Hashes, ModelFiles
from textwright.checkpoint.safetensors_folder import read_safetensors
from textwright.checkpoint.safetensors_writer import write_safetensors
from textwright.core.errors import InputError
from textwright.core.files import atomic_folder, write_atomically
from textwright.core.sealed import damage_of_files, describe_files, seal, unseal

WEIGHTS, MANIFEST = "weights.safetensors", "cache.json"
VERSION = 2
"""Of the manifest, and of the order in which the kernels read weights."""


def read_quantized(model: ModelFiles) -> dict[str, Tensor] | None:
    """The kept weights of a model; None where there are none, of these files, whole."""
    folder = _folder(model)
    try:
        values = unseal((folder / MANIFEST).read_text(encoding="utf-8"))
        if values["version"] != VERSION:
            return None
        hashes = model.hashes(values["of"])
        if _contents(hashes) != _contents(values["of"]) or damage_of_files(folder, values["files"]) is not None:
            return None
        tensors = read_safetensors(folder / WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError):
        return None
    if not model.are_unchanged():
        return None
    if hashes != values["of"]:
        _remember(folder / MANIFEST, values | {"of": hashes})
    return tensors


def save_quantized(model: ModelFiles, tensors: Mapping[str, Tensor]) -> None:
    """Keep them, if the folder can be written and its files are still those that the model was read from."""
    try:
        hashes = model.hashes()
        if not model.are_unchanged():
            return
        with atomic_folder(_folder(model)) as new:
            write_safetensors(new / WEIGHTS, tensors)
            values = {"version": VERSION, "of": hashes, "files": describe_files(new, [WEIGHTS])}
            (new / MANIFEST).write_text(seal(values), encoding="utf-8")
    except OSError:
        return


def _folder(model: ModelFiles) -> Path:
    return model.folder / "cache" / "int8"


def _contents(hashes: Hashes) -> dict[str, str]:
    return {name: facts["sha256"] for name, facts in hashes.items()}


def _remember(manifest: Path, values: dict[str, Any]) -> None:
    try:
        write_atomically(manifest, seal(values))
    except OSError:
        return
