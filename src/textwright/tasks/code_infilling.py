"""Filling in: a program of which a line is missing, the middle one of those that are indented.

A model that fills in the middle sees what stands on both sides as it learned to. Any other reads the program with a
comment in the line's place, and writes the line after it.

Nothing is executed here: an example's details hold what is to be executed, ``before`` + the answer + ``after`` +
``tests``.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from textwright.tasks.base import Answer, Example, Task
from textwright.tasks.programs import Problem, read_problems

HOLE = "# the missing line"


class CodeInfilling(Task):
    """A program with a line missing, which is to be written so that its tests pass."""

    name = "code_infilling"
    summary = "write the missing line of a program so that its tests pass"
    runs_code = True
    metrics = ("pass@k", "edit_distance")

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        """An example a problem; one whose solution is a single line at the margin is left out."""
        for problem in read_problems(paths):
            found = _cut(problem)
            if found is not None:
                before, line, after = found
                indent = line[: len(line) - len(line.lstrip())]
                yield Example(
                    f"{before}{indent}{HOLE}{after}\n{HOLE}:\n",
                    line,
                    (line,),
                    prefix_suffix=(before, f"{after}\n"),
                    source=before + after,
                    id=problem.id,
                    details={"before": before, "after": f"{after}\n", "tests": problem.tests},
                )

    def read_answer(self, text: str, example: Example) -> Answer:  # noqa: ARG002
        """The line with its indentation."""
        return Answer(text.rstrip())


def _cut(problem: Problem) -> tuple[str, str, str] | None:
    """(what is before the line, the line, what is after it)"""
    lines = problem.solution.rstrip().split("\n")
    indented = [place for place, line in enumerate(lines) if line.strip() and line[0].isspace()]
    if not indented:
        return None
    place = indented[len(indented) // 2]
    before = problem.prompt + "".join(f"{line}\n" for line in lines[:place])
    return before, lines[place].rstrip(), "".join(f"\n{line}" for line in lines[place + 1 :])
