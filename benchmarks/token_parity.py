"""GPT-2's tokenizer on every text corpus: our ids against tiktoken's and tokenizers', and how fast each is.

python benchmarks/token_parity.py [--json]
"""

import argparse
import gzip
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import tiktoken
from tokenizers import Tokenizer as Reference

from textwright.tokens import load_tokenizer
from textwright.tokens.fast import GPT2_PATTERN

PIECE_BYTES = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    root = Path(os.environ.get("TEXTWRIGHT_DATA", "../shared/data"))
    if not (root / "gpt2-bpe").is_dir():
        sys.exit(f"no gpt2-bpe in {root}: set TEXTWRIGHT_DATA")

    ours = load_tokenizer(root / "gpt2-bpe")
    ranks = {raw: rank for rank, raw in enumerate(ours.token_bytes[:50256])}
    peer = tiktoken.Encoding("gpt2", pat_str=GPT2_PATTERN, mergeable_ranks=ranks, special_tokens={})
    reference = Reference.from_str(json.dumps(ours.json | {"added_tokens": []}))
    encoders = {
        "textwright": ours.encode,
        "tiktoken": peer.encode_ordinary,
        "tokenizers": lambda text: reference.encode(text, add_special_tokens=False).ids,
    }
    seconds = dict.fromkeys(encoders, 0.0)
    corpora: dict[str, dict[str, int]] = {}
    for name, text in pieces(root):
        found = {}
        for encoder, encode in encoders.items():
            begun_s = time.perf_counter()
            found[encoder] = encode(text)
            seconds[encoder] += time.perf_counter() - begun_s
        row = corpora.setdefault(name, {"bytes": 0, "tokens": 0, "differences": 0})
        row["bytes"] += len(text.encode())
        row["tokens"] += len(found["textwright"])
        row["differences"] += any(ids != found["textwright"] for ids in found.values())

    num_bytes = sum(row["bytes"] for row in corpora.values())
    result = {
        "bytes": num_bytes,
        "tokens": sum(row["tokens"] for row in corpora.values()),
        "differences": sum(row["differences"] for row in corpora.values()),
        "megabytes_per_s": {name: num_bytes / 1e6 / took for name, took in seconds.items()},
        "corpora": corpora,
    }
    if arguments.json:
        print(json.dumps(result))
        return
    for name, row in corpora.items():
        print(f"{name:28} {row['bytes']:>12,} bytes {row['tokens']:>12,} tokens {row['differences']:>3} differences")
    print(f"{num_bytes:,} bytes, {result['tokens']:,} tokens, {result['differences']} pieces with other ids")
    print(", ".join(f"{name} {speed:.1f} MB/s" for name, speed in result["megabytes_per_s"].items()))  # type: ignore[attr-defined]


def pieces(root: Path) -> Iterator[tuple[str, str]]:
    """(data set, text) of every text file, a megabyte at a time."""
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and path.name != "gpt2-bpe"):
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            with gzip.open(file, "rb") if file.suffix == ".gz" else open(file, "rb") as stream:
                text = stream.read().decode("utf-8", errors="replace")
            for start in range(0, len(text), PIECE_BYTES):
                yield folder.name, text[start : start + PIECE_BYTES]


if __name__ == "__main__":
    main()
