"""What a constraint costs a step with GPT-2's 50,257 tokens, and whether what an untrained model writes always fits.

    python benchmarks/constraints.py [--turns 5] [--new-tokens 128] [--json]
    python benchmarks/constraints.py --samples 1000

GPT-2's shape with random weights and GPT-2's tokenizer, one stream on the CPU's kernels; ways take turns, figures are
medians. With ``--samples`` a `nano` with random weights writes so many JSON objects of a schema at temperatures 1 and
3, and each is read back and held against the schema by hand.
"""

import argparse
import json
import statistics
import time
from typing import Any

from public_text import public

from textwright.core.device import processor_name
from textwright.engines.cpu.decoder import CPUDecoder
from textwright.engines.cpu.packing import DecodingPrecision
from textwright.generation.generate import generate
from textwright.generation.request import SamplingConfig
from textwright.models.catalog import build
from textwright.models.gpt.network import GPT
from textwright.models.presets import preset
from textwright.tokens import Tokenizer, load_tokenizer

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "height_m": {"type": "number", "minimum": 0, "maximum": 3, "multipleOf": 0.01},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "eyes": {"enum": ["brown", "blue", "green", None]},
        "friends": {"type": "array", "items": {"type": "string", "pattern": "^[A-Z][a-z]{1,7}$"}, "maxItems": 3},
    },
    "required": ["name", "height_m", "age", "eyes", "friends"],
    "additionalProperties": False,
}
CONSTRAINTS = {
    "json_schema": json.dumps({"type": "array", "items": PERSON, "minItems": 1000}),
    "regex": r"([A-Z][a-z]+( [a-z]+){3,12}[.?!] ){1000}",
    "grammar": 'start: sum\nsum: NUMBER | "(" sum "+" sum ")" | "-" sum\nNUMBER: /[0-9]{400,800}/\n',
}


def main() -> None:
    """Measure the cost, or check samples."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--samples", type=int)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    tokenizer = load_tokenizer(public("gpt2-bpe"))
    if arguments.samples is not None:
        found = check_samples(tokenizer, arguments.samples)
    else:
        found = measure(tokenizer, arguments.turns, arguments.new_tokens)
    found |= {"processor": processor_name()}
    print(json.dumps(found) if arguments.json else "\n".join(f"{name}: {value}" for name, value in found.items()))


def untrained(name: str, tokenizer: Tokenizer) -> GPT:
    """A preset with random weights."""
    model = build(preset(name, vocab_size=tokenizer.vocab_size))
    assert isinstance(model, GPT)
    return model.eval()


def measure(tokenizer: Tokenizer, turns: int, new_tokens: int) -> dict[str, Any]:
    """Milliseconds of a step without a constraint and with each, in float32 and int8."""
    model, found = untrained("gpt2", tokenizer), dict[str, Any]()
    precisions: tuple[DecodingPrecision, ...] = ("float32", "int8")
    for precision in precisions:
        decoder = CPUDecoder(model, precision)
        ways = {"free": SamplingConfig(temperature=1, max_new_tokens=new_tokens)}
        for kind, text in CONSTRAINTS.items():
            ways[kind] = ways["free"].model_copy(update={kind: text})
        step_ms: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(turns + 1):
            for way, sampling in ways.items():
                begun_s = time.perf_counter()
                (completion,) = generate(decoder, tokenizer, ["Once upon a time"], sampling)
                assert completion.num_tokens == new_tokens
                if turn > 0:  # the first is for warming up: a constraint is compiled, tokens become a trie
                    step_ms[way].append((time.perf_counter() - begun_s) / new_tokens * 1e3)
        medians = {way: statistics.median(times) for way, times in step_ms.items()}
        found[precision] = {
            "step_ms": medians,
            "extra": {way: median / medians["free"] - 1 for way, median in medians.items() if way != "free"},
        }
    return found


def check_samples(tokenizer: Tokenizer, count: int) -> dict[str, Any]:
    """How many texts were read back as JSON and fit the schema."""
    decoder, found = CPUDecoder(untrained("nano", tokenizer)), dict[str, Any]()
    for temperature in (1.0, 3.0):
        sampling = SamplingConfig(temperature=temperature, max_new_tokens=400, n=count, json_schema=json.dumps(PERSON))
        completions = generate(decoder, tokenizer, [""], sampling)
        fitting = sum(completion.stop_reason == "eos" and fits(completion.text) for completion in completions)
        found[f"temperature {temperature:g}"] = {
            "samples": count,
            "fit": fitting,
            "different": len({completion.text for completion in completions}),
            "longest_tokens": max(completion.num_tokens for completion in completions),
        }
    return found


def fits(text: str) -> bool:
    """Whether a text is a ``PERSON``."""
    person = json.loads(text)
    friends = person["friends"]
    return bool(
        list(person) == list(PERSON["properties"])
        and isinstance(person["name"], str)
        and len(person["name"]) <= 12
        and person["height_m"] in [number / 100 for number in range(301)]
        and type(person["age"]) is int
        and 0 <= person["age"] <= 120
        and person["eyes"] in ("brown", "blue", "green", None)
        and len(friends) <= 3
        and all(1 < len(name) <= 8 and name.isascii() and name.istitle() and name.isalpha() for name in friends)
    )


if __name__ == "__main__":
    main()
