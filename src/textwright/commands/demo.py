"""``textwright demo``: the whole way once, on text that every machine with Python has."""

import math
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from textwright.api.config import ModelOptions, RunConfig
from textwright.core.console import stderr_console
from textwright.core.errors import InputError
from textwright.core.journal import read_rows
from textwright.core.progress import bar, duration
from textwright.core.result import Result
from textwright.runs.run_folder import Run, is_run
from textwright.training.config import TrainConfig

if TYPE_CHECKING:
    from textwright.api.run_result import RunResult
    from textwright.evaluation.language_modelling import TextScore

PROMPTS = ("def read_lines(path):\n", "class Stack:\n", "# Return true if the file")
OWN_RUN = Path("runs/demo")
LONG_MINUTES = 20.0
"""From which a larger model has time to read enough."""
MEASURING_S = 12.0
"""About how long measuring on the held-out text may take, reading each of its tokens twice."""
LEFT_OUT = frozenset(("test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"))


@dataclass(frozen=True)
class Measured:
    """What the demo made of a finished run."""

    score: "TextScore"
    bits_per_byte: dict[str, float]
    """Of the model, of a 5-gram model, and of compressors."""
    completions: list[dict[str, str]]
    report: Path


@dataclass(frozen=True)
class Demonstrated(Result):
    """The run, and what was made of it unless it was interrupted."""

    run: "RunResult"
    minutes: float
    measured: Measured | None

    @property
    def exit_code(self) -> int:
        return self.run.report.exit_code

    def as_json(self) -> dict[str, Any]:
        if self.measured is None:
            return self.run.as_json()
        return self.run.as_json() | {
            "held_out": self.measured.score.as_json(),
            "baselines": self.measured.bits_per_byte,
            "completions": self.measured.completions,
            "report": str(self.measured.report),
        }

    def show(self) -> None:
        notes = stderr_console()
        from textwright.evaluation.compression import XZ

        run, measured = self.run, self.measured
        if measured is None:
            notes.show_command("interrupted; go on with:  ", "train", "--resume", run.run)
            return
        for item in measured.completions:
            notes.rule("a prompt and what the model makes of it")
            notes.print(item["prompt"], style="bold", end="")
            notes.print(item["text"])
        notes.rule()
        size = f"{measured.score.num_bytes:,} bytes of {measured.score.num_texts} documents"
        notes.print(f"held-out text, {size}, in bits per byte:")
        for name, bits in measured.bits_per_byte.items():
            notes.print(f"  {bits:6.3f}  {name}")
        notes.print(f"\n{run.report.summary}")
        if measured.score.bits_per_byte > measured.bits_per_byte.get(XZ, math.inf):
            for line in _why_behind(run, XZ):
                notes.print(line)
        notes.print(f"\n  run      {run.run}\n  model    {run.model}")
        notes.print(f"  report   {measured.report}   (open it in a browser)")
        notes.print("\nWhat to type next:")
        notes.show_command("  ", "generate", run.model, "def main():", "--temperature", 0.7)
        notes.show_command("  ", "demo", "--text", "YOUR_FILES", "--minutes", math.ceil(3 * self.minutes))


def demo(
    *,
    text: Annotated[tuple[Path, ...] | None, Parameter(consume_multiple=True, negative="")] = None,
    minutes: float = 3.0,
    out: Path = OWN_RUN,
    seed: int = 0,
    device: str = "auto",
) -> Demonstrated:
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
    """
    screen = stderr_console()
    if not 0 < minutes < math.inf:
        raise InputError(f"--minutes {minutes:g}", expected="more than 0")
    paths = tuple(text) if text else standard_library_files()
    subject = "your text" if text else f"{len(paths):,} files of Python's standard library"
    screen.print(f"textwright demo: {subject}, {minutes:g} minutes of training")
    with screen.announced("loading torch ..."):
        from textwright.api.runs import train_until_signal
    if out == OWN_RUN and is_run(out):
        Run(out).delete()
    config = demo_config(paths, minutes, seed, prompts=() if text else PROMPTS[:1])
    run = train_until_signal(config, out, device=device)
    measured = None if run.report.exit_code else measure(run, None if text else PROMPTS, seed=seed, device=device)
    return Demonstrated(run, minutes, measured)


def measure(run: "RunResult", prompts: tuple[str, ...] | None, *, seed: int, device: str) -> Measured:
    """How well the model of a run predicts and continues; also as the run's report.

    Args:
        run: finished.
        prompts: what is continued; beginnings of held-out documents when None.
        seed: of what is drawn.
        device: to compute on.
    """
    from textwright.api import load
    from textwright.api.run_result import write_report
    from textwright.engines.config import EngineConfig
    from textwright.engines.cpu.kernels import are_compiled
    from textwright.evaluation.compression import compressed_bits_per_byte
    from textwright.evaluation.token_n_gram import n_gram_bits_per_byte

    model = load(run.model, device=device)
    # Each token is read twice, in windows that overlap, and reading one takes a third of what learning from it takes.
    held_out = list(run.held_out_texts(max_tokens=int(MEASURING_S * run.report.tokens_per_s)))
    with bar("measuring on the held-out text", sum(len(one.encode()) for one in held_out), unit="bytes") as progress:
        score = model.evaluate(held_out, progress=progress)
    stderr_console().print("counting 5-grams, compressing with xz and zstd, and continuing three prompts ...")
    counted = n_gram_bits_per_byte(run.data.train, held_out, model.tokenizer)
    bits_per_byte = {"this model": score.bits_per_byte} | counted | compressed_bits_per_byte(held_out)
    if prompts is None:
        prompts = tuple(_beginning(document) for document in held_out[:3])
    # Kernels that are not compiled yet take longer to compile than the whole measuring may.
    engine = EngineConfig(engine="auto" if are_compiled() else "torch")
    completions = model.complete(prompts, engine=engine, max_new_tokens=80, temperature=0.7, top_p=0.95, seed=seed)
    shown = [{"prompt": completion.prompt, "text": completion.text} for completion in completions]
    report = write_report(run.run, metrics=bits_per_byte, completions=shown)
    return Measured(score, bits_per_byte, shown, report)


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
    """What the demo trains: a small GPT with a context of 256, on a BPE of at most 4096 tokens.

    In minutes a small model that reads much learns more than a larger one that reads a third of it.
    """
    preset = "nano" if minutes < LONG_MINUTES else "tiny"
    return RunConfig(
        data=paths,
        # The interpreter's own files hold a few that are not UTF-8 on purpose.
        invalid_utf8="replace",
        tokenizer="bpe:4096",
        sample_prompts=prompts,
        model=ModelOptions(preset=preset, context_length=256),
        training=TrainConfig(minutes=minutes, batch_size=8, seed=seed),
    )


def _beginning(text: str) -> str:
    """The first line or so of a text, to be continued."""
    return text.lstrip()[:200].split("\n")[0][:80]
