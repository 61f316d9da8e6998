"""Programs: the body of a function (HumanEval), or what a description asks for (MBPP).

Nothing is executed here: an example's details hold what is to be executed, ``before`` + the answer + ``after`` +
``tests``.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from textwright.tasks.base import Answer, Example, Task
from textwright.tasks.programs import read_problems


class CodeCompletion(Task):
    """The beginning of a program, to be completed so that its tests pass."""

    name = "code_completion"
    summary = "complete a program so that its tests pass"
    runs_code = True
    metrics = ("pass@k",)
    max_new_tokens = 256
    stop = ('\n"""', "\nassert ", "\nprint(", "\nif __name__")

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        """An example a problem."""
        for problem in read_problems(paths):
            solution = problem.solution.rstrip()
            yield Example(
                problem.prompt,
                solution,
                (solution,),
                source=problem.prompt,
                id=problem.id,
                details={"before": problem.prompt, "after": "\n", "tests": problem.tests, "is_body": problem.is_body},
            )

    def read_answer(self, text: str, example: Example) -> Answer:
        """The program; of a function's body what is indented, up to the first line that is not."""
        lines = text.rstrip().split("\n")
        if example.details["is_body"]:
            ends = (place for place, line in enumerate(lines) if line.strip() and not line[0].isspace())
            lines = lines[: next(ends, len(lines))]
        return Answer("\n".join(lines).rstrip())
