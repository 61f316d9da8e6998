"""A process that does small training runs in children of its own, so that each costs a tenth of a second.

    LD_PRELOAD=shim.so python harness.py TEXT...

Reads one JSON object a line and answers each with one. Everything is imported and compiled before the first child.
"""

import ctypes
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import textwright.api.run_callbacks as run_callbacks
import textwright.api.runs as runs
from textwright.api.config import ModelOptions, RunConfig
from textwright.core.errors import TextwrightError
from textwright.models.gpt.config import GPTConfig
from textwright.models.presets import preset
from textwright.runs.run_folder import is_run
from textwright.training.config import TrainConfig


def small(name: str, **choices: Any) -> GPTConfig:
    """A preset with two layers, 32 wide."""
    shape = {
        "num_layers": 2,
        "hidden_size": 32,
        "num_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "intermediate_size": 64,
    }
    return preset(name, **choices).model_copy(update=shape)


def config(text: Path, steps: int) -> RunConfig:
    """Dropout, Muon, gradient accumulation, bfloat16 and compilation on."""
    return RunConfig(
        data=(text,),
        tokenizer="char",
        model=ModelOptions(preset="nano", context_length=32, dropout=0.1),
        training=TrainConfig(
            steps=steps,
            batch_size=4,
            micro_batch_size=2,
            sequence_length=32,
            precision="bfloat16",
            compile=True,
            evaluate_every=2,
            max_eval_tokens=256,
            sample_every=4,
            checkpoint_every=2,
            loss_spike_threshold=6.0,
        ),
    )


def work(order: dict[str, Any]) -> None:
    """Begin the run, or go on with it."""
    folder = Path(order["folder"])
    shim = ctypes.CDLL(None)
    shim.shim_begin.argtypes = [ctypes.c_long, ctypes.c_char_p]
    os.environ["SHIM_FOLDER"] = str(folder.parent)
    log = order.get("log")
    shim.shim_begin(order.get("kill_at", 0), log.encode() if log else None)
    if is_run(folder):
        runs.resume(folder, steps=order.get("more"), quiet=True)
    else:
        runs.train(config(Path(order["text"]), order["steps"]), folder, quiet=True)


def child(order: dict[str, Any]) -> None:
    code = 0
    try:
        work(order)
    except (TextwrightError, OSError) as error:
        print(error, file=sys.stderr)
        code = 2
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    torch.set_num_threads(1)
    runs.preset = small  # type: ignore[assignment]
    run_callbacks.SAMPLE = run_callbacks.SAMPLE.model_copy(update={"max_new_tokens": 8})
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        text.write_text(sys.argv[1])
        runs.train(config(text, 4), Path(folder) / "warm", quiet=True)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            child(order)
        if "kill_after_s" in order:
            time.sleep(order["kill_after_s"])
            os.kill(pid, signal.SIGKILL)
        if "stop_for_s" in order:
            time.sleep(random.random() * 0.1)
            os.kill(pid, signal.SIGSTOP)
            time.sleep(order["stop_for_s"])
            os.kill(pid, signal.SIGCONT)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    main()
