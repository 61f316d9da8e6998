"""What each metric gives for empty, equal, short and Chinese texts, beside the libraries that others use.

    python benchmarks/metrics_table.py [--json]
    python benchmarks/metrics_table.py --write docs/metrics.md

With ``--write`` the tables of the document are replaced by what is found; a test holds them to it.
"""

import argparse
import json
import math
import re
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from textwright.evaluation.metrics.base import Judged, Metric
from textwright.evaluation.metrics.catalog import METRICS
from textwright.evaluation.score import find_metrics, score

PAIRS = {
    "both empty": ("", ""),
    "prediction empty": ("", "the cat sat down"),
    "reference empty": ("the cat sat down", ""),
    "`cat` twice": ("cat", "cat"),
    "`the cat sat` twice": ("the cat sat", "the cat sat"),
    "`the cat sat down` twice": ("the cat sat down", "the cat sat down"),
    "`你好` twice": ("你好", "你好"),
    "`你好世界` twice": ("你好世界", "你好世界"),
    "`我喜欢猫` for `我喜欢狗`": ("我喜欢猫", "我喜欢狗"),
    "`我用GPT-2模型` for `GPT-2`": ("我用GPT-2模型", "GPT-2"),
}
TEXTS = {
    "empty": "",
    "`cat`": "cat",
    "`the cat sat down`": "the cat sat down",
    "the same twice over": "the cat sat down the cat sat down",
    "`你好世界`": "你好世界",
}
THEIRS: dict[str, Callable[[str, str], float]] = {
    "bleu": lambda said, wanted: BLEU().corpus_score([said], [[wanted]]).score,
    "chrf": lambda said, wanted: CHRF().sentence_score(said, [wanted]).score,
    "chrf++": lambda said, wanted: CHRF(word_order=2).sentence_score(said, [wanted]).score,
    "ter": lambda said, wanted: TER().sentence_score(said, [wanted]).score,
    "rouge_1": lambda said, wanted: _rouge("rouge1", said, wanted),
    "rouge_2": lambda said, wanted: _rouge("rouge2", said, wanted),
    "rouge_l": lambda said, wanted: _rouge("rougeL", said, wanted),
}
"""Figures of other programs, as they are without settings."""
OF_PAIRS = ("bleu", "bleu_1", "chrf", "chrf++", "ter", "rouge_1", "rouge_2", "rouge_l", "accuracy", "edit_distance")
OF_TEXTS = ("length", "distinct_1", "distinct_2", "repetition", "flesch_reading_ease", "characters_per_sentence")
Table = dict[str, dict[str, str]]


def main() -> None:
    """Print the tables, or put them into a document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = tables()
    if arguments.json:
        print(json.dumps(found, ensure_ascii=False))
    elif arguments.write:
        arguments.write.write_text(with_tables(arguments.write.read_text(encoding="utf-8"), found), encoding="utf-8")
    else:
        for table in found.values():
            print(f"{in_markdown(table)}\n")


def tables() -> dict[str, Table]:
    """The tables by their names: row -> column -> cell."""
    return {
        "metrics": {f"`{name}`": described(METRICS.load(name)) for name in sorted(METRICS)},
        "pairs": {name: of_pair(*pair) for name, pair in PAIRS.items()},
        "texts": {name: of_text(text) for name, text in TEXTS.items()},
    }


def described(metric: type[Metric]) -> dict[str, str]:
    """A row of the table of metrics."""
    words = {True: "more", False: "less", None: "–"}
    ranges = dict.fromkeys(f"{number(figure.low)} to {number(figure.high)}" for figure in metric.figures)
    needs = [*(["references"] if metric.needs_references else []), *(f"`{name}`" for name in metric.needs)]
    return {
        "figures": ", ".join(f"`{figure.name}`" for figure in metric.figures),
        "range": "; ".join(ranges),
        "better": ", ".join(dict.fromkeys(words[figure.higher_is_better] for figure in metric.figures)),
        "needs": ", ".join(needs) or "–",
        "no meaning where": "; ".join(dict.fromkeys(one.undefined for one in metric.figures if one.undefined)) or "–",
        "no interval, since": metric.reason or "–",
        "source": metric.source,
    }


def of_pair(said: str, wanted: str) -> dict[str, str]:
    """Figures of a pair of texts; another program's in brackets where it is another."""
    names = find_metrics("bleu,chrf,chrf++,ter,rouge,accuracy,edit_distance")
    found = score([Judged(said, (wanted,))], names)
    row = {}
    for name in OF_PAIRS:
        ours = number(found[name].value)
        theirs = number(THEIRS[name](said, wanted)) if name in THEIRS else ours
        row[name] = ours if ours == theirs else f"{ours} ({theirs})"
    return row


def of_text(text: str) -> dict[str, str]:
    """Figures of a text by itself."""
    found = score([Judged(text, (text,))], find_metrics("length,distinct_n,repetition,readability"))
    return {name: number(found[name].value) for name in OF_TEXTS}


def number(value: float) -> str:
    """A number as it is printed: as few digits as it has, four at most."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:.4f}".rstrip("0").rstrip(".")


def in_markdown(table: Table) -> str:
    """The table as a document shows it."""
    columns = list(next(iter(table.values())))
    rows: list[Sequence[str]] = [["", *columns], ["---"] * (1 + len(columns))]
    rows += [[name, *cells.values()] for name, cells in table.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def with_tables(document: str, found: dict[str, Table]) -> str:
    """The document with its tables replaced, and the versions of the programs that they are of."""
    parts = {name: in_markdown(table) for name, table in found.items()}
    parts["versions"] = f"sacrebleu {version('sacrebleu')}, rouge-score {version('rouge-score')}"
    for name, text in parts.items():
        document = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)",
            lambda match, text=text: f"{match[1]}{text}\n{match[2]}",  # type: ignore[misc]
            document,
            flags=re.DOTALL,
        )
    return document


def _rouge(kind: str, said: str, wanted: str) -> float:
    return float(RougeScorer([kind]).score(wanted, said)[kind].fmeasure)


if __name__ == "__main__":
    main()
