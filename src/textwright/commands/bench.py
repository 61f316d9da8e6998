"""``textwright bench``: how fast this machine trains and writes, beside what others make of it."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.table import Table

from textwright.core.console import Console, stderr_console, stdout_console
from textwright.core.errors import InputError
from textwright.core.result import Result


@dataclass(frozen=True)
class _Bench(Result):
    """The figures of programs that took turns."""

    figures: dict[str, Any]
    turns: int

    def as_json(self) -> dict[str, Any]:
        return self.figures


class TrainBench(_Bench):
    """How fast each trained."""

    def show(self) -> None:
        out = stdout_console()
        table = Table("", "tokens/s", "of the matrix rate", "memory", "first step", box=None)
        for row in self.figures["rows"]:
            table.add_row(
                row["peer"],
                f"{row['tokens_per_s']:,.0f}",
                f"{row['share_of_matrix_rate']:.0%}",
                f"{row['peak_memory_bytes'] / 1e9:.2f} GB",
                f"{row['first_step_s']:.1f} s",
            )
        _show_ratios(out, table, self.figures["ratios"])
        job, machine = self.figures["job"], self.figures["machine"]
        out.print(
            f"{machine['processor']}, {machine['threads']} threads, {machine['matrix_flops_per_s'] / 1e9:,.0f} GFLOP/s "
            f"in {job['precision']}, torch {machine['torch']}; {job['preset']}, "
            f"{job['batch_size']} x {job['sequence_length']} tokens, medians of {self.turns} turns"
        )


class GenerateBench(_Bench):
    """How fast each decoded."""

    def show(self) -> None:
        out = stdout_console()
        job, machine = self.figures["job"], self.figures["machine"]
        batches = [str(batch) for batch in job["batches"]]
        speeds = [f"tokens/s x{batch}" for batch in batches]
        table = Table("", *speeds, "first token", "first step", "agrees", box=None)
        for row in self.figures["rows"]:
            table.add_row(row["peer"], *_cells(row, batches))
        for name, floor in self.figures["floors"].items():
            table.add_row(f"floor, {name}", *(f"{floor[batch]:,.0f}" for batch in batches))
        _show_ratios(out, table, self.figures["ratios"])
        out.print(
            f"{machine['processor']}, {machine['threads']} threads, {machine['memory_bytes_per_s'] / 1e9:,.1f} GB/s, "
            f"torch {machine['torch']}; {job['preset']}, {job['prompt_tokens']} + {job['new_tokens']} tokens, "
            f"medians of {self.turns} turns"
        )


def _cells(row: dict[str, Any], batches: list[str]) -> list[str]:
    """The figures of one that decoded, or why there are none."""
    if row["state"] != "measured":
        return [row["state"]]
    speeds = [f"{row['tokens_per_s'][batch]:,.0f}" for batch in batches]
    agrees = f"{min(row['agrees'].values()):.0%}" if row["agrees"] else ""
    return [*speeds, f"{row['first_token_s'] * 1000:,.0f} ms", f"{row['first_step_s']:.1f} s", agrees]


def _show_ratios(out: Console, table: Table, ratios: dict[str, float]) -> None:
    out.print(table)
    for name, ratio in ratios.items():
        out.print(f"{ratio:6.2f}  {name}")


def train(
    *,
    preset: str = "gpt2",
    batch_size: int = 2,
    sequence_length: int = 512,
    turns: int = 5,
    steps: int = 2,
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    threads: int | None = None,
    peers: Annotated[tuple[str, ...] | None, Parameter(consume_multiple=True, negative="")] = None,
) -> TrainBench:
    """Compare our training step with Hugging Face's and with the machine's matrix products, in one interleaved run.

    Parameters
    ----------
    preset
        The size: gpt2, gpt2-medium, ...
    batch_size
        Rows of a step.
    sequence_length
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
    """
    import torch

    from textwright.bench.job import Job
    from textwright.bench.train import OURS, THEIRS, bench_train
    from textwright.core.device import choose_precision

    for name, value in (
        ("batch-size", batch_size),
        ("sequence-length", sequence_length),
        ("turns", turns),
        ("steps", steps),
    ):
        if value < 1:
            raise InputError(f"--{name} {value}", expected="1 or more")
    job = Job(preset, batch_size, sequence_length, choose_precision(torch.device("cpu"), precision))
    found = bench_train(
        job,
        turns=turns,
        steps=steps,
        threads=threads or torch.get_num_threads(),
        peers=peers or (*OURS, *THEIRS),
        say=stderr_console().print,
    )
    return TrainBench(found, turns)


def generate(
    *,
    preset: str = "gpt2",
    prompt_tokens: int = 64,
    new_tokens: int = 128,
    batches: Annotated[tuple[int, ...], Parameter(consume_multiple=True, negative="")] = (1, 16),
    turns: int = 5,
    threads: int | None = None,
    peers: Annotated[tuple[str, ...] | None, Parameter(consume_multiple=True, negative="")] = None,
) -> GenerateBench:
    """Compare our decoding with Hugging Face, CTranslate2, llama.cpp and the machine's memory, in one interleaved run.

    Everybody has the same random weights and prompts, and takes the likeliest token. Seconds include reading the
    prompts. Beside that: the time to the first token after a prompt of 512.

    Parameters
    ----------
    preset
        The size: gpt2, gpt2-medium, ...
    prompt_tokens
        Tokens of each prompt.
    new_tokens
        Tokens to write after each.
    batches
        Rows side by side; each number is measured.
    turns
        Turns of each; the figures are medians over them.
    threads
        Threads of each; as many as torch takes, when not given.
    peers
        Only these: ours_float32, ours_bfloat16, ours_int8, hugging_face, hugging_face_best, ctranslate2_float32,
        ctranslate2_int8, llama_cpp_f32, llama_cpp_bf16, llama_cpp_q8_0.
    """
    import torch

    from textwright.bench.generate import OURS, THEIRS, bench_generate
    from textwright.bench.writing_job import WritingJob

    numbers = {"--prompt-tokens": prompt_tokens, "--new-tokens": new_tokens, "--turns": turns}
    for name, value in [*numbers.items(), *(("--batches", batch) for batch in batches)]:
        if value < 1:
            raise InputError(f"{name} {value}", expected="1 or more")
    job = WritingJob(
        preset, prompt_tokens, new_tokens, tuple(dict.fromkeys(batches)), threads or torch.get_num_threads()
    )
    found = bench_generate(job, turns=turns, peers=peers or (*OURS, *THEIRS), say=stderr_console().print)
    return GenerateBench(found, turns)
