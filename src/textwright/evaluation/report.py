"""The report of an evaluation: figures with intervals, who was taken for whom, best and worst, how to repeat it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from textwright.core.files import write_atomically
from textwright.core.user_paths import given_path
from textwright.core.words import counted
from textwright.evaluation.evaluation_folder import PREDICTIONS, REPORT, EvaluationRecord
from textwright.evaluation.figures_table import Shown, better, interval, number
from textwright.evaluation.metrics.f1 import F1
from textwright.evaluation.predictions import prediction_of
from textwright.report.chart import Bar, bar_chart, histogram, matrix_chart
from textwright.report.html import (
    excerpt,
    facts,
    flat,
    folded,
    grid,
    heading,
    note,
    page,
    passage,
    said,
    section,
    table,
)

Row = Mapping[str, Any]
Figures = Mapping[str, Mapping[str, Any]]
MAX_LABELS = 20
SCALES = ((0, 1), (0, 100))
"""Ranges of figures that are drawn together."""
LABEL_METRICS = frozenset(("f1", "relation_f1"))
MOST_REFERENCES = 5
MOST_OPTIONS = 3


def write_evaluation_report(record: EvaluationRecord, path: Path | None = None) -> Path:
    """Write one HTML file that needs no network.

    Args:
        record: the evaluation.
        path: the file; ``report.html`` in its folder when not given.

    Raises:
        InputError: it cannot be written.
    """
    path = path or record.folder / REPORT
    with given_path(path):
        write_atomically(path, page(f"{record.folder.name}", evaluation_parts(record)))
    return path


def evaluation_parts(record: EvaluationRecord) -> list[str]:
    """The parts of the page of one evaluation."""
    about, model = record.about, record.about.get("model", {})
    name = " with the adapter ".join(filter(None, (model.get("path") or "a model in memory", model.get("adapter"))))
    parts = [heading(record.folder.name, f"how well {name} does the task {record.task}"), facts(_headline(record))]
    parts.append(section("Figures", *_figures(record.figures)))
    parts += _confusion(record)
    parts += _examples(record)
    parts += _answers(record)
    parts.append(_data(record))
    parts.append(
        section(
            "To repeat it",
            passage("", str(about.get("command", "unknown"))),
            folded("model", table(flat(model).items())),
            folded("settings", table(_settings(record))),
            folded("machine and versions", table(about.get("environment", {}).items())),
        )
    )
    return parts


def _headline(record: EvaluationRecord) -> dict[str, str]:
    headline = {}
    for name, one in list(record.figures.items())[:3]:
        ends = interval(one, none="")
        headline[f"{name}, 95 % interval {ends}" if ends else name] = number(one["value"])
    headline["examples judged"] = f"{len(record.rows):,}"
    if record.about.get("num_skipped"):
        headline["examples left out: too long"] = f"{record.about['num_skipped']:,}"
    cut = sum(row.get("finish_reason") == "length" for row in record.rows)
    if any("finish_reason" in row for row in record.rows):
        headline["answers cut by max_new_tokens"] = f"{cut:,}"
    return headline


def _figures(figures: Figures) -> Iterator[str]:
    """Charts of those that share a scale, and a table of all."""
    for low, high in SCALES:
        alike = {name: one for name, one in figures.items() if (one["least"], one["most"]) == (low, high)}
        bars = [Bar(name, one["value"], one["low"], one["high"]) for name, one in alike.items() if is_known(one)]
        if bars:
            yield bar_chart(bars, x=f"from {low} to {high}, with 95 % intervals")
    columns = ("figure", "value", "95 % interval", "n", "better", "depends on")
    rows = (
        (name, number(one["value"]), interval(one), f"{one['n']:,}", better(one), one["signature"])
        for name, one in figures.items()
    )
    yield grid(columns, rows, long=("depends on", "95 % interval")) + "".join(_reasons(figures))


def _reasons(figures: Figures) -> Iterator[str]:
    """Why a figure has no value."""
    for name, one in figures.items():
        if one["value"] is None:
            yield note(f"{name} has no meaning here: {one['undefined'] or 'nothing was there to count'}.")


def is_known(one: Shown) -> bool:
    """Whether a figure has a value."""
    return one["value"] is not None


def _confusion(record: EvaluationRecord) -> list[str]:
    """Who was taken for whom, where answers are labels."""
    chooses = all("probabilities" in row for row in record.rows)
    if not chooses and not LABEL_METRICS.intersection(record.about.get("metrics", ())):
        return []
    if not all(row["references"] for row in record.rows):
        return []
    judged = [prediction_of(row, place, "").judged for place, row in enumerate(record.rows, start=1)]
    found = F1().confusion(judged)
    totals = found.counts.sum(axis=1)
    # The most frequent labels, in the order that all of them have.
    kept = sorted(sorted(range(len(totals)), key=lambda place: (-int(totals[place]), place))[:MAX_LABELS])
    counts = [[int(found.counts[row, column]) for column in kept] for row in kept]
    others = [int(totals[place]) - sum(inner) for place, inner in zip(kept, counts, strict=True)]
    rows = [[*inner, other] for inner, other in zip(counts, others, strict=True)] if any(others) else counts
    labels = [found.labels[place] for place in kept]
    chart = matrix_chart(labels, rows, rows="is", columns="said", others="anything else" if any(others) else "")
    left = len(totals) - len(kept)
    if not left:
        return [section("Confusion", chart)]
    num_left = int(totals.sum()) - int(totals[kept].sum())
    others_are = f"{counted(num_left, 'example')} {'is' if num_left == 1 else 'are'} of the other {left:,}"
    told = f"The {len(kept)} most frequent of {len(totals):,} labels; {others_are}."
    return [section("Confusion", chart, lead=told)]


def _examples(record: EvaluationRecord) -> list[str]:
    """The best and the worst, and how they were chosen."""
    shown = record.about.get("examples", {})
    if not shown.get("best"):
        return [section("Examples", lead="No figure tells single examples apart.")]
    how = f"Sorted by {shown['figure']} of each example by itself"
    if shown["ties"]:
        how += f"; where it is the same, by {', '.join(shown['ties'])}"
    if shown["num_known"] < len(record.rows):
        how += f"; left out here, without one: {counted(len(record.rows) - shown['num_known'], 'example')}"
    by_place = {row["place"]: row for row in record.rows}
    found = []
    for which, title in (("worst", "The worst examples"), ("best", "The best examples")):
        chosen = [one for one in shown[which] if one["place"] in by_place]
        cards = [example_card(by_place[one["place"]], f"{shown['figure']} {number(one['value'])}") for one in chosen]
        found.append(section(title, *cards, lead=f"{how}."))
    return found


def example_card(row: Row, said_of: str) -> str:
    """One example: what was asked, what was said, what should have been."""
    return note(f"{row['id']}: {said_of}") + said([*asked(row), ("said", answer(row))])


def asked(row: Row) -> Iterator[tuple[str, str]]:
    """What was asked, and what a good answer is."""
    yield "prompt", excerpt(row["prompt"])
    if isinstance(row.get("suffix"), str):
        yield "suffix", excerpt(row["suffix"])
    references = row["references"]
    for text in references[:MOST_REFERENCES]:
        yield "wanted", excerpt(text)
    if len(references) > MOST_REFERENCES:
        yield "wanted", f"[ {len(references) - MOST_REFERENCES:,} more ]"


def answer(row: Row) -> str:
    """What was said; of options with how probable the likeliest were."""
    probabilities = row.get("probabilities")
    if isinstance(probabilities, Mapping):
        likeliest = sorted(probabilities.items(), key=lambda pair: -pair[1])[:MOST_OPTIONS]
        return f"{excerpt(row['prediction'])}   ({', '.join(f'{name} {share:.2f}' for name, share in likeliest)})"
    cut = "   [ cut by max_new_tokens ]" if row.get("finish_reason") == "length" else ""
    passed = row.get("outcomes")
    ran = f"\n[ {', '.join(map(str, passed))} ]" if isinstance(passed, Sequence) else ""
    return f"{excerpt(row['prediction'])}{cut}{ran}"


def _answers(record: EvaluationRecord) -> list[str]:
    """How long answers are, and how many were cut."""
    lengths = [row["num_tokens"] for row in record.rows if isinstance(row.get("num_tokens"), int)]
    if not lengths:
        return [section("Answers", lead="Each was chosen among options, by how likely the model finds them.")]
    cut = sum(row.get("finish_reason") == "length" for row in record.rows)
    most = record.settings.get("sampling", {}).get("max_new_tokens")
    told = (
        f"{min(lengths):,} to {counted(max(lengths), 'token')}, half of them at most {median(lengths):,.0f}; "
        f"{cut:,} of {len(lengths):,} {'was' if cut == 1 else 'were'} cut at {most} tokens (max_new_tokens)."
    )
    chart = histogram([float(length) for length in lengths], x="tokens of an answer", y="answers")
    return [section("Answers", chart, lead=told)]


def _data(record: EvaluationRecord) -> str:
    about = record.about
    told = f"{counted(len(record.rows), 'example')} judged"
    if about.get("limit") is not None:
        told += f", of the first {about['limit']:,}"
    if documents := {row["document"] for row in record.rows if row.get("document")}:
        told += f", of {counted(len(documents), 'document')}, over which the intervals are"
    skipped = about.get("num_skipped", 0)
    told += f"; {skipped:,} left out, as the model cannot see them whole." if skipped else "; none left out."
    if record.num_not_judged:
        more = counted(record.num_not_judged, "prediction")
        told += f" {PREDICTIONS} keeps {more} more, of a call with a larger limit: not judged here."
    if record.torn:
        told += f" Its last line was cut short and is left out: {record.torn}."
    files = ((one["path"], one["sha256"]) for one in about.get("data", []))
    return section("Data", grid(("file", "SHA-256"), files, long=("file", "SHA-256")), lead=told)


def _settings(record: EvaluationRecord) -> list[tuple[str, Any]]:
    known = {"metrics": ", ".join(record.about.get("metrics", ())), "task": record.about.get("task", {})}
    kept = {name: value for name, value in record.settings.items() if name in ("sampling", "engine")}
    return list(flat(known | kept | {"model_sha256": record.settings.get("model")}).items())
