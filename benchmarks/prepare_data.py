"""Raw text to token shards: speed and peak memory on a file of about 1 GB, in a process of its own.

    python benchmarks/prepare_data.py [--megabytes 1000] [--json]

The text is the English novels of the data sets, repeated up to the size.
"""

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work is not None:
        work(arguments.work)
        return
    root = Path(os.environ.get("TEXTWRIGHT_DATA", "../shared/data"))
    if not (root / "corpus-english-novels").is_dir():
        sys.exit(f"no corpus-english-novels in {root}: set TEXTWRIGHT_DATA")
    with tempfile.TemporaryDirectory() as folder:
        write_texts(root / "corpus-english-novels", Path(folder) / "texts", arguments.megabytes * 1_000_000)
        done = subprocess.run([sys.executable, __file__, "--work", folder], capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    if arguments.json:
        print(json.dumps(result))
    else:
        print(
            f"{result['bytes'] / 1e6:,.0f} MB, {result['tokens']:,} tokens: {result['megabytes_per_cpu_s']:.1f} MB per "
            f"core-second, {result['megabytes_per_s']:.1f} MB/s, at most {result['peak_memory_bytes'] / 1e6:,.0f} MB"
        )


def write_texts(source: Path, folder: Path, num_bytes: int) -> None:
    """Novels as plain files, each copy with a line of its own so that no two documents are equal; one is very long."""
    folder.mkdir()
    written, copy = 0, 0
    novels = sorted(source.glob("*.gz"))
    with open(folder / "one-long-document.txt", "wb") as long:
        for novel in novels:
            long.write(gzip.decompress(novel.read_bytes()))
        written += long.tell()
    while written < num_bytes:
        for novel in novels:
            text = f"copy {copy}\n".encode() + gzip.decompress(novel.read_bytes())
            (folder / f"{copy:03d}-{novel.stem}").write_bytes(text)
            written += len(text)
            if written >= num_bytes:
                break
        copy += 1


def work(folder: Path) -> None:
    """The measured process: a BPE of 8,192 trained on its sample, then the shards."""
    from textwright.data.prepare import prepare_data
    from textwright.text.read import read_chunks
    from textwright.tokens import make_tokenizer

    texts = folder / "texts"
    tokenizer = make_tokenizer("bpe:8192", lambda: (chunk.text for chunk in read_chunks([texts])))
    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    data = prepare_data([texts], tokenizer, folder / "data")
    took_s, took_cpu_s = time.perf_counter() - begun_s, time.process_time() - begun_cpu_s
    assert data.val is not None
    num_bytes = data.train.num_bytes + data.val.num_bytes
    print(
        json.dumps(
            {
                "bytes": num_bytes,
                "tokens": data.train.num_tokens + data.val.num_tokens,
                "seconds": took_s,
                "cpu_seconds": took_cpu_s,
                "megabytes_per_s": num_bytes / 1e6 / took_s,
                "megabytes_per_cpu_s": num_bytes / 1e6 / took_cpu_s,
                "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
