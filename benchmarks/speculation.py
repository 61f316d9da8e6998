"""What guessing ahead is worth: tokens/s with a draft model, with prompt lookup and without, and how much is accepted.

    python benchmarks/speculation.py MODEL DRAFT TEXT [--prompts 6] [--new-tokens 200] [--drafted 3] [--json]
    python benchmarks/speculation.py MODEL DRAFT TEXT --samples 100000

TEXT is one that neither model was trained on; prompts of 64 tokens are taken from it at even distances. Ways take
turns; figures are medians. With ``--samples`` three tokens are written so many times, with and without the draft, and
the counts of what came out are compared by a chi-square test of two samples.
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
from textwright.generation.request import Completion, EngineConfig
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
        seconds: dict[str, list[float]] = {"plain": [], "draft": [], "lookup": []}
        num_tokens, texts, accepted = dict[str, int](), dict[str, list[Completion]](), dict[str, float]()
        for turn in range(arguments.turns + 1):
            for way in seconds:
                speculation = {
                    "plain": None,
                    "draft": model.speculation(draft, num_drafted=arguments.drafted, engine=KERNELS),
                    "lookup": model.speculation(num_drafted=arguments.drafted),
                }[way]
                begun_s = time.perf_counter()
                texts[way] = [
                    write(model, prompt, temperature, arguments.new_tokens, speculation) for prompt in prompts
                ]
                if turn > 0:  # the first is for warming up
                    seconds[way].append(time.perf_counter() - begun_s)
                num_tokens[way] = sum(completion.num_tokens for completion in texts[way])
                if speculation is not None:
                    accepted[way] = speculation.acceptance
        rates = {way: num_tokens[way] / statistics.median(times) for way, times in seconds.items()}
        found[f"temperature {temperature:g}"] = {
            "tokens_per_s": rates,
            "over_plain": {way: rate / rates["plain"] for way, rate in rates.items()},
            "acceptance": accepted,
        }
        if temperature == 0:
            found["greedy_texts_are_the_same"] = texts["plain"] == texts["draft"] == texts["lookup"]
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
        speculation = model.speculation(draft, num_drafted=2, engine=KERNELS) if guesses else None
        completions = model.complete(
            [prompt],
            max_new_tokens=3,
            temperature=1,
            top_k=4,
            num_samples=num_samples,
            seed=seed,
            engine=KERNELS,
            speculation=speculation,
        )
        counts.append(Counter(completion.token_ids for completion in completions))
        accepted = speculation.acceptance if speculation is not None else accepted
    return {"samples": num_samples, "acceptance": accepted} | p_value(counts)


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
