"""Compiled kernels are found again by what their sources say: in another place, and after changes elsewhere."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import textwright
from textwright.core.caches import is_ours, kernel_folder
from textwright.engines.cpu.kernels import forward
from textwright.kernels import training_gelu

PACKAGE = Path(textwright.__file__).parent
USE = """
import textwright
from textwright.models.layers.kernel_gelu import KERNEL
KERNEL.prepare()
print(textwright.__file__)
"""


def installed(folder: Path) -> Path:
    """The package, once more."""
    shutil.copytree(PACKAGE, folder / "textwright", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def used(folder: Path, cache: Path) -> set[str]:
    """What is kept once a kernel was used by the package in a folder."""
    environment = os.environ | {"PYTHONPATH": str(folder), "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run([sys.executable, "-c", USE], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(folder))
    return {str(path.relative_to(cache)) for kind in ("nbc", "machine-code") for path in cache.rglob(f"*.{kind}")}


def test_what_is_compiled_lasts_where_it_is_installed_anew_and_where_others_change(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    one, other = installed(tmp_path / "one"), installed(tmp_path / "other")
    first = used(one, cache)
    assert any("training_gelu" in name and name.endswith(".machine-code") for name in first)
    shutil.rmtree(one)
    assert used(other, cache) == first
    with open(other / "textwright" / "kernels" / "training_attention.py", "a") as file:
        file.write("# a release that changed another kernel\n")
    assert used(other, cache) == first
    with open(other / "textwright" / "kernels" / "exponential.py", "a") as file:
        file.write("# one that changed what this one calls\n")
    changed = used(other, cache) - first
    assert {re.split("[.-]", Path(name).name)[0] for name in changed} == {"exponential", "training_gelu", "do_job"}


def test_each_file_has_its_folder_and_others_files_are_none_of_ours(tmp_path: Path) -> None:
    files = [Path(module.__file__ or "") for module in (forward, training_gelu)]
    assert all(map(is_ours, files))
    assert len({kernel_folder(file) for file in files}) == 2
    assert not is_ours(tmp_path / "forward.py")


def test_functions_of_others_are_kept_where_numba_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_kernel.py").write_text(
        "import numba\n\n@numba.njit(cache=True)\ndef twice(x):\n    return 2 * x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import their_kernel  # type: ignore[import-not-found]

    assert their_kernel.twice(21) == 42
    assert list((tmp_path / "__pycache__").glob("their_kernel.twice-*.nbc"))
