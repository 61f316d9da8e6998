"""This build beside another, taking turns: the training step and decoding.

    python benchmarks/builds.py OTHER/src [--turns 9] [--slices 1] [--steps 4] [--precision float32]
        [--new-tokens 192] [--json]

OTHER is a checkout of another commit. Each works in processes of its own: tiny trains 12 x 256 tokens a step, eager and
in float32; gpt2 with random weights reads a prompt of 64 tokens, continues it, and reads one of 512. A turn may be
several slices of each build, one after the other: a memory whose rate changes within seconds is the same for both then.
Ratios are of the same turn, this build's speed over the other's.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from textwright.bench.writing_job import WritingJob
from textwright.core.device import processor_name

HERE = Path(__file__).parent.parent / "src"
TRAIN = ["textwright.bench.worker", "textwright_eager", "tiny", "12", "256", "float32", "cpu", "2"]


def main() -> None:
    """Let both take turns, and print the ratios' quartiles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("other", type=Path)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--steps", type=int, default=4, help="in a slice of training")
    parser.add_argument("--slices", type=int, default=1, help="of each build in a turn")
    parser.add_argument("--precision", default="float32", help="of decoding")
    parser.add_argument("--new-tokens", type=int, default=192, help="in a slice of decoding")
    parser.add_argument("--only", choices=("train", "generate"))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    builds = {"this": HERE, "other": arguments.other.resolve()}
    found: dict[str, Any] = {"processor": processor_name()}
    turns = (arguments.turns, arguments.slices)
    if arguments.only != "generate":
        found["train"] = compare(builds, TRAIN, str(arguments.steps), "step_s", *turns)
    if arguments.only != "train":
        found["generate"] = compare_decoding(builds, arguments.precision, arguments.new_tokens, *turns)
    if arguments.json:
        print(json.dumps(found))


def compare_decoding(
    builds: dict[str, Path], precision: str, new_tokens: int, turns: int, slices: int
) -> dict[str, Any]:
    """Ratios of gpt2, one row, without the prompt of 512."""
    with tempfile.TemporaryDirectory() as folder:
        job = WritingJob("gpt2", 64, new_tokens, (1,), 2, folder)
        job.write_weights()
        program = ["textwright.bench.writer", f"ours_{precision}", json.dumps(vars(job))]
        return compare(builds, program, "turn", "seconds", turns, slices)


def compare(
    builds: dict[str, Path], program: list[str], request: str, key: str, turns: int, slices: int
) -> dict[str, Any]:
    """Ratios of speed, turn by turn."""
    seconds: dict[str, list[float]] = {name: [] for name in builds}
    with ExitStack() as stack:
        workers = {name: stack.enter_context(Worker(source, program)) for name, source in builds.items()}
        for worker in workers.values():
            worker.answer()
        for turn in range(turns):
            for taken in seconds.values():
                taken.append(0.0)
            for number in range(slices):
                for name in sorted(workers, reverse=bool((turn + number) % 2)):
                    value = workers[name].ask(request)[key]
                    seconds[name][-1] += value["1"] if isinstance(value, dict) else value
    ratios = sorted(other / this for this, other in zip(seconds["this"], seconds["other"], strict=True))
    low, median, high = statistics.quantiles(ratios, n=4)
    print(f"{program[1]}: {median:.3f} of the other's speed ({low:.3f} to {high:.3f})", file=sys.stderr, flush=True)
    return {"seconds": seconds, "quartiles": [low, median, high]}


class Worker:
    """A process of one build, which answers a JSON object when it is ready, and one to each line."""

    def __init__(self, source: Path, program: list[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={"PYTHONPATH": str(source), "OMP_NUM_THREADS": "2", "PATH": "/usr/bin:/bin", "HOME": str(Path.home())},
        )

    def ask(self, request: str) -> dict[str, Any]:
        """Its answer to a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{request}\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Its next answer."""
        assert self._process.stdout is not None
        values: dict[str, Any] = json.loads(self._process.stdout.readline())
        return values

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


if __name__ == "__main__":
    main()
