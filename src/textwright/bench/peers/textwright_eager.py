"""Our step where there is no C++ compiler."""

from collections.abc import Callable

from textwright.bench.job import Job
from textwright.bench.peers import textwright_step

SETTINGS = "our step, not compiled, fused AdamW, clipping at 1.0"


def prepare(job: Job) -> Callable[[], None]:
    """One step as the loop does it."""
    return textwright_step.prepare(job, compiles=False)
