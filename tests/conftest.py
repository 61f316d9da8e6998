"""What every test may use: the public data sets where they are, and quiet, repeatable torch."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tests.typecheck

# Shapes and types of every call are checked under test; before anything of textwright is imported.
tests.typecheck.install()

ROOT = Path(__file__).parent.parent
MAKES_A_DECODER = """
from textwright.engines.cpu.decoder import CPUDecoder
from textwright.models.catalog import build
from textwright.models.presets import preset

CPUDecoder(build(preset("nano", vocab_size=257), seed=0), num_threads=1)
"""


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[None]:
    """Where several workers test, kernels are compiled once beside the first tests, and not by each of them."""
    preparing = None
    if session.config.pluginmanager.has_plugin("dsession"):
        preparing = subprocess.Popen([sys.executable, "-c", MAKES_A_DECODER], cwd=ROOT, stdin=subprocess.DEVNULL)
    try:
        return (yield)
    finally:
        if preparing is not None:
            preparing.kill()
            preparing.wait()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folders with the longest files come first, so that no worker is left alone with one."""
    longest = ("durability", "training")
    items.sort(key=lambda item: (*longest, item.path.parent.name).index(item.path.parent.name))


def pytest_runtest_setup() -> None:
    """Each test has its own first calls."""
    tests.typecheck.begin_test()


@pytest.fixture(scope="session")
def data_folder() -> Callable[[str], Path]:
    """``data_folder("tinyshakespeare")``: the folder of a public data set; skips the test where it is missing."""

    def find(name: str) -> Path:
        root = Path(os.environ.get("TEXTWRIGHT_DATA", ROOT.parent / "shared" / "data"))
        folder = root / name
        if not folder.is_dir():
            pytest.skip(f"the data set {name} is not in {root}: set TEXTWRIGHT_DATA to a folder that has it")
        return folder

    return find


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracles such as transformers must not ask a hub for anything."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", "1")
