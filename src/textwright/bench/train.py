"""``bench train``: our step beside Hugging Face's and the machine's matrix products, interleaved in one run."""

import importlib
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Self

import torch

from textwright.bench.job import VOCABULARY, Job
from textwright.bench.peers.matrix_product import FLOPS_PER_STEP
from textwright.core.device import processor_name
from textwright.core.errors import InputError, unknown_name
from textwright.models.config import GPTConfig
from textwright.models.presets import preset

OURS = ("textwright_step", "textwright_eager")
THEIRS = ("hugging_face", "hugging_face_best")
PRODUCT = "matrix_product"
PRODUCTS_PER_TURN = 20


@dataclass
class _Worker:
    """A peer in a process of its own."""

    peer: str
    process: subprocess.Popen[str]
    first_step_s: float
    seconds: list[float] = field(default_factory=list)
    """Of a step, in each turn."""
    peak_memory_bytes: int = 0

    @classmethod
    def start(cls, peer: str, job: Job, threads: int) -> Self:
        arguments = [peer, job.preset, str(job.rows), str(job.time), job.precision, job.device, str(threads)]
        process = subprocess.Popen(  # noqa: S603 - this interpreter and plain values
            [sys.executable, "-m", "textwright.bench.worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        worker = cls(peer, process, 0.0)
        try:
            worker.first_step_s = worker._answer()["first_step_s"]
        except InputError:
            worker.stop()
            raise
        return worker

    def turn(self, num_steps: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{num_steps}\n")
        self.process.stdin.flush()
        answer = self._answer()
        self.seconds.append(answer["seconds"] / num_steps)
        self.peak_memory_bytes = int(answer["peak_memory_bytes"])

    def _answer(self) -> dict[str, float]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise InputError(
                f"{self.peer} could not be run, and said why above",
                fix="install transformers and a C++ compiler, or choose others with --peers",
            )
        values: dict[str, float] = json.loads(line)
        return values

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


def bench_train(
    job: Job,
    *,
    turns: int,
    steps: int,
    threads: int,
    peers: Sequence[str] = (*OURS, *THEIRS),
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Every peer takes a turn of some steps, again and again; medians over the turns.

    Args:
        job: the step.
        turns: turns of each peer.
        steps: steps in a turn.
        threads: of each peer.
        peers: names of files in ``bench.peers``.
        say: gets a line of progress.

    Returns:
        ``rows`` (one a peer), ``ratios`` (ours over each other's, and over the matrix rate), ``machine``, ``job``.

    Raises:
        InputError: there is no such peer, or its program could not be started, for want of a package or a compiler.
    """
    for peer in peers:
        if peer not in OURS + THEIRS:
            raise unknown_name("peer", peer, OURS + THEIRS)
    with ExitStack() as stack:
        workers = {}
        for peer in (*peers, PRODUCT):
            say(f"preparing {peer}")
            workers[peer] = _Worker.start(peer, job, threads)
            stack.callback(workers[peer].stop)
        for turn in range(turns):
            say(f"turn {turn + 1} of {turns}")
            for peer, worker in workers.items():
                worker.turn(PRODUCTS_PER_TURN if peer == PRODUCT else steps)
    rate = FLOPS_PER_STEP / statistics.median(workers[PRODUCT].seconds)
    flops = step_flops(preset(job.preset, vocab_size=VOCABULARY, context_length=max(1024, job.time)), job)
    rows = [_row(workers[peer], job, flops / rate) for peer in peers]
    speed = {row["peer"]: row["tokens_per_s"] for row in rows}
    ours, theirs = ([peer for peer in peers if peer in group] for group in (OURS, THEIRS))
    ratios = {f"{one} / {other}": speed[one] / speed[other] for one in ours for other in theirs}
    ratios |= {f"{row['peer']} / matrix rate": row["share_of_matrix_rate"] for row in rows if row["peer"] in ours}
    machine = {
        "processor": processor_name() if job.device == "cpu" else torch.cuda.get_device_name(),
        "threads": threads,
        "torch": torch.__version__,
        "matrix_flops_per_s": rate,
    }
    return {"job": vars(job), "rows": rows, "ratios": ratios, "machine": machine}


def step_flops(config: GPTConfig, job: Job) -> float:
    """6 x parameters that multiply x tokens, and attention: 12 x layers x width x time x tokens, causal half of it.

    Source: Kaplan et al. 2020 (arXiv:2001.08361), table 1; the factor of a half for causal attention is ours.
    """
    width = config.width
    in_blocks = config.num_layers * (4 * width * width + 2 * width * config.mlp_width)
    weights = in_blocks + config.vocab_size * width
    return job.tokens * (6.0 * weights + 6.0 * config.num_layers * width * job.time)


def _row(worker: _Worker, job: Job, floor_s: float) -> dict[str, Any]:
    seconds = statistics.median(worker.seconds)
    return {
        "peer": worker.peer,
        "settings": importlib.import_module(f"textwright.bench.peers.{worker.peer}").SETTINGS,
        "tokens_per_s": job.tokens / seconds,
        "seconds_of_a_step": sorted(worker.seconds),
        "share_of_matrix_rate": floor_s / seconds,
        "peak_memory_bytes": worker.peak_memory_bytes,
        "first_step_s": worker.first_step_s,
    }
