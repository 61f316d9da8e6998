"""METEOR's own program beside ours: are the scores the same, and which is faster once it runs?

    python benchmarks/meteor_jar.py meteor-1.5.jar [--write tests/fixtures/meteor.json]

Needs Java and the data sets e2e, metrics-e2e and corpus-english-novels. 2,000 outputs of E2E's systems against all
references, and 500 long texts: lines that repeat themselves, and pieces of novels with words changed, lost, doubled
and moved. With ``--write`` the program's scores are kept, without texts, for the tests.
"""

import argparse
import csv
import gzip
import json
import os
import random
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from textwright.evaluation.metrics.base import Judged
from textwright.evaluation.metrics.meteor import Meteor

NUM_SHORT, NUM_REPETITIVE, NUM_CHANGED = 2000, 300, 200
LINES_OF_ONE = 8
QUOTED_OTHERWISE = ("tnt1", "tnt2")


def main() -> None:
    """Compare, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("jar", type=Path)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    data = Path(os.environ.get("TEXTWRIGHT_DATA", "../shared/data"))
    metric, found = Meteor(arguments.jar), {}
    for name, segments in (("short", short_segments(data)), ("long", long_segments(data))):
        with Jar(arguments.jar) as jar:
            scores, corpus = jar.scores(segments)
            started = time.perf_counter()
            jar.scores(segments)
            seconds_of_jar = time.perf_counter() - started
        metric.measure(segments)
        started = time.perf_counter()
        counts = metric.measure(segments)
        seconds = time.perf_counter() - started
        ours = metric.values(counts)[:, 0]
        difference = max(abs(score - own) for score, own in zip(scores, ours, strict=True))
        of_corpus = abs(corpus - metric.values(counts.sum(axis=0))[0])
        print(f"{name}: {len(segments):,} segments, {sum(len(each.references) for each in segments):,} references")
        print(f"  largest difference {difference:.2g}, of the corpus' score ({corpus:.6f}) {of_corpus:.2g}")
        print(f"  {seconds:.2f} s, METEOR's program {seconds_of_jar:.2f} s")
        found[name] = {"corpus": corpus, "scores": scores}
    if arguments.write is not None:
        arguments.write.write_text(json.dumps(found) + "\n", encoding="utf-8")


class Jar:
    """METEOR's program with some of its modules, running."""

    def __init__(self, path: Path, modules: str = "exact stem", weights: str = "1.0 0.6") -> None:
        options = ["-stdio", "-l", "en", "-norm", "-m", modules, "-w", weights]
        self._process = subprocess.Popen(
            ["java", "-Xmx2G", "-jar", str(path), "-", "-", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
        )

    def __enter__(self) -> "Jar":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def scores(self, segments: Sequence[Judged]) -> tuple[list[float], float]:
        """Of each segment, and of all together."""
        counts = [self._ask("SCORE", *each.references, each.prediction) for each in segments]
        self._say("EVAL", *counts)
        scores = [float(self._hear()) for _ in segments]
        return scores, float(self._hear())

    def _ask(self, *parts: str) -> str:
        self._say(*parts)
        return self._hear()

    def _say(self, *parts: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(" ||| ".join(part.replace("\n", " ") for part in parts) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("METEOR's program ended")
        return line.strip()


def short_segments(data: Path) -> list[Judged]:
    """Outputs of E2E's systems, at even distances, each with all references; from a folder of data sets."""
    outputs, references = list(_outputs(data)), _references(data)
    chosen = [outputs[n * len(outputs) // NUM_SHORT] for n in range(NUM_SHORT)]
    return [Judged(text, tuple(references[meaning])) for meaning, text in chosen]


def long_segments(data: Path) -> list[Judged]:
    """Several outputs after each other, with two references; and pieces of novels beside changed ones."""
    outputs, references = list(_outputs(data)), _references(data)
    found = []
    for n in range(NUM_REPETITIVE):
        start = n * (len(outputs) - LINES_OF_ONE) // NUM_REPETITIVE
        lines = outputs[start : start + LINES_OF_ONE]
        ends = [" ".join(references[meaning][end] for meaning, _ in lines) for end in (0, -1)]
        found.append(Judged(" ".join(text for _, text in lines), tuple(ends)))
    pieces = {}
    novels = sorted((data / "corpus-english-novels").glob("*.gz"))
    for number, novel in enumerate(novels):
        words = gzip.decompress(novel.read_bytes()).decode("utf-8-sig").split()
        for n in range(number, NUM_CHANGED, len(novels)):
            start = n * len(words) // NUM_CHANGED
            piece = words[start : start + 50 + n]
            pieces[n] = Judged(changed(piece, random.Random(n)), (" ".join(piece),))
    return found + [pieces[n] for n in range(NUM_CHANGED)]


def changed(words: list[str], chance: random.Random) -> str:
    """The same words, some of them lost, doubled, moved or with another ending."""
    kept: list[str] = []
    for word in words:
        die = chance.random()
        if die < 0.1:
            continue
        if die < 0.2 and kept:
            kept.insert(-1, word)
        elif die < 0.25:
            kept += (word, word)
        elif die < 0.4:
            kept.append(word.removesuffix("s") if word.endswith("s") else f"{word}s")
        else:
            kept.append(word)
    return " ".join(kept)


def _outputs(data: Path) -> Iterator[tuple[str, str]]:
    """Meaning and text of every output, system by system."""
    for path in sorted((data / "metrics-e2e" / "primary").glob("*.tsv.gz")):
        if path.name.split(".")[0] not in QUOTED_OTHERWISE:
            with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as file:
                yield from ((row["MR"], row["output"]) for row in csv.DictReader(file, delimiter="\t"))


def _references(data: Path) -> dict[str, list[str]]:
    """Of each meaning."""
    found: dict[str, list[str]] = {}
    with gzip.open(data / "e2e" / "testset_w_refs.csv.gz", "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["mr"], []).append(row["ref"])
    return found


if __name__ == "__main__":
    main()
