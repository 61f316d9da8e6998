"""GPT-2's tokenizer on every text corpus: our ids against tiktoken's and tokenizers', whether they give the text back,
and how fast each is.

    python benchmarks/token_parity.py [--json]
    python benchmarks/token_parity.py --other OLD/src [--turns 9]      this build's speed beside another's, in turns
"""

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tiktoken
from tokenizers import Tokenizer as Reference

from textwright.tokens import load_tokenizer, make_tokenizer

PIECE_BYTES = 1 << 20
HERE = Path(__file__).parent.parent / "src"


def main() -> None:
    """Compare ids, or the speed of two builds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--other", type=Path, help="sources of another build")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    root = Path(os.environ.get("TEXTWRIGHT_DATA", "../shared/data"))
    if not (root / "gpt2-bpe").is_dir():
        sys.exit(f"no gpt2-bpe in {root}: set TEXTWRIGHT_DATA")
    if arguments.worker:
        work(root)
    elif arguments.other:
        result = beside_another(arguments.other.resolve(), arguments.turns)
        low, median, high = result["speed_quartiles"]
        print(json.dumps(result) if arguments.json else f"{median:.3f} of the other's speed ({low:.3f} to {high:.3f})")
    else:
        show(compare(root), as_json=arguments.json)


def compare(root: Path) -> dict[str, Any]:
    """Ids, texts and seconds of all corpora."""
    from textwright.tokens.fast import GPT2_PATTERN  # here, as a build before it has it elsewhere

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
    of_bytes = make_tokenizer("byte", lambda: iter(()))
    corpora: dict[str, dict[str, int]] = {}
    for name, text in pieces(root):
        found = {}
        for encoder, encode in encoders.items():
            begun_s = time.perf_counter()
            found[encoder] = encode(text)
            seconds[encoder] += time.perf_counter() - begun_s
        row = corpora.setdefault(name, {"bytes": 0, "tokens": 0, "differences": 0, "lost": 0})
        row["bytes"] += len(text.encode())
        row["tokens"] += len(found["textwright"])
        row["differences"] += any(ids != found["textwright"] for ids in found.values())
        of_characters = make_tokenizer("char", lambda text=text: iter([text]))
        row["lost"] += ours.decode(found["textwright"]) != text
        row["lost"] += any(one.decode(one.encode(text)) != text for one in (of_bytes, of_characters))

    num_bytes = sum(row["bytes"] for row in corpora.values())
    sums = {name: sum(row[name] for row in corpora.values()) for name in ("bytes", "tokens", "differences", "lost")}
    speeds = {name: num_bytes / 1e6 / took for name, took in seconds.items()}
    return sums | {"megabytes_per_s": speeds, "corpora": corpora}


def show(result: dict[str, Any], *, as_json: bool) -> None:
    """Print it."""
    if as_json:
        print(json.dumps(result))
        return
    for name, row in result["corpora"].items():
        counts = f"{row['differences']:>3} differences {row['lost']:>3} lost"
        print(f"{name:28} {row['bytes']:>12,} bytes {row['tokens']:>12,} tokens {counts}")
    sums = f"{result['bytes']:,} bytes, {result['tokens']:,} tokens, {result['differences']} pieces with other ids"
    print(f"{sums}, {result['lost']} not given back by GPT-2's, the byte and the char tokenizer")
    print(", ".join(f"{name} {speed:.1f} MB/s" for name, speed in result["megabytes_per_s"].items()))


def beside_another(other: Path, turns: int) -> dict[str, Any]:
    """Seconds that this build and another need for all texts, taking turns."""
    workers = {
        name: subprocess.Popen(
            [sys.executable, __file__, "--worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(source)},
        )
        for name, source in {"this": HERE, "other": other}.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in workers}
    for turn in range(turns):
        for name in sorted(workers, reverse=bool(turn % 2)):
            worker = workers[name]
            assert worker.stdin is not None
            assert worker.stdout is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
            seconds[name].append(float(worker.stdout.readline()))
    for worker in workers.values():
        worker.kill()
        worker.wait()
    ratios = [before / now for now, before in zip(seconds["this"], seconds["other"], strict=True)]
    medians = {name: statistics.median(some) for name, some in seconds.items()}
    return {"seconds": medians, "speed_quartiles": statistics.quantiles(ratios, n=4)}


def work(root: Path) -> None:
    """One build's turns: a line in, the seconds out. All texts, as ids, in GPT-2's tokens."""
    tokenizer, texts = load_tokenizer(root / "gpt2-bpe"), [text for _, text in pieces(root)]
    tokenizer.encode(texts[0])
    for _ in sys.stdin:
        begun_s = time.perf_counter()
        for text in texts:
            tokenizer.encode(text)
        print(time.perf_counter() - begun_s, flush=True)


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
