"""``bench generate``: our decoding beside others' and the machine's memory, interleaved in one run."""

import dataclasses
import importlib
import importlib.util
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from textwright.bench.peers.memory_read import BYTES_PER_STEP
from textwright.bench.turns import Say, Worker, start_all, take_turns
from textwright.bench.writing_job import Ids, WritingJob
from textwright.core.device import processor_name
from textwright.core.errors import InputError, unknown_name
from textwright.core.files import scratch_folder
from textwright.models.gpt.config import GPTConfig


@dataclass(frozen=True)
class Precision:
    """What is compared with what."""

    weight_bytes: float
    """Of a weight that multiplies, as our kernels read it; see ``engines.cpu.kernels.exponent_codec``."""
    cache_bytes: int
    """Of a number in our key-value cache."""
    theirs: tuple[str, ...]
    """Peers that keep their weights alike."""


REFERENCE = "hugging_face"
"""Everybody is put beside it; and its tokens are the ones to agree with."""
PRECISIONS = {
    "float32": Precision(3.5, 4, (REFERENCE, "ctranslate2_float32", "llama_cpp_f32")),
    "bfloat16": Precision(1.5, 2, (REFERENCE, "hugging_face_best", "llama_cpp_bf16")),
    "int8": Precision(1, 2, (REFERENCE, "ctranslate2_int8", "llama_cpp_q8_0")),
}
OURS = tuple(f"ours_{name}" for name in PRECISIONS)
THEIRS = tuple(dict.fromkeys(peer for precision in PRECISIONS.values() for peer in precision.theirs))
MEMORY = "memory_read"
READS_PER_TURN = 10


def bench_generate(
    job: WritingJob,
    *,
    turns: int,
    peers: Sequence[str] = (*OURS, *THEIRS),
    say: Say = lambda _: None,
) -> dict[str, Any]:
    """Every peer takes a turn of all batches, again and again; medians over the turns.

    Args:
        job: what to write; its folder is made here.
        turns: turns of each peer.
        peers: names of files in ``bench.peers.generate``. One whose packages are missing is left out, and said so.
        say: gets a line of progress.

    Returns:
        ``rows`` (one a peer), ``floors`` (tokens/s at which weights and cache are read as fast as the memory goes),
        ``ratios`` (ours over each other's of the same precision; of a first token, how many times sooner ours comes),
        ``machine``, ``job``.

    Raises:
        InputError: there is no such peer, none is installed, or one could not be run.
    """
    for peer in peers:
        if peer not in OURS + THEIRS:
            raise unknown_name("peer", peer, OURS + THEIRS)
    missing = {peer: absent for peer in peers if (absent := missing_packages(peer))}
    for peer, absent in missing.items():
        say(f"{peer} is left out: {', '.join(absent)} not installed; pip install 'textwright[bench]'")
    present = [peer for peer in peers if peer not in missing]
    if not present:
        raise InputError("no peer is installed", fix="pip install 'textwright[bench]'")
    with scratch_folder(Path.cwd(), "bench") as folder:
        job = dataclasses.replace(job, folder=str(folder))
        job.write_weights()
        programs = {peer: ["textwright.bench.writer", peer, json.dumps(vars(job))] for peer in present}
        programs[MEMORY] = ["textwright.bench.worker", MEMORY, job.preset, "1", "1", "float32", "cpu", str(job.threads)]
        requests = dict.fromkeys(present, "turn") | {MEMORY: str(READS_PER_TURN)}
        with start_all(programs, job.threads, say) as workers:
            take_turns(workers, requests, turns, say)
    bytes_per_s = BYTES_PER_STEP / statistics.median(answer["step_s"] for answer in workers[MEMORY].answers)
    expected = workers[REFERENCE].ready["tokens"] if REFERENCE in workers else None
    rows = [_row(workers[peer], job, expected) if peer in workers else _absent_row(peer) for peer in peers]
    floors = {
        name: {str(batch): floor_tokens_per_s(job, precision, batch, bytes_per_s) for batch in job.batches}
        for name, precision in PRECISIONS.items()
    }
    machine = {
        "processor": processor_name(),
        "threads": job.threads,
        "torch": torch.__version__,
        "memory_bytes_per_s": bytes_per_s,
    }
    measured = {row["peer"]: row for row in rows if row["peer"] in workers}
    ratios = dict(_ratios(measured, floors, job))
    return {"job": _described(job), "rows": rows, "floors": floors, "ratios": ratios, "machine": machine}


