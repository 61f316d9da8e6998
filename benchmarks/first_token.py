"""How long from the start of ``textwright generate`` to its first token, beside the import of torch alone.

    python benchmarks/first_token.py [MODEL] [--precision int8] [--turns 9] [--json]

Both are started in turns. The clock starts before the interpreter does, and stops when the first token of the text is
on the terminal, or when the process that imports torch has ended. Without a model it is a GPT-2 of 124 M parameters
with random weights, as transformers writes it, and GPT-2's tokenizer, in a temporary folder. A start of each before the
first turn is not counted: it finds caches empty.
"""

import argparse
import json
import os
import pty
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from textwright.core.device import processor_name

PROMPT = "The old man looked at the sea and at the ships in the harbour, and he thought of"
OURS = (sys.executable, "-m", "textwright", "generate")


def main() -> None:
    """Start them, and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or make_model(Path(folder))
        tries = [(import_s(), first_token_s(model, options.precision)) for _ in range(1 + options.turns)][1:]
    torch_s, ours_s = (statistics.median(some) for some in zip(*tries, strict=True))
    ratios = statistics.quantiles([ours / torch for torch, ours in tries], n=4)
    found = {"import_torch_s": torch_s, "first_token_s": ours_s, "ratio": ratios[1], "quartiles": ratios[::2]}
    found |= {"precision": options.precision, "turns": options.turns, "processor": processor_name()}
    if options.json:
        print(json.dumps(found))
        return
    print(f"import torch {torch_s:.2f} s, to the first token {ours_s:.2f} s: ", end="")
    print(f"{ratios[1]:.2f} times (quartiles {ratios[0]:.2f} and {ratios[2]:.2f}, {options.turns} turns)")


def import_s() -> float:
    """Seconds that ``import torch`` takes, start and end of the interpreter included."""
    begun_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.perf_counter() - begun_s


def first_token_s(model: Path, precision: str) -> float:
    """Seconds until the text is more than its prompt."""
    controller, terminal = pty.openpty()
    asked = [str(model), PROMPT, "--max-new-tokens", "2", "--seed", "1", "--engine", "cpu", "--precision", precision]
    begun_s = time.perf_counter()
    process = subprocess.Popen([*OURS, *asked], stdout=terminal, stderr=subprocess.DEVNULL)
    os.close(terminal)
    written = b""
    try:
        while len(written) <= len(PROMPT):
            written += os.read(controller, 1024)
        seconds = time.perf_counter() - begun_s
        while os.read(controller, 1024):
            pass
    except OSError:  # the terminal was closed at its other end
        pass
    os.close(controller)
    if process.wait() != 0 or len(written) <= len(PROMPT):
        sys.exit(f"{' '.join(OURS)} did not write a text")
    return seconds


def make_model(folder: Path) -> Path:
    """GPT-2's shape with random weights, as transformers writes it, and its own tokenizer."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = Path(os.environ.get("TEXTWRIGHT_DATA", "../shared/data")) / "gpt2-bpe"
    if not tokenizer.is_dir():
        sys.exit(f"there is no {tokenizer}: set TEXTWRIGHT_DATA, or name a model")
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config()).save_pretrained(folder)
    for name in ("encoder.json", "vocab.bpe"):
        shutil.copyfile(tokenizer / name, folder / name)
    return folder


if __name__ == "__main__":
    main()
