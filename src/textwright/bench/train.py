"""``bench train``: our step beside Hugging Face's and the machine's matrix products, interleaved in one run."""

import importlib
import statistics
from collections.abc import Sequence
from typing import Any

import torch

from textwright.bench.job import Job
from textwright.bench.peers.matrix_product import FLOPS_PER_STEP
from textwright.bench.turns import Say, Worker, start_all, take_turns
from textwright.core.device import processor_name
from textwright.core.errors import unknown_name
from textwright.models.gpt.config import GPTConfig

OURS = ("textwright_step", "textwright_eager")
THEIRS = ("hugging_face", "hugging_face_best")
PRODUCT = "matrix_product"
WORKER = "textwright.bench.worker"
PRODUCTS_PER_TURN = 20


def bench_train(
    job: Job,
    *,
    turns: int,
    steps: int,
    threads: int,
    peers: Sequence[str] = (*OURS, *THEIRS),
    say: Say = lambda _: None,
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
    programs = {
        peer: [
            WORKER,
            peer,
            job.preset,
            str(job.batch_size),
            str(job.sequence_length),
            job.precision,
            job.device,
            str(threads),
        ]
        for peer in (*peers, PRODUCT)
    }
    requests = dict.fromkeys(peers, str(steps)) | {PRODUCT: str(PRODUCTS_PER_TURN)}
    with start_all(programs, threads, say) as workers:
        take_turns(workers, requests, turns, say)
    rate = FLOPS_PER_STEP / statistics.median(_step_s(workers[PRODUCT]))
    flops = step_flops(job.model, job)
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
    width = config.hidden_size
    in_blocks = config.num_layers * (4 * width * width + 2 * width * config.intermediate_size)
    weights = in_blocks + config.vocab_size * width
    return job.tokens * (6.0 * weights + 6.0 * config.num_layers * width * job.sequence_length)


def _step_s(worker: Worker) -> list[float]:
    """Seconds of a step, in each turn."""
    return [answer["step_s"] for answer in worker.answers]


def _row(worker: Worker, job: Job, floor_s: float) -> dict[str, Any]:
    seconds = statistics.median(_step_s(worker))
    return {
        "peer": worker.peer,
        "settings": importlib.import_module(f"textwright.bench.peers.{worker.peer}").SETTINGS,
        "tokens_per_s": job.tokens / seconds,
        "seconds_of_a_step": sorted(_step_s(worker)),
        "share_of_matrix_rate": floor_s / seconds,
        "peak_memory_bytes": int(worker.answers[-1]["peak_memory_bytes"]),
        "first_step_s": worker.ready["first_step_s"],
    }
