"""The command line answers at once, and mistakes get one line and exit code 2."""

import importlib
import subprocess
import sys
import time

import pytest

from textwright.cli import VERBS


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "textwright", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_of_the_table_is_there(verb: str) -> None:
    module, function = VERBS[verb][0].split(":")
    assert callable(getattr(importlib.import_module(f"textwright.commands.{module}"), function))


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\nfrom textwright.cli import main\nsys.argv = ['textwright', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'numba', 'daft', 'tokenizers', 'pyarrow', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


@pytest.mark.parametrize("arguments", [["--help"], ["trian"]])
def test_help_and_a_mistyped_verb_answer_within_half_a_second(arguments: list[str]) -> None:
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        run(*arguments)
        times.append(time.perf_counter() - begin)
    assert min(times) < 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "did you mean 'train'?"),
        (["tokenizer", "inspcet"], "did you mean 'inspect'?"),
        (["train", "--stepz", "3"], "--stepz"),
    ],
)
def test_a_typing_mistake_is_one_line_with_exit_code_2(arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
