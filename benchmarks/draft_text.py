"""What a model writes after pieces of text, for a draft model to learn from: it should guess this model, not the text.

    python benchmarks/draft_text.py MODEL TEXTS OUT.jsonl [--pieces 3000] [--new-tokens 200]

Pieces of 64 tokens are taken from the texts (files or a folder) at even distances. After three of four the model
writes by chance, after the fourth greedily, both with the precision that is fastest.

Source: that a draft is accepted more often when it was trained on the model's own texts, Zhou et al. 2023
(arXiv:2310.08461).
"""

import argparse
import json
from pathlib import Path

from textwright.api import load
from textwright.engines.config import EngineConfig
from textwright.text.read import read_chunks

PIECE_TOKENS = 64


def main() -> None:
    """Write, and put it into a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model")
    parser.add_argument("texts", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pieces", type=int, default=3000)
    parser.add_argument("--new-tokens", type=int, default=200)
    arguments = parser.parse_args()
    model = load(arguments.model)
    documents = [model.tokenizer.encode(chunk.text) for chunk in read_chunks([arguments.texts])]
    ids = [token_id for document in documents for token_id in document]
    step = (len(ids) - PIECE_TOKENS) // arguments.pieces
    pieces = [model.tokenizer.decode(ids[n * step : n * step + PIECE_TOKENS]) for n in range(arguments.pieces)]
    with arguments.out.open("w", encoding="utf-8") as file:
        for temperature, prompts in ((1.0, [p for n, p in enumerate(pieces) if n % 4]), (0.0, pieces[::4])):
            completions = model.complete(
                prompts,
                max_new_tokens=arguments.new_tokens,
                temperature=temperature,
                engine=EngineConfig(precision="int8"),
            )
            for completion in completions:
                file.write(json.dumps({"text": completion.prompt + completion.text}) + "\n")


if __name__ == "__main__":
    main()
