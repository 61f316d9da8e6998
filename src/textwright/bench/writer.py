"""A process with one peer in it, which writes when it is told to.

    python -m textwright.bench.writer PEER JOB

JOB is a ``WritingJob`` as JSON. A line is a turn: all batches once. Answers are one JSON object a line.
"""

import importlib
import json
import os
import sys
import time
import warnings
from typing import Any

from textwright.bench.writing_job import Ids, Write, WritingJob


def main() -> None:
    """Load, write everything once, and then take the turns that are asked for."""
    peer, values = sys.argv[1], json.loads(sys.argv[2])
    job = WritingJob(**values | {"batches": tuple(values["batches"])})
    warnings.simplefilter("ignore")
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    begun_s = time.perf_counter()
    write: Write = importlib.import_module(f"textwright.bench.peers.generate.{peer}").prepare(job)
    write(job.prompts(1), 1)
    first_step_s = time.perf_counter() - begun_s
    tokens = {rows: write(job.prompts(rows), job.new_tokens) for rows in job.batches}
    write(job.long_prompt(), 1)
    _answer({"first_step_s": first_step_s, "tokens": tokens})
    for _ in sys.stdin:
        _answer(
            {
                "seconds": {rows: _time_s(write, job.prompts(rows), job.new_tokens) for rows in job.batches},
                "first_token_s": _time_s(write, job.long_prompt(), 1),
            }
        )


def _time_s(write: Write, prompts: Ids, num_tokens: int) -> float:
    begun_s = time.perf_counter()
    written = write(prompts, num_tokens)
    took_s = time.perf_counter() - begun_s
    assert [len(row) for row in written] == [num_tokens] * len(prompts), "a peer stopped early"
    return took_s


def _answer(values: dict[str, Any]) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main()
