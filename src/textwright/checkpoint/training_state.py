"""Checkpoints of a training run: tensors and facts, with a manifest that says whether they are whole.

::

    checkpoints/step-400/  state.safetensors   tensors by name
                           facts.json          plain values
                           manifest.json       size and SHA-256 of the other two, written last, and its own
"""

import json
import os
import re
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from textwright.checkpoint.safetensors_writer import write_safetensors
from textwright.core.errors import InputError
from textwright.core.files import atomic_folder, remove_folder
from textwright.core.sealed import damage_of_files, describe_files, seal, unseal

STATE, FACTS, MANIFEST = "state.safetensors", "facts.json", "manifest.json"
_STEP = re.compile(r"step-(\d{1,18})")


def write_checkpoint(folder: Path, step: int, tensors: dict[str, Tensor], facts: dict[str, Any]) -> Path:
    """Write ``folder/step-N``: it appears when everything in it is on disk, or not at all.

    Args:
        folder: the run's folder of checkpoints.
        step: optimizer steps done.
        tensors: by name, as ``snapshot`` gives them.
        facts: plain values, as JSON has them.

    Raises:
        OSError: the disk is full, say. Earlier checkpoints are untouched.
    """
    final = folder / f"step-{step}"
    with atomic_folder(final) as new:
        digest = write_safetensors(new / STATE, tensors)
        (new / FACTS).write_text(json.dumps(facts) + "\n", encoding="utf-8")
        files = {STATE: {"size_bytes": (new / STATE).stat().st_size, "sha256": digest}}
        files |= describe_files(new, (FACTS,))
        (new / MANIFEST).write_text(seal({"version": 1, "files": files}), encoding="utf-8")
    return final


def snapshot(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU, which training does not change any more; what shares memory is copied once each."""
    return {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first, whole or not. Links are no checkpoints."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        named = [entry.name for entry in entries if _STEP.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)]
    return [folder / name for name in sorted(named, key=lambda name: int(name[len("step-") :]), reverse=True)]


def step_of(checkpoint: Path) -> int:
    """The step that a checkpoint's name says."""
    return int(checkpoint.name.removeprefix("step-"))


def damage(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, naming the file; None when it is whole."""
    path = checkpoint / MANIFEST
    try:
        manifest = unseal(path.read_text(encoding="utf-8"))
        files = {name: manifest["files"][name] for name in (STATE, FACTS)}
    except FileNotFoundError:
        return f"{path} is missing"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{path} does not read: {error}"
    return damage_of_files(checkpoint, files)


def read_checkpoint(checkpoint: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors (on the CPU) and the facts.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return load_file(checkpoint / STATE), read_facts(checkpoint)
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"the checkpoint {checkpoint} cannot be read: {error}", fix="use an older one") from None


def read_facts(checkpoint: Path) -> dict[str, Any]:
    """The facts alone."""
    facts: dict[str, Any] = json.loads((checkpoint / FACTS).read_text(encoding="utf-8"))
    return facts


def prune(folder: Path, keep: int) -> None:
    """Delete all but the newest ``keep`` checkpoints; none is deleted before a newer one is found whole."""
    found = checkpoints(folder)
    if len(found) > keep and any(damage(path) is None for path in found[:keep]):
        for path in found[keep:]:
            remove_folder(path)
