"""Programming problems, as HumanEval and MBPP have them: what is asked, a solution, and tests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from textwright.core.errors import InputError
from textwright.tasks.rows import Row, read_rows


@dataclass(frozen=True)
class Problem:
    """One of them. ``prompt + solution + tests`` is a whole program."""

    prompt: str
    """The beginning of the program, to its line's end."""
    solution: str
    tests: str
    """What runs after it, and raises where it is wrong."""
    is_body: bool
    """Whether the solution is the body of a function that the prompt begins."""
    id: str


def read_problems(paths: Sequence[Path]) -> Iterator[Problem]:
    """The problems of files, in their order.

    Raises:
        InputError: a field is not there.
    """
    for row in read_rows(paths):
        yield _begun_function(row) if row.has("entry_point") else _described(row)


def _begun_function(row: Row) -> Problem:
    """HumanEval's: the head of a function and what it is to do."""
    name = _code(row, "entry_point").strip()
    tests = f"{_code(row, 'test')}\ncheck({name})\n"
    return Problem(_code(row, "prompt"), _code(row, "canonical_solution"), tests, is_body=True, id=row.text("task_id"))


def _described(row: Row) -> Problem:
    """MBPP's: a description, which becomes a comment with the first test, by which the function's name is known."""
    has_imports = row.has("test_imports") and row.items("test_imports")
    imports = row.texts("test_imports") if has_imports else ()
    if not row.items("test_list"):
        raise InputError("no test in 'test_list'", where=row.where, expected="at least one")
    tests = row.texts("test_list")
    described = row.text("prompt", "text").replace('"""', "'''")
    prompt = f'"""\n{described}\n{tests[0]}\n"""\n'
    solution = _code(row, "code").replace("\r\n", "\n")
    return Problem(prompt, solution, "\n".join([*imports, *tests, ""]), is_body=False, id=f"MBPP/{row.text('task_id')}")


def _code(row: Row, name: str) -> str:
    """A field as it is, with the white space about it."""
    row.text(name)
    return str(row.value(name))
