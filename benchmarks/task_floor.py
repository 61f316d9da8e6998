"""What ``task_speed.py`` could come to at best: the least that its examples cost here, beside what Hugging Face takes.

    python benchmarks/task_floor.py MODEL [--examples 500] [--new-tokens 96] [--hugging-face SECONDS] [--json]

An evaluation is run once and counted: how many tokens each step reads, and how many keys and values lie before them.
Then the parts are timed by themselves, each by the fastest there is here: the products of these sizes by torch's own,
which Hugging Face's run takes too; keys and values as memory that is read once, in order, on all cores; and what is
judged by sacrebleu alone. Their sum is what an engine without any other work would take.
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from public_text import public

from textwright.api.model import Model, load
from textwright.api.task_evaluation import evaluate_task
from textwright.core.device import processor_name
from textwright.engines.cpu.decoder import CPUDecoder
from textwright.evaluation.evaluation_folder import PREDICTIONS
from textwright.evaluation.metrics.base import Judged
from textwright.evaluation.metrics.catalog import find_metric
from textwright.tasks.catalog import find_task

TRIALS = 15
BYTES_READ = 1 << 29
"""Of memory, to time it by: more than any cache holds."""


def main() -> None:
    """Count, time and add up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", help="a folder of a GPT")
    parser.add_argument("--examples", type=int, default=500)
    parser.add_argument("--new-tokens", type=int, default=96)
    parser.add_argument("--hugging-face", type=float, help="seconds that task_speed.py found for it")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    model = load(options.model)
    with tempfile.TemporaryDirectory() as folder:
        seconds, counts, keys = counted(model, options, Path(folder))
        judging_s = judged_alone(Path(folder))
    config: Any = model.network.config
    bytes_of_cache = keys * config.num_layers * 2 * config.num_key_value_heads * config.head_dim * 4
    shapes = [tuple(weight.shape) for name, weight in model.network.blocks[0].named_parameters() if weight.ndim == 2]
    head = tuple(model.network.head_weight.shape)
    read, written = counts
    floor = {
        "products_s": sum(times * config.num_layers * product_s(n, shapes) for n, times in read.items())
        + sum(times * product_s(n, [head]) for n, times in written.items()),
        "cache_s": bytes_of_cache / bytes_per_s(),
        "judging_s": judging_s,
    }
    found = {
        "processor": processor_name(),
        "tokens_read": sum(n * times for n, times in read.items()),
        "logits_made": sum(n * times for n, times in written.items()),
        "cache_bytes": bytes_of_cache,
        "ours_s": seconds,
        "floor": floor,
        "floor_s": sum(floor.values()),
    }
    if options.hugging_face:
        found["best_ratio"] = options.hugging_face / found["floor_s"]
    print(json.dumps(found) if options.json else found)


def counted(
    model: Model, options: argparse.Namespace, folder: Path
) -> tuple[float, tuple[Counter[int], Counter[int]], int]:
    """Seconds of an evaluation; how often how many tokens were read, and logits made; and keys that were read."""
    read, written, keys = Counter[int](), Counter[int](), 0
    extend, logits = CPUDecoder.extend_packed, CPUDecoder.logits

    def extend_counted(self: CPUDecoder, ids: Any, lengths: Any, cache: Any, slots: Any, *others: Any) -> Any:
        nonlocal keys
        read[sum(lengths)] += 1
        keys += sum(cache.length(slot) + length for slot, length in zip(slots, lengths, strict=True))
        return extend(self, ids, lengths, cache, slots, *others)

    def logits_counted(self: CPUDecoder, hidden: Any) -> Any:
        written[hidden[..., 0].numel()] += 1
        return logits(self, hidden)

    task = find_task("data_to_text")
    task.stop = ()
    CPUDecoder.extend_packed, CPUDecoder.logits = extend_counted, logits_counted  # type: ignore[method-assign,assignment]
    try:
        begun_s = time.perf_counter()
        how: dict[str, Any] = {"limit": options.examples, "max_new_tokens": options.new_tokens, "metrics": ["chrf"]}
        evaluate_task(model, task, public("e2e/testset_w_refs.csv.gz"), out=folder / "out", quiet=True, **how)
        return time.perf_counter() - begun_s, (read, written), keys
    finally:
        CPUDecoder.extend_packed, CPUDecoder.logits = extend, logits  # type: ignore[method-assign]


def judged_alone(folder: Path) -> float:
    """Seconds of sacrebleu's chrF."""
    rows = map(json.loads, (folder / "out" / PREDICTIONS).read_text().splitlines())
    judged = [Judged(row["prediction"], tuple(row["references"])) for row in rows]
    return fastest(lambda: find_metric("chrf").measure(judged), 2)


def product_s(n: int, shapes: list[tuple[int, ...]]) -> float:
    """Seconds of ``n`` inputs times matrices of these shapes, one after the other."""
    total = 0.0
    for rows, columns in shapes:
        inputs, matrix = torch.randn(n, columns), torch.randn(rows, columns)
        total += fastest(lambda inputs=inputs, matrix=matrix: torch.nn.functional.linear(inputs, matrix), TRIALS)  # type: ignore[misc]
    return total


def bytes_per_s() -> float:
    """How fast memory is read in order, on all cores."""
    values = torch.ones(BYTES_READ // 4)
    return BYTES_READ / fastest(lambda: values.sum(), TRIALS)


def fastest(action: Callable[[], object], times: int) -> float:
    """Seconds of the fastest of so many calls."""
    taken = []
    for _ in range(times):
        begun_s = time.perf_counter()
        action()
        taken.append(time.perf_counter() - begun_s)
    return min(taken)


if __name__ == "__main__":
    main()
