"""A task's predictions beside Hugging Face's ``generate``: the same model, prompts and texts, in turns.

    python benchmarks/task_speed.py [MODEL] [--preset small] [--examples 500] [--new-tokens 96] [--turns 3] [--json]

E2E's test set, greedy, float32: a model that was trained on its pairs, whose texts end where it ends them. Without one
it is a preset with random weights and GPT-2's tokenizer, and every text has all its tokens. Ours takes the examples as
``evaluate --task`` does: predictions written as they come, and judged. Hugging Face's takes the batch size, of several,
that is the fastest on the first examples, and has its prompts sorted by length, so that little is padded; what it
writes is not judged.
"""

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from public_text import public
from transformers import AutoModelForCausalLM

from textwright.api.model import Model, load
from textwright.api.task_evaluation import evaluate_task
from textwright.core.device import processor_name
from textwright.engines.config import EngineConfig
from textwright.evaluation.evaluation_folder import PREDICTIONS
from textwright.models.catalog import build
from textwright.models.presets import preset
from textwright.tasks.catalog import find_task
from textwright.tokens import load_tokenizer

BATCH_SIZES = (8, 16, 32, 64, 128)
NUM_TRIED = 128
"""Prompts, for each of these."""


def main() -> None:
    """Let both take turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", nargs="?", help="a folder")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--examples", type=int, default=500)
    parser.add_argument("--new-tokens", type=int, default=96)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    model = load(arguments.model) if arguments.model else random_model(arguments.preset)
    tokenizer = model.tokenizer
    data = public("e2e/testset_w_refs.csv.gz")
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model")
        theirs = AutoModelForCausalLM.from_pretrained(str(Path(folder) / "model"), dtype=torch.float32).eval()
        task = find_task("data_to_text")
        task.stop = ()  # Hugging Face's stop at the end token alone
        examples = list(task.examples([data]))[: arguments.examples]
        prompts = [tokenizer.encode(example.prompt) for example in examples]
        runs = {
            "ours": ours(model, task, data, arguments, Path(folder)),
            "hugging_face": hugging_face(theirs, prompts, arguments, tokenizer.end_id),
        }
        model.decoder(EngineConfig())  # its kernels are compiled once on a machine, not once an evaluation
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        texts: dict[str, list[list[int]]] = {}
        for turn in range(arguments.turns):
            for name in sorted(runs, reverse=bool(turn % 2)):
                begun_s = time.perf_counter()
                texts[name] = runs[name]()
                seconds[name].append(time.perf_counter() - begun_s)
    same = sum(one == other for one, other in zip(texts["ours"], texts["hugging_face"], strict=True))
    ratios = [theirs_s / ours_s for ours_s, theirs_s in zip(seconds["ours"], seconds["hugging_face"], strict=True)]
    found = {
        "processor": processor_name(),
        "seconds": {name: statistics.median(some) for name, some in seconds.items()},
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "same_texts": same,
        "examples": len(examples),
    }
    print(json.dumps(found) if arguments.json else found)


def random_model(name: str) -> Model:
    """A preset with GPT-2's tokenizer."""
    tokenizer = load_tokenizer(public("gpt2-bpe"))
    return Model(build(preset(name, vocab_size=tokenizer.vocab_size), seed=0).eval(), tokenizer)


def ours(
    model: Model, task: object, data: Path, arguments: argparse.Namespace, folder: Path
) -> Callable[[], list[list[int]]]:
    """A whole evaluation, into a new folder each time."""
    times = iter(range(1000))

    def run() -> list[list[int]]:
        out = folder / f"out-{next(times)}"
        bias = {} if arguments.model else {"logit_bias": {model.tokenizer.end_id: -100.0}}
        evaluate_task(
            model,
            task,  # type: ignore[arg-type]
            data,
            out=out,
            limit=arguments.examples,
            max_new_tokens=arguments.new_tokens,
            metrics=["chrf"],
            quiet=True,
            **bias,
        )
        rows = sorted(map(json.loads, (out / PREDICTIONS).read_text().splitlines()), key=lambda row: row["place"])
        return [model.tokenizer.encode(row["text"]) for row in rows]

    return run


def hugging_face(
    model: torch.nn.Module, prompts: Sequence[list[int]], arguments: argparse.Namespace, end_id: int
) -> Callable[[], list[list[int]]]:
    """``generate`` with the batch size that is the fastest on the first prompts."""
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))

    @torch.inference_mode()
    def write(places: Sequence[int], batch_size: int) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for first in range(0, len(places), batch_size):
            some = [prompts[place] for place in places[first : first + batch_size]]
            longest = max(map(len, some))
            ids = torch.tensor([[end_id] * (longest - len(row)) + row for row in some])
            mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in some])
            options = {"max_new_tokens": arguments.new_tokens, "do_sample": False, "eos_token_id": end_id}
            if not arguments.model:
                options["suppress_tokens"] = [end_id]
            made = model.generate(ids, attention_mask=mask, pad_token_id=end_id, **options)  # type: ignore[operator]
            texts = [itertools.takewhile(lambda token: token != end_id, row) for row in made[:, longest:].tolist()]
            found |= zip(places[first : first + batch_size], map(list, texts), strict=True)
        return found

    speeds, middle = {}, max(0, (len(order) - NUM_TRIED) // 2)
    tried = order[middle : middle + NUM_TRIED]
    for batch_size in BATCH_SIZES:
        begun_s = time.perf_counter()
        write(tried, batch_size)
        speeds[batch_size] = time.perf_counter() - begun_s
    best = min(speeds, key=speeds.__getitem__)
    print(f"Hugging Face: batches of {best} ({speeds})", file=sys.stderr, flush=True)

    def run() -> list[list[int]]:
        found = write(order, best)
        return [found[place] for place in range(len(prompts))]

    return run


if __name__ == "__main__":
    main()
