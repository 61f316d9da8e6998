"""JSON files that show when they were changed: the last key is the SHA-256 of everything before it.

A manifest is such a file, and holds the sizes and hashes of the files beside it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from textwright.core.files import sha256_file

SEAL = "sha256_of_the_above"


def seal(values: dict[str, Any]) -> str:
    """The JSON text of ``values``, with its seal. The same values always give the same text."""
    assert SEAL not in values
    return json.dumps(values | {SEAL: _digest(values)}, indent=1) + "\n"


def unseal(text: str) -> dict[str, Any]:
    """The values in a sealed text.

    Raises:
        ValueError: it is not, byte for byte, what ``seal`` wrote.
    """
    values = json.loads(text)
    if not isinstance(values, dict) or SEAL not in values:
        raise ValueError("it has no seal")
    if seal({key: value for key, value in values.items() if key != SEAL}) != text:
        raise ValueError("it was changed after it was written")
    return {key: value for key, value in values.items() if key != SEAL}


def describe_files(folder: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of files, for a manifest."""
    return {
        name: {"size_bytes": (folder / name).stat().st_size, "sha256": sha256_file(folder / name)} for name in names
    }


def damage_of_files(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> str | None:
    """What is wrong with the files that ``describe_files`` described, naming the first; None when nothing is."""
    for name, facts in files.items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            return f"{path} is missing"
        if (size := path.stat().st_size) != facts["size_bytes"]:
            return f"{path} has {size:,} bytes instead of {facts['size_bytes']:,}"
        if sha256_file(path) != facts["sha256"]:
            return f"{path} has other content than was written"
    return None


def _digest(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, indent=1).encode()).hexdigest()
