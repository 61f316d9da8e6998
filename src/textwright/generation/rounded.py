"""int8 weights, kept beside the model that they were rounded from.

::

    MODEL/  config.json  model.safetensors  ...
            cache/int8/  weights.safetensors  cache.json     sealed: of which files, and its own file's hash

What does not fit any more, or is damaged, is made anew; a folder that cannot be written is left as it is. Nothing else
reads it, and it can be deleted at any time.
"""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from textwright.checkpoint.safetensors_folder import read_safetensors
from textwright.checkpoint.safetensors_writer import write_safetensors
from textwright.core.errors import InputError
from textwright.core.files import atomic_folder
from textwright.core.sealed import damage_of_files, describe_files, seal, unseal

WEIGHTS, MANIFEST = "weights.safetensors", "cache.json"
VERSION = 1
"""Of the order in which the kernels read weights."""


def read_rounded(model_folder: Path) -> dict[str, Tensor] | None:
    """The kept weights of a model; None where there are none, of these files, whole."""
    folder = _folder(model_folder)
    try:
        values = unseal((folder / MANIFEST).read_text(encoding="utf-8"))
        if values["of"] != _state_of(model_folder) or damage_of_files(folder, values["files"]) is not None:
            return None
        return read_safetensors(folder / WEIGHTS)
    except (OSError, ValueError, KeyError, InputError):
        return None


def keep_rounded(model_folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Keep them, if the folder can be written."""
    try:
        with atomic_folder(_folder(model_folder)) as new:
            write_safetensors(new / WEIGHTS, tensors)
            values = {"of": _state_of(model_folder), "files": describe_files(new, [WEIGHTS])}
            (new / MANIFEST).write_text(seal(values), encoding="utf-8")
    except OSError:
        return


def _folder(model_folder: Path) -> Path:
    return model_folder / "cache" / "int8"


def _state_of(model_folder: Path) -> dict[str, object]:
    """Sizes and times of the files that make the model what it is."""
    files = sorted([*model_folder.glob("*.safetensors"), model_folder / "config.json"])
    facts = {file.name: [file.stat().st_size, file.stat().st_mtime_ns] for file in files}
    return {"version": VERSION, "files": facts}
