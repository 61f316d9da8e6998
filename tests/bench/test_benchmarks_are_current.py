"""Benchmarks are run by hand, now and then: what they import of Textwright must still be there."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = sorted((Path(__file__).parents[2] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_what_a_benchmark_imports_is_there(path: Path) -> None:
    not_installed = ""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("textwright"):
            try:
                module = import_module(str(node.module))
            except ModuleNotFoundError as error:  # a package of an extra, which the module is for
                if (error.name or "textwright").startswith("textwright"):
                    raise
                not_installed = str(error.name)
                continue
            missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
            assert not missing, f"{node.module} has no {', '.join(missing)}"
    if not_installed:
        pytest.skip(f"{not_installed} is not installed: an extra has it")
