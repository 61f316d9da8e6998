"""``textwright demo``: the whole way once, on text that every machine with Python has."""

import math
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from textwright.api.config import ModelOptions, RunConfig
from textwright.core.console import stderr_console, stdout_console
from textwright.core.errors import InputError
from textwright.core.journal import read_rows
from textwright.core.progress import bar, duration
from textwright.runs.run_folder import Run, is_run
from textwright.training.config import TrainConfig

if TYPE_CHECKING:
    from textwright.api.runs import RunResult

PROMPTS = ("def read_lines(path):\n", "class Stack:\n", "# Return true if the file")
OWN_RUN = Path("runs/demo")
MEASURING_S = 12.0
"""About how long measuring on the held-out text may take, reading each of its tokens twice."""
LEFT_OUT = frozenset(("test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"))


def demo(
    *,
    text: Annotated[tuple[Path, ...] | None, Parameter(consume_multiple=True, negative="")] = None,
    minutes: float = 3.0,
    out: Path = OWN_RUN,
    seed: int = 0,
    device: str = "auto",
    json: bool = False,
) -> int:
    """From raw text to a text generator: collect, clean, split, tokenize, train, measure, write.

    Parameters
    ----------
    text
        Your own files or folders. Without it, the source of this Python's standard library is read: real text that
        is on every machine (without its tests and the packages installed beside it).
    minutes
        How long to train, in minutes.
    out
        The run folder. An earlier demo in runs/demo is replaced; a run anywhere else is never touched.
    seed
        Everything random follows from it.
    device
        auto, cpu or cuda.
    json
        Print one JSON object on standard output; progress stays on standard error.
    """
    screen = stderr_console()
    if not 0 < minutes < math.inf:
        raise InputError(f"--minutes {minutes:g}", expected="more than 0")
    paths = tuple(text) if text else standard_library_files()
    subject = "your text" if text else f"{len(paths):,} files of Python's standard library"
    screen.print(f"textwright demo: {subject}, {minutes:g} minutes of training")
    with screen.announced("loading torch ..."):
        from textwright.api import load
        from textwright.api.runs import train_until_signal, write_report
        from textwright.evaluation.compression import XZ, compressed_bits_per_byte
        from textwright.generation.kernels import are_compiled
        from textwright.generation.request import EngineConfig

    if out == OWN_RUN and is_run(out):
        Run(out).delete()
    config = demo_config(paths, minutes, seed, prompts=() if text else PROMPTS[:1])
    result = train_until_signal(config, out, device=device)
    if result.report.exit_code:
        screen.show_command("interrupted; go on with:  ", "train", "--resume", out)
        return result.report.exit_code

    model = load(result.model, device=device)
    # Each token is read twice, in windows that overlap, and reading one takes a third of what learning from it takes.
    held_out = list(result.held_out_texts(max_tokens=int(MEASURING_S * result.report.tokens_per_s)))
    with bar("measuring on the held-out text", sum(len(one.encode()) for one in held_out), unit="bytes") as progress:
        score = model.evaluate(held_out, progress=progress)
    screen.print("compressing the same text with xz and zstd, and continuing three prompts ...")
    metrics = {"this model": score.bits_per_byte} | compressed_bits_per_byte(held_out)
    prompts = PROMPTS if not text else tuple(_beginning(document) for document in held_out[:3])
    # Kernels that are not compiled yet take longer to compile than the whole measuring may.
    engine = EngineConfig(engine="auto" if are_compiled() else "torch")
    completions = model.complete(prompts, engine=engine, max_new_tokens=80, temperature=0.7, top_p=0.95, seed=seed)
    shown = [{"prompt": completion.prompt, "text": completion.text} for completion in completions]
    report = write_report(result, metrics=metrics, completions=shown)

    if json:
        figures = {"held_out": score.as_json(), "baselines": metrics, "completions": shown, "report": str(report)}
        stdout_console().write_json(result.as_json() | figures)
        return 0
    for item in shown:
        screen.rule("a prompt and what the model makes of it")
        screen.print(item["prompt"], style="bold", end="")
        screen.print(item["text"])
    screen.rule()
    screen.print(f"held-out text, {score.num_bytes:,} bytes of {score.num_texts} documents, in bits per byte:")
    for name, bits in metrics.items():
        screen.print(f"  {bits:6.3f}  {name}")
    screen.print(
        f"\n{result.report.steps:,} steps, {result.report.tokens:,} tokens in {duration(result.report.elapsed_s)}, "
        f"{result.report.tokens_per_s:,.0f} tokens/s, at most {result.report.peak_memory_bytes / 1e9:.2f} GB of memory"
    )
    if score.bits_per_byte > metrics.get(XZ, math.inf):
        for line in _why_behind(result, XZ):
            screen.print(line)
    screen.print(f"\n  run      {result.run}\n  model    {result.model}\n  report   {report}   (open it in a browser)")
    screen.print("\nWhat to type next:")
    screen.show_command("  ", "generate", result.model, "def main():", "--temperature", 0.7)
    screen.show_command("  ", "demo", "--text", "YOUR_FILES", "--minutes", math.ceil(3 * minutes))
    return 0


def _why_behind(result: "RunResult", compressor: str) -> list[str]:
    """Why a model is worse than a general compressor, and what would help."""
    report, num_tokens = result.report, result.data.train.num_tokens
    busy = [row["message"] for row in read_rows(Run(result.run).journal) if row.get("event") == "threads"]
    why = [
        f"\nThis model is behind {compressor}, which knew nothing at first: in {duration(report.elapsed_s)} it read "
        f"{report.tokens:,} tokens, the text {report.tokens / num_tokens:.2g} times."
    ]
    if busy:
        why.append(f"Other programs kept this machine busy ({busy[0]}).")
    quiet = "on a quiet machine, or " if busy else ""
    return [*why, f"It will be ahead {quiet}with more time: the second command below."]


def standard_library_files() -> tuple[Path, ...]:
    """The Python files of the running interpreter's standard library, in order."""
    root = Path(sysconfig.get_paths()["stdlib"])
    files = (path for path in sorted(root.rglob("*.py")) if not LEFT_OUT & set(path.relative_to(root).parts))
    found = tuple(path for path in files if path.is_file() and path.stat().st_size)
    if not found:
        raise InputError(f"no source in {root}", fix="give your own text with --text")
    return found


def demo_config(paths: tuple[Path, ...], minutes: float, seed: int, prompts: tuple[str, ...]) -> RunConfig:
    """What the demo trains: a small GPT with a context of 256, on a BPE of at most 4096 tokens."""
    return RunConfig(
        data=paths,
        # The interpreter's own files hold a few that are not UTF-8 on purpose.
        invalid_utf8="replace",
        tokenizer="bpe:4096",
        sample_prompts=prompts,
        model=ModelOptions(preset="tiny"),
        training=TrainConfig(minutes=minutes, batch_size=16, seed=seed),
    )


def _beginning(text: str) -> str:
    """The first line or so of a text, to be continued."""
    return text.lstrip()[:200].split("\n")[0][:80]
