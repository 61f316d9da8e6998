"""The README's Python and the whole tutorial run, with fewer steps and a smaller model."""

import contextlib
import io
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from textwright.cli import build_app

Blocks = Callable[[Path, str], list[str]]
Commands = Callable[[Path], list[str]]

QUICK = "--batch-size 2 --sequence-length 32 --evaluate-every 4"
SMALLER = {
    # what the document says -> what is run here. Every one must occur, so that none outlives its line.
    "--vocab-size 2048": "--vocab-size 300",
    "--minutes 10 --out runs/manual": f"--steps 4 {QUICK} --out runs/manual",
    ".preset tiny": ".preset nano",
    "--steps 3000": "--steps 6",
    "--epochs 10": f"--steps 2 {QUICK} --no-compile",
    "--minutes 3 --out": f"--steps 2 {QUICK} --out",
    "bpe:2048 --model.preset qwen3-tiny --minutes 10": f"bpe:300 --model.preset qwen3-nano --steps 2 {QUICK}",
    "--max-new-tokens 100": "--max-new-tokens 8",
    "--max-new-tokens 40": "--max-new-tokens 8",
}


def textwright(line: str, folder: Path) -> str:
    """Run one command line in the folder; its standard output. In this process, so that torch is imported once."""
    words = shlex.split(line)
    assert words[0] == "textwright"
    output = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(output), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.StringIO("Hello\n/retry\n"))
        code = build_app()(words[1:])
    assert not code, line
    return output.getvalue()


@pytest.fixture(scope="session")
def tutorial_folder(tmp_path_factory: pytest.TempPathFactory, root: Path, code_blocks: Blocks) -> Path:
    """A folder with the tutorial's texts, a few of them, and its mails, written by its own first and last block."""
    folder = tmp_path_factory.mktemp("tutorial")
    first, *_, last = code_blocks(root / "docs" / "tutorial.md", "python")
    python(first, folder)
    python(last, folder)
    for group, keep in (("texts", 12), ("unseen", 1)):
        for path in sorted((folder / group).iterdir(), key=lambda path: path.stat().st_size)[keep:]:
            path.unlink()
    return folder


def python(program: str, folder: Path) -> dict[str, object]:
    """Run a block as if typed in the folder; its names."""
    names: dict[str, object] = {}
    with contextlib.chdir(folder):
        exec(compile(program, "document", "exec"), names)
    return names


@pytest.fixture(scope="session")
def trained(tutorial_folder: Path, root: Path, commands: Commands) -> Path:
    """The folder after every command of the tutorial."""
    used = set()
    for line in commands(root / "docs" / "tutorial.md"):
        for said, run in SMALLER.items():
            if said in line:
                line = line.replace(said, run)
                used.add(said)
        textwright(line, tutorial_folder)
    assert used == set(SMALLER)
    return tutorial_folder


def test_the_tutorials_commands_run_and_leave_what_it_says(trained: Path) -> None:
    assert (trained / "runs" / "manual" / "model" / "model.safetensors").is_file()
    assert (trained / "runs" / "manual" / "report.html").is_file()
    assert (trained / "runs" / "mails" / "report.html").is_file()
    assert (trained / "runs" / "qwen3" / "model" / "config.json").is_file()
    assert not (trained / "runs" / "characters").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_the_tutorials_python_runs(
    trained: Path, root: Path, code_blocks: Blocks, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, transformers = code_blocks(root / "docs" / "tutorial.md", "python")[1:3]
    names = python(ours.replace("steps=20", "steps=2"), trained)
    assert isinstance(names["completion"], str)
    assert len(names["vectors"]) == 2  # type: ignore[arg-type]
    assert (trained / "runs" / "manual-breakfast" / "config.json").is_file()
    python(transformers, trained)
    assert "import" in capsys.readouterr().out


def test_the_readmes_five_lines_run(
    trained: Path, root: Path, code_blocks: Blocks, capsys: pytest.CaptureFixture[str]
) -> None:
    (program,) = code_blocks(root / "README.md", "python")
    quick = program.replace("runs/demo/model", "runs/manual/model").replace('sentence two"]', 'sentence two"], steps=3')
    assert quick.count("steps=3") == 1
    python(quick, trained)
    perplexity, *_ = capsys.readouterr().out.splitlines()
    assert float(perplexity) > 1


def test_classify_and_cluster_run_as_the_document_says(
    trained: Path, root: Path, commands: Commands, code_blocks: Blocks
) -> None:
    document = root / "docs" / "classify.md"
    table = code_blocks(document, "text")[1]
    for name in ("kinds.tsv", "more.tsv"):
        (trained / name).write_text(
            table + "".join(f"one more rate {n}\tmoney\none more card {n}\tcard\n" for n in range(9))
        )
    (trained / "runs" / "mine").symlink_to(trained / "runs" / "manual")
    for line in commands(document):
        textwright(line, trained)
    assert {path.name for path in (trained / "kinds").iterdir()} == {
        "classifier.json",
        "classifier.safetensors",
        "predictions.jsonl",
    }
    (program,) = code_blocks(document, "python")
    python(program, trained)
