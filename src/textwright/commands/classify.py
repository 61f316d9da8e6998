"""``textwright classify``: linear classifiers on a model's vectors, trained and applied."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.table import Column, Table

from textwright.api.texts_meant import texts_meant
from textwright.core.console import stderr_console, stdout_console
from textwright.core.errors import InputError
from textwright.core.result import Result
from textwright.core.user_paths import check_can_be_written, check_is_new
from textwright.core.words import counted
from textwright.evaluation.evaluation_folder import PREDICTIONS
from textwright.tasks.labelled_texts import LabelledText, check_have_text, read_labelled_texts

if TYPE_CHECKING:
    from textwright.evaluation.score import Scored

Files = Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative="", show_default=False)]
METRICS = "accuracy,f1,calibration_error"
SHOWN_LABELS = 3
FEW_TEXTS = 30
"""On fewer, figures say little."""


@dataclass(frozen=True)
class Trained(Result):
    """A classifier, and how good it is."""

    out: Path
    labels: tuple[str, ...]
    regularisation: float
    num_train: int
    num_held_out: int
    figures: "dict[str, Scored]"
    majority: "dict[str, Scored]"
    """Of who says the most frequent label of all."""

    def as_json(self) -> dict[str, Any]:
        return {
            "metrics": {name: one.as_json() for name, one in self.figures.items()},
            "baselines": {"majority": {name: one.value for name, one in self.majority.items()}},
            "labels": list(self.labels),
            "regularisation": self.regularisation,
            "num_train": self.num_train,
            "num_held_out": self.num_held_out,
            "out": str(self.out),
            "predictions": str(self.out / PREDICTIONS),
        }

    def show(self) -> None:
        table = Table("figure", "classifier", "95 % interval", "majority class", box=None)
        for name, one in self.figures.items():
            interval = f"{one.low:.4f} to {one.high:.4f}" if one.low is not None and one.high is not None else "-"
            majority = f"{self.majority[name].value:.4f}" if name in self.majority else "-"
            table.add_row(name, f"{one.value:.4f}", interval, majority)
        stdout_console().print(table)
        notes = stderr_console()
        notes.print(
            f"{counted(len(self.labels), 'label')}, learned from {counted(self.num_train, 'text')} "
            f"(C = {self.regularisation:g}), judged on {counted(self.num_held_out, 'other')}; "
            f"predictions in {self.out / PREDICTIONS}"
        )
        if self.num_held_out < FEW_TEXTS:
            notes.print(_few(self.num_held_out))
        notes.show_command("next:  ", "classify", "apply", self.out, "a text")


def _few(number: int) -> str:
    """What to know of figures on so few texts."""
    fix = "give more texts, or others to judge by with --val-data"
    if number == 1:
        return f"one text says nothing of how good it is, and makes no interval: {fix}"
    return f"{number} texts say little of how good it is: where all are right, an interval has no width; {fix}"


def train(
    model: str,
    /,
    *,
    data: Files = (),
    val_data: Files = (),
    out: Path,
    seed: int = 0,
    adapter: Path | None = None,
    device: str = "auto",
) -> Trained:
    """Train a linear classifier on a model's vectors, and say how good it is on texts that were held out.

    Parameters
    ----------
    model
        A model folder, or a Hugging Face name (with the hub extra). It is left as it is.
    data
        Texts with their labels: tables, JSON, or files in a folder for each label.
    val_data
        Texts with labels to judge it by; a tenth of the data when not given, chosen by their hashes.
    out
        A new folder for the classifier and what it said of the texts that were held out.
    seed
        Of the folds by which the regularisation is chosen.
    """
    if not data:
        raise InputError(f"classify train {model} without --data", expected="files of texts with their labels")
    check_is_new(out)
    train_texts, judged_texts = _split(data, val_data)
    with stderr_console().announced(f"loading {model} ..."):
        from textwright.api.classifier import Classifier
        from textwright.api.model import load
        from textwright.api.texts_to_vectors import embed_shown, places_of_model
        from textwright.core.progress import bar
        from textwright.evaluation.fitted_folder import write_fitted
        from textwright.evaluation.linear_classifier import NUM_FITS, fit_classifier

        loaded = load(model, adapter=adapter, device=device)
    texts = [one.text for one in train_texts]
    vectors = embed_shown(loaded, texts + [one.text for one in judged_texts])
    with bar("fitting", NUM_FITS) as progress:
        labels = [str(one.label) for one in train_texts]
        fitted = fit_classifier(vectors[: len(texts)], texts, labels, seed=seed, progress=progress)
    classifier = Classifier(loaded, fitted)
    rows = classifier.rows(judged_texts, vectors[len(texts) :])
    known = places_of_model(model, adapter, out) | {"seed": seed, "num_train": len(texts)}
    write_fitted(out, classifier.name, classifier.as_fitted(**known), rows)
    figures, majority = _figures(rows, labels)
    return Trained(out, classifier.labels, fitted.regularisation, len(texts), len(rows), figures, majority)


def _split(data: Sequence[Path], val_data: Sequence[Path]) -> tuple[list[LabelledText], list[LabelledText]]:
    """The texts to learn from, and those to judge by, with their labels in words."""
    from textwright.evaluation.linear_classifier import check_labels, held_out_places

    read = read_labelled_texts(data)
    check_have_text(read.texts)
    named = read.named()
    check_labels([str(one.label) for one in named])
    if not val_data:
        held_out = set(held_out_places([one.text for one in named], [str(one.label) for one in named]))
        kept = [one for place, one in enumerate(named) if place not in held_out]
        return kept, [named[place] for place in sorted(held_out)]
    others = read_labelled_texts(val_data)
    check_have_text(others.texts)
    known = {one.label for one in named}
    for one in others.named():
        if one.label not in known:
            shown = ", ".join(sorted(map(str, known))[:12])
            raise InputError(f"the label {one.label!r}", where=one.id, expected=f"one of --data: {shown}")
    return named, others.named()


def _figures(rows: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> "tuple[dict[str, Scored], dict[str, Scored]]":
    """Of the classifier, and of who always says the most frequent of the labels."""
    from textwright.evaluation.metrics.base import Judged
    from textwright.evaluation.score import find_metrics, score

    examples = [
        Judged(row["prediction"], tuple(row["references"]), row["source"], {"probabilities": row["probabilities"]})
        for row in rows
    ]
    ((most_frequent, _),) = Counter(labels).most_common(1)
    always = [Judged(most_frequent, one.references) for one in examples]
    return score(examples, find_metrics(METRICS)), score(always, find_metrics("accuracy,f1"), num_resamples=0)


@dataclass(frozen=True)
class Applied(Result):
    """What kinds texts are."""

    rows: list[dict[str, Any]]
    out: Path | None

    def as_json(self) -> dict[str, Any]:
        keys = ("id", "prediction", "probabilities")
        return {"texts": [{"text": row["source"]} | {key: row[key] for key in keys} for row in self.rows]}

    def show(self) -> None:
        table = Table(
            Column("text", overflow="ellipsis", no_wrap=True, max_width=60), "label", "probabilities", box=None
        )
        for row in self.rows:
            likeliest = list(row["probabilities"].items())[:SHOWN_LABELS]
            table.add_row(row["source"], row["prediction"], ", ".join(f"{name} {p:.3f}" for name, p in likeliest))
        stdout_console().print(table)
        if self.out is not None:
            stderr_console().print(f"{counted(len(self.rows), 'prediction')} in {self.out}")


def apply(
    classifier: Path,
    texts: Annotated[tuple[str, ...], Parameter(show_default=False)] = (),
    /,
    *,
    texts_file: Path | None = None,
    data: Files = (),
    model: str | None = None,
    out: Path | None = None,
    adapter: Path | None = None,
    device: str = "auto",
) -> Applied:
    """Say what kind texts are, by a classifier that was trained.

    Parameters
    ----------
    classifier
        The folder that classify train made.
    texts
        The texts.
    texts_file
        A file with a text on each line, instead.
    data
        Files of texts with or without labels, instead.
    model
        Where the model is that it was trained with, if not where it was.
    out
        A file of predictions to write, as JSON lines; with labels in the data it is judged by score.
    """
    meant = texts_meant(texts, texts_file, data)
    if out is not None:
        check_can_be_written(out, is_file=True)
    with stderr_console().announced("loading torch ..."):
        from textwright.api.classifier import Classifier
        from textwright.api.texts_to_vectors import apply_made

    where: dict[str, Any] = {"model": model, "adapter": adapter, "device": device}
    return Applied(apply_made(Classifier, classifier, meant, out=out, **where), out)
