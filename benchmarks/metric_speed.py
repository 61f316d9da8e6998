"""How long metrics of texts take on one core, ours apart from what sacrebleu and rouge-score take themselves.

    python benchmarks/metric_speed.py [--turns 3] [--jar meteor-1.5.jar] [--json]

3,000 outputs in German (WMT17) with a reference each; METEOR, which is for English, has outputs of E2E with all their
references, repeated to 3,000. A metric that calls a library and the library's own call for the same texts take turns,
each with all of one core; the least of the turns counts. With ``--jar``, METEOR's own program too: the seconds until it
has judged one short text are its start, and are not counted in the others.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path

from meteor_jar import Jar, short_segments
from public_text import public
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from textwright.core.device import processor_name
from textwright.evaluation.metrics.base import Judged, Metric
from textwright.evaluation.metrics.catalog import find_metric
from textwright.evaluation.metrics.meteor import Meteor
from textwright.evaluation.predictions import read_predictions

NUM_SEGMENTS = 3000
SYSTEM = "newstest2017.online-B.0.en-de.txt.gz"
METRICS = (
    *("bleu", "chrf", "chrf++", "rouge", "distinct_n", "repetition", "edit_distance", "length", "readability"),
    *("accuracy", "ter", "self_bleu"),
)
SLOW = ("ter", "self_bleu")
"""Not in the total."""
Call = Callable[[Sequence[Judged]], object]


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--jar", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    german = german_segments()
    rows = [measured(name, find_metric(name), german, arguments.turns) for name in METRICS]
    english = list(islice(cycle(short_segments(public("metrics-e2e").parent)), NUM_SEGMENTS))
    meteor = find_metric("meteor") if arguments.jar is None else Meteor(arguments.jar)
    rows.append(measured("meteor", meteor, english, arguments.turns))
    found = {
        "processor": processor_name(),
        "segments": NUM_SEGMENTS,
        "rows": rows,
        "ours_s": sum(row["ours_s"] for row in rows if row["metric"] not in SLOW),
        "libraries_s": sum(row["library_s"] for row in rows if row["metric"] not in SLOW),
        "meteor_jar": None if arguments.jar is None else of_jar(arguments.jar, english, arguments.turns),
    }
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"{'metric':16} {'seconds':>8} {'library':>8} {'ours':>8}")
    for row in rows:
        print(f"{row['metric']:16} {row['seconds']:8.3f} {row['library_s']:8.3f} {row['ours_s']:8.3f}")
    print(f"ours without {' and '.join(SLOW)}: {found['ours_s']:.2f} s, libraries {found['libraries_s']:.2f} s")
    if arguments.jar is not None:
        print(
            "METEOR's program: {first_s:.2f} s, again {again_s:.2f} s; start {start_s:.2f} s".format(
                **found["meteor_jar"]
            )
        )


def german_segments() -> list[Judged]:
    """A system's outputs, with their references."""
    folder = public("metrics-wmt17-en-de")
    read = read_predictions(folder / SYSTEM, [folder / "reference.de.txt.gz"])
    return [one.judged for one in read[:NUM_SEGMENTS]]


def measured(name: str, metric: Metric, segments: Sequence[Judged], turns: int) -> dict:
    """Seconds of a metric, and of the library's own call where it has one."""

    def ours(texts: Sequence[Judged]) -> object:
        return metric.values(metric.measure(texts).sum(axis=0))

    library = LIBRARIES.get(name)
    ours(segments[:10])  # what is read or made once
    of_metric, of_library = list[float](), list[float]()
    for turn in range(turns):
        print(f"{name}, turn {turn + 1}", file=sys.stderr)
        of_metric.append(seconds_of(ours, segments))
        if library is not None:
            of_library.append(seconds_of(library, segments))
    seconds, library_s = min(of_metric), min(of_library, default=0.0)
    return {"metric": name, "seconds": seconds, "library_s": library_s, "ours_s": max(0.0, seconds - library_s)}


def seconds_of(call: Call, segments: Sequence[Judged]) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    call(segments)
    return time.perf_counter() - started


def sacrebleus(metric: BLEU | CHRF | TER) -> Call:
    """sacrebleu's own call."""

    def call(segments: Sequence[Judged]) -> object:
        return metric.corpus_score([one.prediction for one in segments], [[one.references[0] for one in segments]])

    return call


def rouge_scores(segments: Sequence[Judged]) -> object:
    """rouge-score's own calls."""
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"])
    return [scorer.score_multi(one.references, one.prediction) for one in segments]


LIBRARIES: dict[str, Call] = {
    "bleu": sacrebleus(BLEU(force=True)),
    "chrf": sacrebleus(CHRF()),
    "chrf++": sacrebleus(CHRF(word_order=2)),
    "rouge": rouge_scores,
    "ter": sacrebleus(TER()),
}
"""What computes a metric's counts; the others are ours alone."""


def of_jar(jar: Path, segments: Sequence[Judged], turns: int) -> dict:
    """Seconds of METEOR's program once it runs: the first time, and the least of the times after it."""
    started = time.perf_counter()
    with Jar(jar) as running:
        running.scores([Judged("a cat", ("the cat",))])
        start_s = time.perf_counter() - started
        first, *again = [seconds_of(running.scores, segments) for _ in range(turns + 1)]
    return {"start_s": start_s, "first_s": first, "again_s": min(again)}


if __name__ == "__main__":
    main()
