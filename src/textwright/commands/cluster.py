"""``textwright cluster``: what kinds of texts there are, by a model's vectors of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from cyclopts import Parameter
from rich.table import Column, Table

from textwright.api.texts_meant import texts_meant
from textwright.core.console import stderr_console, stdout_console
from textwright.core.errors import InputError
from textwright.core.result import Result
from textwright.core.seeds import hash_u64
from textwright.core.user_paths import check_can_be_written, check_is_new
from textwright.core.words import counted

if TYPE_CHECKING:
    from textwright.evaluation.score import Scored

Files = Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative="", show_default=False)]
NUM_WORDS, NUM_NEAREST = 8, 3
NUM_SHUFFLES = 20
"""Of the clusters that chance would make."""


@dataclass(frozen=True)
class Cluster:
    """One of the clusters."""

    number: int
    size: int
    words: list[str]
    """That are typical of it."""
    nearest: list[str]
    """The texts that are nearest to its centre."""


@dataclass(frozen=True)
class Found(Result):
    """Clusters."""

    clusters: list[Cluster]
    num_texts: int
    silhouettes: dict[int, float]
    """Of each number of clusters that was tried."""
    figures: "dict[str, Scored]"
    """Where texts have labels."""
    by_chance: dict[str, float]
    """The figures of clusters of the same sizes that chance made."""
    out: Path | None

    def as_json(self) -> dict[str, Any]:
        return {
            "clusters": [vars(one) for one in self.clusters],
            "silhouette": self.silhouettes[len(self.clusters)],
            "silhouettes": {str(number): value for number, value in self.silhouettes.items()},
            "metrics": {name: one.as_json() for name, one in self.figures.items()},
            "baselines": {"one_cluster": dict.fromkeys(self.by_chance, 0.0), "random": self.by_chance}
            if self.figures
            else {},
            "num_texts": self.num_texts,
            "out": None if self.out is None else str(self.out),
        }

    def show(self) -> None:
        out, notes = stdout_console(), stderr_console()
        table = Table("cluster", "texts", "typical words", Column("nearest to its centre", overflow="fold"), box=None)
        for one in self.clusters:
            table.add_row(str(one.number), f"{one.size:,}", ", ".join(one.words), _short(one.nearest[0]))
            for text in one.nearest[1:]:
                table.add_row("", "", "", _short(text))
        out.print(table)
        if self.figures:
            figures = Table("figure", "clusters", "one cluster", "by chance", box=None)
            for name, figure in self.figures.items():
                figures.add_row(name, f"{figure.value:.4f}", "0.0000", f"{self.by_chance[name]:.4f}")
            out.print()
            out.print(figures)
        tried = [*self.silhouettes]
        among = f", the best of {tried[0]} to {tried[-1]} clusters" if len(tried) > 1 else ""
        silhouette = self.silhouettes[len(self.clusters)]
        how = "vectors standardised, of length 1"
        notes.print(f"{counted(self.num_texts, 'text')}; silhouette {silhouette:.4f}{among}; {how}")
        if self.out is not None:
            notes.show_command("next:  ", "cluster", "apply", self.out, "a text")


def train(
    model: str,
    /,
    *,
    data: Files = (),
    clusters: int | Literal["auto"] = "auto",
    out: Path | None = None,
    seed: int = 0,
    adapter: Path | None = None,
    device: str = "auto",
) -> Found:
    """Find clusters of texts by a model's vectors of them.

    Parameters
    ----------
    model
        A model folder, or a Hugging Face name (with the hub extra). It is left as it is.
    data
        Texts: rows of tables and JSON, files in folders, or the lines of files. With labels, it is said how well the
        clusters are these.
    clusters
        How many; auto tries 2 to 20 and takes the number whose silhouette is the largest.
    out
        A new folder for the centres and the cluster of each text.
    seed
        Of the beginnings.
    """
    if not data:
        raise InputError(f"cluster train {model} without --data", expected="files of texts")
    if isinstance(clusters, int) and clusters < 1:
        raise InputError(f"--clusters {clusters}", expected="at least 1, or auto")
    if out is not None:
        check_is_new(out)
    meant = texts_meant((), None, data)
    _check_number(clusters, [one.text for one in meant.texts])
    with stderr_console().announced(f"loading {model} ..."):
        from textwright.api.clusters import Clusters
        from textwright.api.model import load
        from textwright.api.texts_to_vectors import embed_shown, places_of_model
        from textwright.core.progress import bar
        from textwright.evaluation.fitted_folder import write_fitted
        from textwright.evaluation.k_means import MOST_CLUSTERS, fit_k_means

        loaded = load(model, adapter=adapter, device=device)
    vectors = embed_shown(loaded, [one.text for one in meant.texts])
    number = None if clusters == "auto" else clusters
    with bar("clustering", MOST_CLUSTERS - 1 if number is None else 1) as progress:
        found = Clusters(loaded, fit_k_means(vectors, number, seed=seed, progress=progress))
    named, distances = meant.named(), found.found.k_means.distances(vectors)
    rows = found.rows(named, vectors)
    if out is not None:
        known = places_of_model(model, adapter, out) | {"seed": seed, "num_texts": len(rows)}
        write_fitted(out, found.name, found.as_fitted(**known), rows)
    figures, by_chance = _figures(rows, seed)
    described = _described([one.text for one in named], distances)
    return Found(described, len(rows), found.found.silhouettes, figures, by_chance, out)


def _check_number(clusters: int | str, texts: Sequence[str]) -> None:
    """See that there can be so many clusters, before any text is embedded."""
    num_different = len(set(texts))
    number = clusters if isinstance(clusters, int) else 2
    if number > num_different:
        what = f"{num_different:,} different text{'' if num_different == 1 else 's'}"
        raise InputError(f"--clusters {clusters} of {what}", expected="at most as many")


def _figures(rows: Sequence[dict[str, Any]], seed: int) -> "tuple[dict[str, Scored], dict[str, float]]":
    """How well clusters are the labels, and how well clusters of the same sizes would be by chance."""
    from textwright.evaluation.metrics.base import Judged
    from textwright.evaluation.score import find_metrics, score

    if "references" not in rows[0]:
        return {}, {}

    def figures_of(clusters: Sequence[int]) -> "dict[str, Scored]":
        pairs = zip(rows, clusters, strict=True)
        examples = [Judged(str(one), tuple(row["references"]), details={"cluster": one}) for row, one in pairs]
        return score(examples, find_metrics("clustering"))

    clusters = [row["cluster"] for row in rows]
    rng, by_chance = np.random.default_rng(hash_u64("shuffle", seed)), list[dict[str, float]]()
    for _ in range(NUM_SHUFFLES):
        found = figures_of(rng.permutation(clusters).tolist())
        by_chance.append({name: one.value for name, one in found.items()})
    means = {name: float(np.mean([one[name] for one in by_chance])) for name in by_chance[0]}
    return figures_of(clusters), means


def _described(texts: Sequence[str], distances: np.ndarray) -> list[Cluster]:
    from textwright.evaluation.k_means import typical_words

    clusters, num_clusters = distances.argmin(axis=1), distances.shape[1]
    words = typical_words(texts, clusters, num_clusters, NUM_WORDS)
    found = []
    for number in range(num_clusters):
        places = np.flatnonzero(clusters == number)
        nearest = places[np.argsort(distances[places, number], kind="stable")]
        different = list(dict.fromkeys(texts[place] for place in nearest))[:NUM_NEAREST]
        found.append(Cluster(number, len(places), words[number], different))
    return found


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


@dataclass(frozen=True)
class Applied(Result):
    """The clusters of texts."""

    rows: list[dict[str, Any]]
    out: Path | None

    def as_json(self) -> dict[str, Any]:
        return {"texts": [{"text": row["source"], "id": row["id"], "cluster": row["cluster"]} for row in self.rows]}

    def show(self) -> None:
        table = Table(Column("text", overflow="ellipsis", no_wrap=True, max_width=80), "cluster", box=None)
        for row in self.rows:
            table.add_row(row["source"], str(row["cluster"]))
        stdout_console().print(table)
        if self.out is not None:
            stderr_console().print(f"{counted(len(self.rows), 'prediction')} in {self.out}")


def apply(
    clusters: Path,
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
    """Say to which cluster texts belong.

    Parameters
    ----------
    clusters
        The folder that cluster train made.
    texts
        The texts.
    texts_file
        A file with a text on each line, instead.
    data
        Files of texts with or without labels, instead.
    model
        Where the model is by which they were found, if not where it was.
    out
        A file of predictions to write, as JSON lines; with labels in the data it is judged by score.
    """
    meant = texts_meant(texts, texts_file, data)
    if out is not None:
        check_can_be_written(out, is_file=True)
    with stderr_console().announced("loading torch ..."):
        from textwright.api.clusters import Clusters
        from textwright.api.texts_to_vectors import apply_made

    where: dict[str, Any] = {"model": model, "adapter": adapter, "device": device}
    return Applied(apply_made(Clusters, clusters, meant, out=out, **where), out)
