"""What guessing ahead is worth: tokens/s with a draft model, with prompt lookup and without, and how much is accepted.

    python benchmarks/speculation.py MODEL DRAFT TEXT [--prompts 6] [--new-tokens 200] [--drafted 3] [--json]
    python benchmarks/speculation.py MODEL DRAFT TEXT --samples 100000

TEXT is one that neither model was trained on; prompts of 64 tokens are taken from it at even distances. Ways take
turns, text by text; tokens/s are medians of the turns, ratios are given for each, from the least. With ``--samples``
three tokens are written so many times, with and without the draft, and the counts of what came out are compared by a
chi-square test of two samples.
"""

import argparse
import json
import math
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textwright.api import load
from textwright.api.model import Model
from textwright.core.device import processor_name
from textwright.engines.config import EngineConfig
from textwright.generation.request import Completion
from textwright.generation.speculative import Speculation

PROMPT_TOKENS = 64
KERNELS = EngineConfig(engine="cpu")


def main() -> None:
    """Measure speed, or compare samples."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model")
    parser.add_argument("draft")
    parser.add_argument("text", type=Path)
    parser.add_argument("--prompts", type=int, default=6)
    parser.add_argument("--new-tokens", type=int, default=200)
    parser.add_argument("--drafted", type=int, default=3)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--samples", type=int)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    model, draft = load(arguments.model), load(arguments.draft)
    ids = model.tokenizer.encode(arguments.text.read_text(encoding="utf-8"))
    step = (len(ids) - PROMPT_TOKENS) // arguments.prompts
    prompts = [model.tokenizer.decode(ids[n * step : n * step + PROMPT_TOKENS]) for n in range(arguments.prompts)]
    if arguments.samples is not None:
        found = compare_samples(model, draft, prompts[0], arguments.samples)
    else:
        found = measure(model, draft, prompts, arguments)
    found |= {"processor": processor_name()}
    print(json.dumps(found) if arguments.json else "\n".join(f"{name}: {value}" for name, value in found.items()))


def measure(model: Model, draft: Model, prompts: list[str], arguments: argparse.Namespace) -> dict[str, Any]:
    """Tokens/s of each way at temperature 0 and 1, what was accepted, and whether greedy texts are the same."""
    found: dict[str, Any] = {}
    for temperature in (0.0, 1.0):
        speculations = {
            "plain": None,
            "draft": model.speculation(draft, num_speculative_tokens=arguments.drafted, engine=KERNELS),
            "lookup": model.speculation(num_speculative_tokens=arguments.drafted),
        }
        seconds: dict[str, list[float]] = {way: [] for way in speculations}
        completions: dict[str, list[Completion]] = {way: [] for way in speculations}
        for turn in range(arguments.turns + 1):
            times = dict.fromkeys(speculations, 0.0)
            for prompt in prompts:  # text by text: the speed of memory wanders
                for way, speculation in speculations.items():
                    begun_s = time.perf_counter()
                    completion = write(model, prompt, temperature, arguments.new_tokens, speculation)
                    times[way] += time.perf_counter() - begun_s
                    if turn == 0:  # the first is for warming up
                        completions[way].append(completion)
            for way, taken in times.items():
                seconds[way] += [taken] * (turn > 0)
        num_tokens = {way: sum(one.num_tokens for one in written) for way, written in completions.items()}
        rates = {way: num_tokens[way] / statistics.median(times) for way, times in seconds.items()}
        ratios = {way: [a / b for a, b in zip(seconds["plain"], times, strict=True)] for way, times in seconds.items()}
        found[f"temperature {temperature:g}"] = {
            "tokens_per_s": rates,
            "over_plain": {
                way: [ratio * num_tokens[way] / num_tokens["plain"] for ratio in sorted(of_turns)]
                for way, of_turns in ratios.items()
            },
            "acceptance_rate": {way: one.acceptance_rate for way, one in speculations.items() if one is not None},
        }
        if temperature == 0:
            found["greedy_texts_are_the_same"] = completions["plain"] == completions["draft"] == completions["lookup"]
    return found


def write(
    model: Model, prompt: str, temperature: float, num_tokens: int, speculation: Speculation | None
) -> Completion:
    """One stream."""
    (completion,) = model.complete(
        [prompt], max_new_tokens=num_tokens, temperature=temperature, engine=KERNELS, speculation=speculation
    )
    return completion


def compare_samples(model: Model, draft: Model, prompt: str, num_samples: int) -> dict[str, Any]:
    """A chi-square test of two samples: three tokens of the four likeliest each time, with a draft and without."""
    counts = []
    accepted = 0.0
    for seed, guesses in enumerate((False, True)):
        speculation = model.speculation(draft, num_speculative_tokens=2, engine=KERNELS) if guesses else None
        completions = model.complete(
            [prompt],
            max_new_tokens=3,
            temperature=1,
            top_k=4,
            n=num_samples,
            seed=seed,
            engine=KERNELS,
            speculation=speculation,
        )
        counts.append(Counter(completion.token_ids for completion in completions))
        accepted = speculation.acceptance_rate if speculation is not None else accepted
    return {"samples": num_samples, "acceptance_rate": accepted} | p_value(counts)


def p_value(counts: Sequence[Mapping[Any, int]]) -> dict[str, float]:
    """How likely two samples of the same size from one distribution would differ at least as much."""
    one, other = (Counter(count) for count in counts)
    kinds = [kind for kind in one | other if one[kind] + other[kind] >= 10]
    chi_square = sum((one[kind] - other[kind]) ** 2 / (one[kind] + other[kind]) for kind in kinds)
    degrees = len(kinds) - 1
    # Wilson and Hilferty 1931: the cube root of chi-square over its degrees is nearly normal.
    z = ((chi_square / degrees) ** (1 / 3) - (1 - 2 / (9 * degrees))) / math.sqrt(2 / (9 * degrees))
    return {"kinds": len(kinds), "chi_square": chi_square, "degrees": degrees, "p": math.erfc(z / math.sqrt(2)) / 2}


if __name__ == "__main__":
    main()
