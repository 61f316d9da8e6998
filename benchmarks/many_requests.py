"""Many requests at once: what joining and leaving cost, mixed streams beside equal ones, prompts, searches, scoring.

    python benchmarks/many_requests.py [--other OLD/src] [--turns 5] [--slices 1] [--only joins mixed ...] [--json]

GPT-2's shape with random weights, float32, our kernels. ``joins``: what a request that joins fifteen others, or leaves
them, costs beside the reading of its prompt. ``mixed``: tokens a second of sixteen streams whose prompts are of
different lengths, beside sixteen equal ones. ``scoring``: two hundred texts that share 300 tokens, beside their ends.
The others are this build beside another, taking turns, through ``generate``: ``prompts``, sixty-four of 8 to 512
tokens with 4 to 100 new ones each; ``one`` and ``sixteen`` streams; the ``first`` token after a prompt of 512; one
stream of ``nano``, so small that everything else counts; ``beams``, four; ``contrastive``.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch

from textwright.core.device import processor_name

HERE = Path(__file__).parent.parent / "src"


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--other", type=Path, help="sources of another build")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--slices", type=int, default=1, help="of each build in a turn, one after the other")
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--prompt-tokens", type=int, help="instead of the job's own, but for 'prompts'")
    parser.add_argument("--new-tokens", type=int, help="instead of the job's own")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments.prompt_tokens, arguments.new_tokens)
        return
    found: dict[str, Any] = {"processor": processor_name(), "threads": torch.get_num_threads()}
    for name in arguments.only:
        found[name] = MEASURES[name](arguments)
        print(name, json.dumps(found[name]), file=sys.stderr, flush=True)
    if arguments.json:
        print(json.dumps(found))


def decoder(size: str = "gpt2") -> Any:
    """GPT-2's shape, or a smaller one, on our kernels."""
    from textwright.engines.cpu.decoder import CPUDecoder
    from textwright.models.catalog import build
    from textwright.models.presets import preset

    return CPUDecoder(build(preset(size, vocab_size=VOCAB_SIZES[size]), seed=0).eval())  # type: ignore[arg-type]


def byte_tokenizer() -> Any:
    """Any tokenizer will do: the weights are random."""
    from textwright.tokens import make_tokenizer

    return make_tokenizer("byte", lambda: iter(()))


def prompt(length: int, seed: int) -> str:
    """A text of so many bytes, none like another."""
    return "".join(random.Random(seed).choices("abcdefghijklmnopqrstuvwxyz", k=length))


