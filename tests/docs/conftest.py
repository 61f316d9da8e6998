"""The documents and the code blocks in them, for the tests that hold them to the truth."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def documents() -> list[Path]:
    """Every document for people, the two READMEs first."""
    inner = sorted(path for folder in ("docs", "src") for path in (ROOT / folder).rglob("*.md"))
    return [ROOT / "README.md", ROOT / "README.zh-CN.md", ROOT / "CHANGELOG.md", *inner]


@pytest.fixture(scope="session")
def code_blocks() -> Callable[[Path, str], list[str]]:
    """``code_blocks(document, "bash")``: the texts of its fenced blocks in that language."""

    def find(document: Path, language: str) -> list[str]:
        return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(encoding="utf-8"), flags=re.M | re.S)

    return find


@pytest.fixture(scope="session")
def commands(code_blocks: Callable[[Path, str], list[str]]) -> Callable[[Path], list[str]]:
    """``commands(document)``: the lines to type, comments and line continuations taken out."""

    def find(document: Path) -> list[str]:
        text = "\n".join(code_blocks(document, "bash")).replace("\\\n", " ")
        lines = [re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines()]
        return [line for line in lines if line]

    return find
