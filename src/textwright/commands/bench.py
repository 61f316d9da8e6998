"""``textwright bench``: how fast this machine trains, beside what others make of it."""

import json as json_format
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.table import Table

from textwright.core.errors import InputError
from textwright.core.progress import console, output


def train(
    *,
    preset: str = "gpt2",
    rows: int = 2,
    time: int = 512,
    turns: int = 5,
    steps: int = 2,
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    threads: int | None = None,
    peers: Annotated[tuple[str, ...] | None, Parameter(consume_multiple=True, negative="")] = None,
    json: bool = False,
) -> None:
    """Compare our training step with Hugging Face's and with the machine's matrix products, in one interleaved run.

    Parameters
    ----------
    preset
        The size: gpt2, gpt2-medium, ...
    rows
        Rows of a step.
    time
        Tokens in a row.
    turns
        Turns of each; the figures are medians over them.
    steps
        Steps in a turn.
    precision
        Of our matrix products, of those of Hugging Face's best settings and of the machine's. auto: bfloat16 where the
        machine multiplies it in hardware.
    threads
        Threads of each; as many as torch takes, when not given.
    peers
        Only these: textwright_step (compiled), textwright_eager, hugging_face, hugging_face_best.
    json
        Print one JSON object on standard output; progress stays on standard error.
    """
    import torch

    from textwright.bench.job import Job
    from textwright.bench.train import OURS, THEIRS, bench_train
    from textwright.core.device import choose_precision

    for name, value in (("rows", rows), ("time", time), ("turns", turns), ("steps", steps)):
        if value < 1:
            raise InputError(f"--{name} {value}", expected="1 or more")
    job = Job(preset, rows, time, choose_precision(torch.device("cpu"), precision))
    found = bench_train(
        job,
        turns=turns,
        steps=steps,
        threads=threads or torch.get_num_threads(),
        peers=peers or (*OURS, *THEIRS),
        say=console().print,
    )
    if json:
        print(json_format.dumps(found))
        return
    table = Table("", "tokens/s", "of the matrix rate", "memory", "first step", box=None)
    for row in found["rows"]:
        table.add_row(
            row["peer"],
            f"{row['tokens_per_s']:,.0f}",
            f"{row['share_of_matrix_rate']:.0%}",
            f"{row['peak_memory_bytes'] / 1e9:.2f} GB",
            f"{row['first_step_s']:.1f} s",
        )
    output().print(table)
    for name, ratio in found["ratios"].items():
        output().print(f"{ratio:6.2f}  {name}")
    machine = found["machine"]
    output().print(
        f"{machine['processor']}, {machine['threads']} threads, {machine['matrix_flops_per_s'] / 1e9:,.0f} GFLOP/s "
        f"in {job.precision}, torch {machine['torch']}; {preset}, {rows} x {time} tokens, medians of {turns} turns"
    )