def missing_packages(peer: str) -> list[str]:
    """What a peer needs and this Python has not."""
    return [name for name in _peer(peer).PACKAGES if importlib.util.find_spec(name) is None]


def floor_tokens_per_s(job: WritingJob, precision: Precision, batch: int, bytes_per_s: float) -> float:
    """Tokens/s if a step took no longer than reading the weights once and each row's cache, half written."""
    config = job.config
    read = job.prompt_tokens + job.new_tokens / 2
    cache = 2 * config.num_layers * config.num_key_value_heads * config.head_dim * read * precision.cache_bytes
    return batch * bytes_per_s / (multiplying_weights(config) * precision.weight_bytes + batch * cache)


def multiplying_weights(config: GPTConfig) -> int:
    """Of the blocks and of the head."""
    width = config.hidden_size
    return config.num_layers * (4 * width * width + 2 * width * config.intermediate_size) + config.vocab_size * width


def _peer(name: str) -> Any:
    return importlib.import_module(f"textwright.bench.peers.generate.{name}")


def _row(worker: Worker, job: WritingJob, expected: dict[str, Ids] | None) -> dict[str, Any]:
    seconds = {str(rows): [answer["seconds"][str(rows)] for answer in worker.answers] for rows in job.batches}
    first_token_s = [answer["first_token_s"] for answer in worker.answers]
    tokens = worker.ready["tokens"]
    return {
        "peer": worker.peer,
        "settings": _peer(worker.peer).SETTINGS,
        "state": "measured",
        "tokens_per_s": {rows: int(rows) * job.new_tokens / statistics.median(s) for rows, s in seconds.items()},
        "seconds_of_a_batch": {rows: sorted(s) for rows, s in seconds.items()},
        "first_token_s": statistics.median(first_token_s),
        "seconds_of_a_first_token": sorted(first_token_s),
        "first_step_s": worker.ready["first_step_s"],
        "agrees": expected and {rows: agreement(tokens[rows], expected[rows]) for rows in expected},
    }


def _absent_row(peer: str) -> dict[str, Any]:
    return {"peer": peer, "settings": _peer(peer).SETTINGS, "state": "not installed"}


def agreement(ids: Ids, expected: Ids) -> float:
    """The fraction of tokens that are equal. After its first other token, a row goes its own way."""
    pairs = [pair for ours, theirs in zip(ids, expected, strict=True) for pair in zip(ours, theirs, strict=True)]
    return sum(one == other for one, other in pairs) / len(pairs)


def _ratios(
    measured: dict[str, dict[str, Any]], floors: dict[str, dict[str, float]], job: WritingJob
) -> Iterator[tuple[str, float]]:
    for name, precision in PRECISIONS.items():
        ours = f"ours_{name}"
        if ours not in measured:
            continue
        theirs = [peer for peer in precision.theirs if peer in measured]
        for batch in map(str, job.batches):
            speed, times = measured[ours]["tokens_per_s"][batch], "" if batch == "1" else f" x{batch}"
            for peer in theirs:
                yield f"{ours}{times} / {peer}{times}", speed / measured[peer]["tokens_per_s"][batch]
            yield f"{ours}{times} / floor{times}", speed / floors[name][batch]
        for peer in theirs:
            sooner = measured[peer]["first_token_s"] / measured[ours]["first_token_s"]
            yield f"first token: {ours} / {peer}", sooner


def _described(job: WritingJob) -> dict[str, Any]:
    """The job without the folder, which is gone; batches as JSON has them."""
    return {name: value for name, value in vars(job).items() if name != "folder"} | {"batches": list(job.batches)}
