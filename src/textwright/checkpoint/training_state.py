"""Checkpoints of a training run: tensors and facts, with a manifest that says whether they are whole.

::

    checkpoints/step-400/  state.safetensors   tensors by name
                           facts.json          plain values
                           manifest.json       size and SHA-256 of the other two, written last
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from textwright.core.errors import InputError
from textwright.core.files import atomic_folder, sha256_file

STATE, FACTS, MANIFEST = "state.safetensors", "facts.json", "manifest.json"
_STEP = re.compile(r"step-(\d{1,18})")


def write_checkpoint(folder: Path, step: int, tensors: dict[str, Tensor], facts: dict[str, Any]) -> Path:
    """Write ``folder/step-N``: it appears when everything in it is on disk, or not at all.

    Args:
        folder: the run's folder of checkpoints.
        step: optimizer steps done.
        tensors: by name; those that share memory are written once each.
        facts: plain values, as JSON has them.

    Raises:
        OSError: the disk is full, say. Earlier checkpoints are untouched.
    """
    final = folder / f"step-{step}"
    with atomic_folder(final) as new:
        save_file({name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}, new / STATE)
        (new / FACTS).write_text(json.dumps(facts) + "\n", encoding="utf-8")
        files = {
            name: {"size_bytes": (new / name).stat().st_size, "sha256": sha256_file(new / name)}
            for name in (STATE, FACTS)
        }
        (new / MANIFEST).write_text(json.dumps({"version": 1, "files": files}) + "\n", encoding="utf-8")
    return final


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first, whole or not. Links are no checkpoints."""
    if not folder.is_dir():
        return []
    found = [
        (int(match[1]), path)
        for path in folder.iterdir()
        if (match := _STEP.fullmatch(path.name)) and path.is_dir() and not path.is_symlink()
    ]
    return [path for _, path in sorted(found, reverse=True)]


def damage(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, naming the file; None when it is whole."""
    try:
        files = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))["files"]
        expected = {name: (files[name]["size_bytes"], files[name]["sha256"]) for name in (STATE, FACTS)}
    except FileNotFoundError:
        return f"{checkpoint / MANIFEST} is missing"
    except (ValueError, KeyError, TypeError):
        return f"{checkpoint / MANIFEST} does not read"
    for name, (size, digest) in expected.items():
        path = checkpoint / name
        if not path.is_file() or path.is_symlink():
            return f"{path} is missing"
        if path.stat().st_size != size:
            return f"{path} has {path.stat().st_size:,} bytes instead of {size:,}"
        if sha256_file(path) != digest:
            return f"{path} has other content than was written"
    return None


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is whole; damaged ones are passed over."""
    return next((path for path in checkpoints(folder) if damage(path) is None), None)


def read_checkpoint(checkpoint: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors (on the CPU) and the facts.

    Raises:
        InputError: it cannot be read.
    """
    try:
        tensors = load_file(checkpoint / STATE)
        facts = json.loads((checkpoint / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"the checkpoint {checkpoint} cannot be read: {error}", fix="use an older one") from None
    return tensors, facts


def prune(folder: Path, keep: int) -> None:
    """Delete all but the newest ``keep`` checkpoints, never the newest whole one."""
    newest = newest_checkpoint(folder)
    for path in checkpoints(folder)[keep:]:
        if path != newest:
            shutil.rmtree(path, ignore_errors=True)
