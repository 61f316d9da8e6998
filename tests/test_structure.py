"""The sources stay in pieces that fit in the head."""

import ast
from pathlib import Path

SOURCES = Path(__file__).parents[1] / "src" / "textwright"
MAX_LINES_OF_A_FILE = 400
MAX_LINES_OF_A_FUNCTION = 60


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {str(path.relative_to(SOURCES)): len(path.read_text().splitlines()) for path in SOURCES.rglob("*.py")}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES_OF_A_FILE} == {}


def test_no_function_is_longer_than_60_lines() -> None:
    long = {}
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_LINES_OF_A_FUNCTION:
                    long[f"{path.relative_to(SOURCES)}:{node.name}"] = length
    assert long == {}
