"""What was fitted on a model's vectors, in a folder: plain numbers, and what they mean. No pickle.

::

    FOLDER/NAME.json           labels, settings, the model's hash; sealed
    FOLDER/NAME.safetensors    weights
    FOLDER/predictions.jsonl   what it said, for score and compare-scores
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from textwright.checkpoint.safetensors_folder import read_safetensors
from textwright.checkpoint.safetensors_writer import write_safetensors
from textwright.core.errors import InputError
from textwright.core.files import atomic_folder
from textwright.core.sealed import damage_of_files, describe_files, seal, unseal
from textwright.core.user_paths import check_is_new, given_path, read_text
from textwright.evaluation.evaluation_folder import PREDICTIONS

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Fitted:
    """What a folder holds."""

    values: dict[str, Any]
    arrays: dict[str, np.ndarray]
    """float32."""


def write_fitted(folder: Path, name: str, fitted: Fitted, predictions: Iterable[Mapping[str, Any]] = ()) -> None:
    """Write a folder, which is there whole or not at all.

    Args:
        folder: see ``check_is_new``.
        name: of its two files.
        fitted: what they hold.
        predictions: rows of a file of predictions; none: there is no such file.
    """
    check_is_new(folder)
    with given_path(folder), atomic_folder(folder) as new:
        weights = f"{name}.safetensors"
        tensors = {key: torch.from_numpy(np.ascontiguousarray(one)) for key, one in fitted.arrays.items()}
        write_safetensors(new / weights, tensors)
        values = {"schema_version": SCHEMA_VERSION} | fitted.values | {"files": describe_files(new, [weights])}
        (new / f"{name}.json").write_text(seal(values), encoding="utf-8")
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in predictions]
        if lines:
            (new / PREDICTIONS).write_text("".join(lines), encoding="utf-8", newline="\n")


def read_fitted(folder: Path, name: str, what: str) -> Fitted:
    """Read what ``write_fitted`` wrote.

    Args:
        folder: where it is.
        name: of its two files.
        what: it is, in words.

    Raises:
        InputError: it is not there, was changed, or is of another version.
    """
    path = folder / f"{name}.json"
    with given_path(folder):
        if not path.is_file():
            raise InputError(f"no {path.name} in {folder}", expected=f"the folder of {what}")
        try:
            values = unseal(read_text(path))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: {error}", expected="the file as it was written", fix="make it again") from None
        if values.get("schema_version") != SCHEMA_VERSION:
            version = values.get("schema_version")
            raise InputError(f"{path} is of version {version}", expected=f"{SCHEMA_VERSION}", fix="make it again")
        damage = damage_of_files(folder, values.pop("files"))
        if damage is not None:
            raise InputError(damage, fix="make it again")
        tensors = read_safetensors(folder / f"{name}.safetensors")
    return Fitted(values, {key: tensor.numpy() for key, tensor in tensors.items()})


def check_is_of_model(fitted: Fitted, model_sha256: str, pooling: str, folder: Path) -> None:
    """See that what was fitted is put to vectors of the model that it was fitted on.

    Raises:
        InputError: it is another.
    """
    before = fitted.values["model_sha256"]
    if before != model_sha256:
        raise InputError(
            f"a model of the hash {model_sha256[:12]}",
            where=str(folder),
            expected=f"{before[:12]}, the one that it was made with",
            fix="name that one with --model, or make it anew with this one",
        )
    if fitted.values["pooling"] != pooling:
        what = f"vectors by another pooling, {fitted.values['pooling']}"
        raise InputError(what, where=str(folder), expected=pooling, fix="make it anew")
