"""What text-generation programs promise, looked at in one run: ours, transformers, CTranslate2 and llama-cpp-python.

    python benchmarks/promises.py [--programs textwright transformers ...] [--python PATH] [--json]

One small GPT-2 with random weights and a BPE tokenizer of made-up words, made from a fixed seed, is given to every
program, each in a process of its own by this Python or by the one at ``--python``. A program whose packages are missing
there is a row that says so. Texts are compared with texts of the same program: alone and in company, on one thread and
on two, with guesses and without. What all are asked stands in ``promises/job.py``, how each is asked in a file of its
own there; what is not named there is left as the program has it.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch
from promises.job import NOT_OFFERED, TEMPERATURE, TOP_K, Job, same
from promises.making import make_job
from rich.table import Table

from textwright.checkpoint.model_folder import load_model
from textwright.core.console import stdout_console
from textwright.core.device import processor_name
from textwright.data.batch import Batch
from textwright.models.gpt.network import GPT

PROGRAMS = {
    "transformers": ("hugging_face", ("float32", "bfloat16")),
    "textwright": ("textwright_generate", ("float32", "bfloat16", "int8", "torch")),
    "ctranslate2": ("ctranslate2_generator", ("float32", "int8")),
    "llama-cpp-python": ("llama_cpp_python", ("F32", "Q8_0")),
}
"""The first one's beams are what the others' are put beside."""
EQUAL = {
    "company_greedy": "alone = in a batch, greedy",
    "company_drawn": "alone = in a batch, drawn with one seed",
    "threads": "1 thread = 2 threads",
    "draft": "a draft model changes nothing",
    "lookup": "prompt lookup changes nothing",
}
"""Of greedy texts, unless something else is said; how many of all prompts."""
BEHAVIOUR = {
    "beams_rare": "4 beams, 12 tokens: the 4 texts are the first program's",
    "beams_frequent": "the same, where one token in 10 ends a text",
    "stop": "a stop text that spans two tokens",
    "logprobs": f"log-probabilities at temperature {TEMPERATURE:g}, top-k {TOP_K}",
    "penalty": "what a repetition penalty counts",
    "seed": "the same seed again: the same text",
    "long_prompt": "a prompt longer than the context",
    "long_text": "16 tokens where the context has room for 4",
    "long_score": "log-probabilities of a text that fills the context; of a longer one",
}
FOLDER = Path(__file__).resolve().parent
CLOSE = 0.01
"""Nats between a log-probability and what it should be."""


def main() -> None:
    """Ask every program, and print what it answered."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--programs", nargs="+", choices=PROGRAMS, default=list(PROGRAMS))
    parser.add_argument("--python", default=sys.executable, help="has the packages; ours is always this one's")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        job = make_job(Path(folder))
        job.write(Path(folder) / "job.json")
        rows = [
            ask(program, precision, arguments.python, Path(folder) / "job.json")
            for program in arguments.programs
            for precision in PROGRAMS[program][1]
        ]
        compare(rows, job)
    found = {"rows": rows, "prompts": len(job.prompts), "new_tokens": job.new_tokens, "processor": processor_name()}
    if arguments.json:
        print(json.dumps(found))
    else:
        show(rows)


def ask(program: str, precision: str, python: str, job: Path) -> dict[str, Any]:
    """What a program answers: a row with its ``state`` and, where it could be run, ``version`` and ``values``."""
    module, _ = PROGRAMS[program]
    print(f"asking {program}, {precision}", file=sys.stderr)
    # A Python of --python may have none of ours: its modules are found by path.
    path = os.pathsep.join([str(FOLDER), str(FOLDER.parent / "src"), os.environ.get("PYTHONPATH", "")])
    finished = subprocess.run(
        [sys.executable if program == "textwright" else python, "-m", "promises.worker", module, precision, str(job)],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "2"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    row = {"program": program, "precision": precision}
    if finished.returncode:
        return row | {"state": f"ended with {finished.returncode}, and said why above"}
    answer = json.loads(finished.stdout.splitlines()[-1])
    if "missing" in answer:
        return row | {"state": f"not installed: {', '.join(answer['missing'])}"}
    return row | {"state": "asked"} | answer


def compare(rows: Sequence[dict[str, Any]], job: Job) -> None:
    """Put into words what only can be said of a program beside others or beside the model: beams, log-probabilities."""
    first = next((row for row in rows if isinstance(_value(row, "beams"), dict)), None)
    expected = first["values"]["beams"] if first else None
    model = cast(GPT, load_model(Path(job.model)).eval())
    for row in rows:
        beams, logprobs = _value(row, "beams"), _value(row, "logprobs")
        if beams is not None:
            for kind in ("rare", "frequent"):
                if row is first:
                    row["values"][f"beams_{kind}"] = "what the others are put beside"
                else:
                    in_words = same(beams[kind], expected[kind]) if isinstance(beams, dict) and expected else beams
                    row["values"][f"beams_{kind}"] = in_words
            del row["values"]["beams"]
        if isinstance(logprobs, dict):
            row["values"]["logprobs"] = kind_of_logprobs(model, logprobs)


def _value(row: dict[str, Any], name: str) -> Any:
    return row.get("values", {}).get(name)


@torch.inference_mode()
def kind_of_logprobs(model: GPT, found: dict[str, Any]) -> str:
    """Whose they are: the model's, or those after the temperature, or after top-k too.

    Args:
        found: ``prompts``, ``ids`` and what was ``reported``: token by token, or one sum for each text.
    """
    kinds = {"the model's": True, "after the temperature": True, "after temperature and top-k": True}
    for prompt, ids, reported in zip(found["prompts"], found["ids"], found["reported"], strict=True):
        batch = Batch.for_inputs(torch.tensor([[*prompt, *ids]]))
        hidden = model.hidden_states(model.embed(batch), batch)[0, len(prompt) - 1 : -1]
        raw = model.logits(hidden)
        warm = raw / TEMPERATURE
        kept = warm.masked_fill(warm < warm.topk(TOP_K).values[:, -1:], float("-inf"))
        for kind, logits in zip(kinds, (raw, warm, kept), strict=True):
            expected = logits.log_softmax(dim=-1)[torch.arange(len(ids)), ids]
            if isinstance(reported, float):
                expected = expected.sum()
            kinds[kind] &= bool((expected - torch.tensor(reported)).abs().max() < CLOSE)
    said = next((kind for kind, holds in kinds.items() if holds), "neither the model's nor filtered as asked")
    return f"{said}; beside them {found['beside']}" if "beside" in found else said


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Two tables: how many texts are equal, and what a program does."""
    console = stdout_console()
    equal = Table("", *EQUAL.values(), title="the same texts")
    for row in rows:
        values = row.get("values")
        cells = [str(values[name] or NOT_OFFERED) for name in EQUAL] if values else [row["state"]]
        equal.add_row(f"{row['program']} {row['precision']}", *cells)
    console.print(equal)
    for name, title in BEHAVIOUR.items():
        console.print(title)
        for row in rows:
            if _value(row, name) is not None:
                console.print(f"    {row['program']}: {row['values'][name]}")


if __name__ == "__main__":
    main()