def joins(arguments: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of everything in a step but the model's own reading, where one joins or leaves fifteen others."""
    from textwright.generation.request import Request, SamplingConfig
    from textwright.generation.scheduler import Scheduler

    class Timed:
        """A decoder whose own work is not counted."""

        def __init__(self, inner: Any) -> None:
            self._inner, self.seconds = inner, 0.0

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        def extend(self, *given: Any) -> Any:
            begun = time.perf_counter()
            try:
                return self._inner.extend(*given)
            finally:
                self.seconds += time.perf_counter() - begun

        def logits(self, hidden: Any) -> Any:
            begun = time.perf_counter()
            try:
                return self._inner.logits(hidden)
            finally:
                self.seconds += time.perf_counter() - begun

    timed = Timed(decoder())
    sampling = SamplingConfig(max_new_tokens=500, temperature=0, logit_bias={256: -100})
    steady, joining, leaving = list[float](), list[float](), list[float]()
    for turn in range(max(3, arguments.turns)):
        scheduler = Scheduler(timed, byte_tokenizer(), num_slots=16)
        for number in range(15):
            scheduler.add(Request(prompt(300, 100 * turn + number), sampling))
        while scheduler._waiting or scheduler._prefilling:
            scheduler.step()

        def step(work: Callable[[], Any] = lambda: None, scheduler: Any = scheduler) -> float:
            timed.seconds, begun = 0.0, time.perf_counter()
            work()
            scheduler.step()
            return 1000 * (time.perf_counter() - begun - timed.seconds)

        steady += [step() for _ in range(8)]
        newcomer = prompt(300, 100 * turn + 99)
        joining.append(step(lambda scheduler=scheduler, text=newcomer: scheduler.add(Request(text, sampling))))
        steady += [step() for _ in range(4)]
        leaving.append(step(lambda scheduler=scheduler: scheduler.cancel(3)))
    usual = statistics.median(steady)
    return {
        "step_ms": usual,
        "joining_ms_more": statistics.median(joining) - usual,
        "leaving_ms_more": statistics.median(leaving) - usual,
        "joining_ms_more_worst": max(joining) - usual,
        "leaving_ms_more_worst": max(leaving) - usual,
    }


def mixed(arguments: argparse.Namespace) -> dict[str, float]:
    """Tokens a second while sixteen run: of prompts of 16 to 480 tokens, beside sixteen of 248, which is their mean."""
    from textwright.generation.request import Request, SamplingConfig
    from textwright.generation.scheduler import Scheduler

    engine, tokenizer = decoder(), byte_tokenizer()
    lengths = {"mixed": [16 + 464 * n // 15 for n in range(16)], "equal": [248] * 16}
    rates: dict[str, list[float]] = {name: [] for name in lengths}
    for turn in range(arguments.turns):
        for name in sorted(lengths, reverse=bool(turn % 2)):
            scheduler = Scheduler(engine, tokenizer, num_slots=16)
            for number, length in enumerate(lengths[name]):
                settings = (
                    {"temperature": number % 3 / 2, "top_k": 40 if number % 3 == 1 else None} if name == "mixed" else {}
                )
                sampling = SamplingConfig.model_validate({"max_new_tokens": 400, "logit_bias": {256: -100}} | settings)
                scheduler.add(Request(prompt(length, 100 * turn + number), sampling))
            while scheduler._waiting or scheduler._prefilling:
                scheduler.step()
            begun = time.perf_counter()
            for _ in range(24):
                scheduler.step()
            rates[name].append(16 * 24 / (time.perf_counter() - begun))
    ratios = [one / other for one, other in zip(rates["mixed"], rates["equal"], strict=True)]
    return {name: statistics.median(some) for name, some in rates.items()} | {"ratio": statistics.median(ratios)}


def workload() -> list[tuple[str, int]]:
    """Prompts and how many tokens each gets."""
    draw = random.Random(7)
    return [(prompt(int(8 * 64 ** draw.random()), 1000 + n), draw.randint(4, 100)) for n in range(64)]


VOCAB_SIZES = {"gpt2": 50257, "nano": 257}


class Job(NamedTuple):
    """What a turn writes."""

    num_prompts: int
    num_new_tokens: int
    settings: dict[str, Any]
    num_prompt_tokens: int = 64
    preset: str = "gpt2"
    times: int = 1


GREEDY = {"temperature": 0}
JOBS = {
    "one": Job(1, 64, GREEDY),
    "sixteen": Job(16, 64, {"temperature": 0.8, "top_k": 40}),
    "first": Job(1, 1, GREEDY, num_prompt_tokens=512),
    "nano": Job(1, 60, GREEDY, num_prompt_tokens=4, preset="nano", times=30),
    "beams": Job(1, 48, {"num_beams": 4}),
    "contrastive": Job(2, 32, {"penalty_alpha": 0.6}),
}


def work(job: str, prompt_tokens: int | None, new_tokens: int | None) -> None:
    """One build's turns: a line in, the seconds out."""
    from textwright.generation.request import SamplingConfig

    tokenizer, never_ends = byte_tokenizer(), {"logit_bias": {256: -100}}
    given = JOBS.get(job, Job(64, 0, {}))
    given = given._replace(
        num_prompt_tokens=prompt_tokens or given.num_prompt_tokens, num_new_tokens=new_tokens or given.num_new_tokens
    )
    engine, generate = engine_and_generate(given.preset)
    if job == "prompts":
        run = prompts_job(engine, tokenizer, generate)
    else:
        sampling = SamplingConfig.model_validate(given.settings | never_ends | {"max_new_tokens": given.num_new_tokens})
        texts = [prompt(given.num_prompt_tokens, number) for number in range(given.num_prompts)]

        def run() -> None:
            for _ in range(given.times):
                generate(engine, tokenizer, texts, sampling)

    run()
    for _ in sys.stdin:
        begun = time.perf_counter()
        run()
        print(time.perf_counter() - begun, flush=True)


def engine_and_generate(size: str) -> tuple[Any, Any]:
    """Of whichever build this is: one before the scheduler has its modules elsewhere."""
    try:
        return decoder(size), import_module("textwright.generation.generate").generate
    except ModuleNotFoundError:
        from textwright.models.catalog import build
        from textwright.models.presets import preset

        engines = import_module("textwright.generation.cpu_decoder")
        engine = engines.CPUDecoder(build(preset(size, vocab_size=VOCAB_SIZES[size]), seed=0).eval())
        return engine, import_module("textwright.generation.engine").generate


def prompts_job(engine: Any, tokenizer: Any, generate: Any) -> Callable[[], None]:
    """Texts that end at different lengths; before the scheduler only rows could, not requests."""
    from textwright.generation.request import SamplingConfig

    never_ends = {"temperature": 0, "logit_bias": {256: -100}}
    sampled = [(text, SamplingConfig.model_validate(never_ends | {"max_new_tokens": n})) for text, n in workload()]
    try:
        from textwright.generation.request import Request
    except ImportError:
        old = {name: import_module(f"textwright.generation.{name}") for name in ("loop", "filters", "row")}
        shared = sampled[0][1]

        def run_rows() -> None:
            rows = [old["row"].Row(text, 0, tokenizer, sampling, lambda _: None) for text, sampling in sampled]
            with engine.at_work():
                filters = old["filters"].make_filters(shared, tokenizer)
                old["loop"].write(engine, rows, shared, filters, vocab_size=tokenizer.vocab_size)

        return run_rows
    asked = [Request(text, sampling) for text, sampling in sampled]
    return lambda: generate(engine, tokenizer, asked, SamplingConfig())


def beside_another(job: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds of this build and of another, taking turns."""
    builds = {"this": HERE} | ({"other": arguments.other.resolve()} if arguments.other else {})
    lengths = {"--prompt-tokens": arguments.prompt_tokens, "--new-tokens": arguments.new_tokens}
    options = [f"{option}={length}" for option, length in lengths.items() if length is not None]
    workers = {name: start(source, job, options) for name, source in builds.items()}
    seconds: dict[str, list[float]] = {name: [] for name in builds}
    for turn in range(arguments.turns):
        for taken in seconds.values():
            taken.append(0.0)
        for number in range(arguments.slices):
            for name in sorted(workers, reverse=bool((turn + number) % 2)):
                worker = workers[name]
                assert worker.stdin is not None
                assert worker.stdout is not None
                worker.stdin.write("go\n")
                worker.stdin.flush()
                seconds[name][-1] += float(worker.stdout.readline())
    for worker in workers.values():
        worker.kill()
        worker.wait()
    found: dict[str, Any] = {"seconds": {name: statistics.median(some) for name, some in seconds.items()}}
    if arguments.other:
        ratios = [other / this for this, other in zip(seconds["this"], seconds["other"], strict=True)]
        found["speed_quartiles"] = statistics.quantiles(ratios, n=4)
    return found


def start(source: Path, job: str, options: Sequence[str]) -> "subprocess.Popen[str]":
    """A worker of one build."""
    return subprocess.Popen(
        [sys.executable, __file__, "--worker", job, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(source)},
    )


def scoring(arguments: argparse.Namespace) -> dict[str, float]:
    """Seconds for 200 texts that share 300 tokens and end in 10 to 30 of their own, beside their ends by themselves."""
    from textwright.generation.scoring import ScoredText, score

    engine, draw = decoder(), random.Random(3)
    start_ids = [draw.randrange(50000) for _ in range(300)]
    ends = [[draw.randrange(50000) for _ in range(draw.randint(10, 30))] for _ in range(200)]
    jobs: dict[str, Sequence[ScoredText]] = {
        "whole": [ScoredText([*start_ids, *end], len(start_ids)) for end in ends],
        "ends": [ScoredText([start_ids[-1], *end], 1) for end in ends],
    }
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(arguments.turns):
        for name in sorted(jobs, reverse=bool(turn % 2)):
            begun = time.perf_counter()
            list(score(engine, jobs[name]))
            seconds[name].append(time.perf_counter() - begun)
    ratios = [whole / alone for whole, alone in zip(seconds["whole"], seconds["ends"], strict=True)]
    return {name: statistics.median(some) for name, some in seconds.items()} | {"ratio": statistics.median(ratios)}


MEASURES: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "joins": joins,
    "mixed": mixed,
    "scoring": scoring,
    "prompts": partial(beside_another, "prompts"),
    **{job: partial(beside_another, job) for job in JOBS},
}

if __name__ == "__main__":
    main()
