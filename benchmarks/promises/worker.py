"""A process with one program in it, which prints what it found as one JSON object.

    python -m promises.worker PROGRAM PRECISION JOB.json

PROGRAM is a module here; see ``promises.programs`` in ``benchmarks/promises.py`` for their names. Promises that do not
hang on the precision are looked at in the first precision of a program only.
"""

import importlib
import importlib.util
import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from promises.job import SEED, Ids, Job, outcome, same

BEHAVIOUR = ("beams", "stop", "logprobs", "penalty", "long_prompt", "long_text", "long_score")
"""Functions of a program that are asked once."""


class Program(Protocol):
    """A program with a model in one precision."""

    def write(self, prompts: Ids, *, together: bool, threads: int = 2, seed: int | None = None) -> Ids:
        """Continue prompts greedily, or drawn at temperature 1 with nothing filtered, one by one or as one batch."""

    def with_draft(self, prompts: Ids) -> Ids | None:
        """Greedily, one by one, guessed ahead by the draft model; None where that is not offered."""

    def with_lookup(self, prompts: Ids) -> Ids | None:
        """The same, guessed ahead by prompt lookup."""


def main() -> None:
    """Look at one program."""
    name, precision, path = sys.argv[1:]
    module = importlib.import_module(f"promises.{name}")
    missing = [package for package in module.PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        print(json.dumps({"missing": missing}))
        return
    warnings.simplefilter("ignore")
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    job = Job.read(Path(path))
    program = module.prepare(job, precision)
    values = equalities(program, job, module.BATCHES)
    if precision == module.PRECISIONS[0]:
        values |= {name: tried(getattr(program, name)) for name in (*BEHAVIOUR, "seed")}
    print(json.dumps({"version": module.version(), "values": values}))


def equalities(program: Program, job: Job, batches: bool) -> dict[str, Any]:
    """How many texts are the same in two ways of writing them."""
    prompts = job.prompts
    alone = program.write(prompts, together=False)
    drawn = program.write(prompts, together=False, seed=SEED)

    def against(expected: Ids, write: Callable[[], Ids | None]) -> Any:
        found = tried(write)
        return same(found, expected) if isinstance(found, list) else found

    return {
        "company_greedy": against(alone, lambda: program.write(prompts, together=True)),
        "company_drawn": against(drawn, lambda: program.write(prompts, together=True, seed=SEED) if batches else None),
        "threads": against(alone, lambda: program.write(prompts, together=False, threads=1)),
        "draft": against(alone, lambda: program.with_draft(prompts)),
        "lookup": against(alone, lambda: program.with_lookup(prompts)),
        "texts": len({tuple(ids) for ids in alone}),
    }


def tried(ask: Callable[[], Any]) -> Any:
    """The answer, or in words what was raised."""
    try:
        return ask()
    except Exception as error:
        return outcome(error)


if __name__ == "__main__":
    main()
