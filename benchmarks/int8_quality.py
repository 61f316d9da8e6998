"""What narrow weights cost in quality: the perplexity of a text, by the kernels, in each precision.

    python benchmarks/int8_quality.py MODEL TEXT [--tokens 20000] [--record] [--json]

The text is read in windows of the model's context, half of it new in each; the loss is that of the new half. Run it on
text that the model was not trained on. ``--record`` writes the figures into the model's textwright.json, as a fact.
"""

import argparse
import json
import math
from pathlib import Path

import torch

from textwright.api import load
from textwright.api.model import Model
from textwright.checkpoint.model_folder import add_facts
from textwright.core.device import processor_name
from textwright.engines.config import EngineConfig


def main() -> None:
    """Score the text in each precision."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model")
    parser.add_argument("text", type=Path)
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    model = load(arguments.model)
    ids = model.tokenizer.encode(arguments.text.read_text(encoding="utf-8"))[: arguments.tokens]
    losses = {name: loss_nats(model, ids, name) for name in ("float32", "bfloat16", "int8")}
    perplexities = {name: math.exp(loss) for name, loss in losses.items()}
    found = {
        "num_tokens": len(ids),
        "loss_nats_per_token": losses,
        "perplexity_per_token": perplexities,
        "over_float32": {name: value / perplexities["float32"] - 1 for name, value in perplexities.items()},
        "processor": processor_name(),
    }
    if arguments.record:
        add_facts(Path(arguments.model), {"narrow_weights": found | {"text": arguments.text.name}})
    if arguments.json:
        print(json.dumps(found))
        return
    for name, value in perplexities.items():
        print(f"{name:9} perplexity {value:.4f} ({found['over_float32'][name]:+.3%})")


def loss_nats(model: Model, ids: list[int], precision: str) -> float:
    """Mean loss of the text's tokens but the first half window."""
    decoder = model.decoder(EngineConfig.model_validate({"engine": "cpu", "precision": precision}))
    window, step = decoder.context_length, decoder.context_length // 2
    total, count = 0.0, 0
    for start in range(0, len(ids) - window, step):
        part = torch.tensor([ids[start : start + window]])
        hidden, _ = decoder.extend(part[:, :-1], torch.tensor([window - 1]), decoder.empty_cache(1))
        log_p = decoder.logits(hidden[:, step - 1 :]).log_softmax(dim=-1)
        total -= float(log_p.gather(-1, part[:, step:, None]).sum())
        count += window - step
    return total / count


if __name__ == "__main__":
    main()
