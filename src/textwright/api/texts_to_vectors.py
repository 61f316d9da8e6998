"""What commands on vectors have in common: vectors of texts, what is said by them, and where the model is."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from textwright.api.made_of_vectors import MadeOfVectors
from textwright.api.model import Model, load
from textwright.core.console import stderr_console
from textwright.core.errors import InputError
from textwright.core.files import write_atomically
from textwright.core.progress import bar
from textwright.core.user_paths import given_path
from textwright.core.words import counted
from textwright.evaluation.embed import embed_texts
from textwright.evaluation.fitted_folder import Fitted
from textwright.tasks.labelled_texts import LabelledTexts


def apply_made(
    kind: type[MadeOfVectors],
    folder: Path,
    texts: LabelledTexts,
    *,
    model: str | None = None,
    adapter: Path | None = None,
    out: Path | None = None,
    device: str = "auto",
) -> list[dict[str, Any]]:
    """What a classifier or clusters of a folder say of texts, as rows of a file of predictions.

    Args:
        kind: what it is.
        folder: where it is.
        texts: with labels or without.
        model: as ``load_model_of`` takes it.
        adapter: likewise.
        out: a file of JSON lines to write, too.
        device: as ``load``.

    Raises:
        InputError: the folder or the model is not there or not what it was, or the file cannot be written.
    """
    made = kind.read(folder, lambda fitted: load_model_of(fitted, folder, model, adapter, device))
    rows = made.rows(texts.named(), embed_shown(made.model, [one.text for one in texts.texts]))
    if out is not None:
        with given_path(out):
            write_atomically(out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return rows


def embed_shown(model: Model, texts: Sequence[str]) -> np.ndarray:
    """The vectors of texts, with how far it is, and how many were too long to be read at once."""
    with bar("embedding", len(texts)) as progress:
        found = embed_texts(model.network, model.tokenizer, texts, progress=progress)
    if found.num_long:
        stderr_console().print(
            f"{found.num_long:,} of {counted(len(texts), 'text')} {'is' if found.num_long == 1 else 'are'} longer than "
            f"the model's context of {model.network.context_length:,} tokens: cut into pieces, whose tokens count alike"
        )
    vectors: np.ndarray = found.vectors.numpy()
    return vectors


def places_of_model(model: str, adapter: Path | None, folder: Path) -> dict[str, str]:
    """What to write down of where a model and its adapter are: how they lie beside the folder, or names of the hub."""
    found = {"model": os.path.relpath(model, folder) if os.path.isdir(model) else model}
    return found if adapter is None else found | {"adapter": os.path.relpath(adapter, folder)}


def load_model_of(fitted: Fitted, folder: Path, given: str | None, adapter: Path | None, device: str) -> Model:
    """The model that something was fitted with.

    Args:
        fitted: what was read.
        folder: it was read from.
        given: where the model is; where it was, when not given.
        adapter: likewise its adapter, if it has one.
        device: as ``load``.

    Raises:
        InputError: it is not there any more, or nobody said where it is.
    """
    if adapter is None and "adapter" in fitted.values:
        adapter = _beside(folder, str(fitted.values["adapter"]))
        if not adapter.is_dir():
            what = f"the adapter {adapter} is not there any more"
            raise InputError(what, where=str(folder), fix="name it with --adapter")
    if given is not None:
        return load(given, adapter=adapter, device=device)
    if "model" not in fitted.values:  # saved in Python, where a model need not be in a folder
        raise InputError(f"{folder} does not say where its model is", fix="name it with --model")
    name = str(fitted.values["model"])
    beside = _beside(folder, name)
    if beside.is_dir():
        return load(beside, adapter=adapter, device=device)
    if name.startswith(".") or os.path.isabs(name):
        raise InputError(f"the model {beside} is not there any more", where=str(folder), fix="name it with --model")
    return load(name, adapter=adapter, device=device)


def _beside(folder: Path, name: str) -> Path:
    return Path(os.path.normpath(folder / name))
