"""Whether BLEU, chrF and TER of public outputs are what was published of them, to the last printed digit.

    python benchmarks/metrics_published.py [--json]

The 16 systems of WMT17 from English to German (mteval-v13a, chrF++.py and tercom), and the 21 of the E2E challenge with
several references (sacrebleu). TER takes most of the time: about ten minutes on one core.
"""

import argparse
import csv
import gzip
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from public_text import public

from textwright.evaluation.metrics.base import Judged
from textwright.evaluation.metrics.catalog import find_metric
from textwright.evaluation.predictions import read_predictions
from textwright.evaluation.score import find_metrics, score


@dataclass(frozen=True)
class Checked:
    """A published figure, and ours with as many digits."""

    system: str
    figure: str
    published: float
    ours: float


def main() -> None:
    """Print each figure that differs, and how many there are of each kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for row in (*wmt17(public("metrics-wmt17-en-de")), *e2e(public("metrics-e2e"), public("e2e"))):
        rows.append(row)
        if row.ours != row.published:
            print(f"{row.system}: {row.figure} {row.ours}, published {row.published}", file=sys.stderr)
    found = {
        name: {"same": sum(row.ours == row.published for row in some), "of": len(some)}
        for name in dict.fromkeys(row.figure for row in rows)
        if (some := [row for row in rows if row.figure == name])
    }
    if arguments.json:
        print(json.dumps({"found": found, "rows": [asdict(row) for row in rows]}))
    else:
        print("\n".join(f"{name}: {counts['same']} of {counts['of']} the same" for name, counts in found.items()))


def wmt17(folder: Path) -> Iterator[Checked]:
    """The figures of WMT17's systems."""
    for system, published in json.loads((folder / "scores.json").read_text()).items():
        rows = read_predictions(folder / f"{system}.txt.gz", [folder / "reference.de.txt.gz"])
        examples = [row.judged for row in rows]
        found = score(examples, find_metrics("bleu,ter"), num_resamples=0)
        for name, value in (("bleu_mteval-v13a", found["bleu"].value), ("ter_tercom", found["ter"].value / 100)):
            yield _rounded(system, name, published[name], value)
        if "chrf++_chrF++.py" in published:
            by_order = _f_by_order(examples)
            yield _rounded(system, "chrf++_chrF++.py", published["chrf++_chrF++.py"], float(by_order.mean()))
            yield _rounded(system, "chrf_chrF++.py_nw0", published["chrf_chrF++.py_nw0"], float(by_order[:6].mean()))


def e2e(folder: Path, references: Path) -> Iterator[Checked]:
    """The figures of the challenge's systems."""
    wanted: dict[str, list[str]] = {}
    for row in _table((references / "testset_w_refs.csv.gz"), ","):
        wanted.setdefault(row["mr"], []).append(row["ref"])
    for system, published in json.loads((folder / "scores_sacrebleu.json").read_text())["systems"].items():
        quote = "'" if system.startswith("tnt") else '"'
        rows = list(_table(folder / "primary" / f"{system}.tsv.gz", "\t", quote))
        outputs = {next(iter(row.values())): list(row.values())[1] for row in rows}
        examples = [Judged(outputs[meaning], tuple(texts)) for meaning, texts in wanted.items()]
        found = score(examples, find_metrics("bleu,chrf"))
        yield _rounded(system, "BLEU_13a", published["BLEU_13a"], found["bleu"].value)
        yield _rounded(system, "chrF2", published["chrF2"], found["chrf"].value)


def _f_by_order(examples: Sequence[Judged]) -> np.ndarray:
    """F of each order, of which chrF++.py takes the mean where sacrebleu takes F of the mean precision and recall."""
    proposed, wanted, common = find_metric("chrf++").measure(examples).sum(axis=0).reshape(-1, 3).T
    found: np.ndarray = 100 * 5 * common / (4 * wanted + proposed)
    return found


def _table(path: Path, delimiter: str, quote: str = '"') -> Iterator[dict[str, str]]:
    text = gzip.decompress(path.read_bytes()).decode("utf-8-sig")
    yield from csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote)


def _rounded(system: str, figure: str, published: float, ours: float) -> Checked:
    """Ours with as many digits as are printed of the kind."""
    digits = {"bleu_mteval-v13a": 2, "ter_tercom": 3}.get(figure, 4)
    return Checked(system, figure, published, round(ours, digits))


if __name__ == "__main__":
    main()
