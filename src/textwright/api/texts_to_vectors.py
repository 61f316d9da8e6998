"""What commands on vectors have in common: which texts are meant, their vectors, and where the model is."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from textwright.api.model import Model, load
from textwright.core.console import stderr_console
from textwright.core.errors import InputError, check_is_text
from textwright.core.progress import bar
from textwright.core.user_paths import read_text
from textwright.evaluation.embed import embed_texts
from textwright.evaluation.fitted_folder import Fitted
from textwright.tasks.labelled_texts import LabelledText, LabelledTexts, check_have_text, read_texts


def texts_meant(texts: Sequence[str], texts_file: Path | None, data: Sequence[Path]) -> LabelledTexts:
    """The texts of a command line: given as they are, a line each in a file, or in files of data.

    Raises:
        InputError: none, in more than one of these ways, or an empty one.
    """
    ways = [name for name, given in (("texts", texts), ("--texts-file", texts_file), ("--data", data)) if given]
    if len(ways) != 1:
        what = " and ".join(ways) if ways else "no text"
        raise InputError(what, expected="texts, --texts-file FILE or --data FILES: one of them")
    if data:
        found = read_texts(data)
        check_have_text(found.texts)
        return found
    lines = texts if texts_file is None else read_text(texts_file).splitlines()
    where = "text" if texts_file is None else texts_file.name
    given = [LabelledText(one, None, f"{where}:{number}") for number, one in enumerate(lines, start=1)]
    if texts_file is not None:
        given = [one for one in given if one.text.strip()]
        if not given:
            raise InputError(f"{texts_file} holds no text", expected="a text on each line")
    check_is_text(*(one.text for one in given))
    check_have_text(given)
    return LabelledTexts(given, {})


def embed_shown(model: Model, texts: Sequence[str]) -> np.ndarray:
    """The vectors of texts, with how far it is, and how many were too long to be read at once."""
    with bar("embedding", len(texts)) as progress:
        found = embed_texts(model.network, model.tokenizer, texts, progress=progress)
    if found.num_long:
        stderr_console().print(
            f"{found.num_long:,} of {len(texts):,} texts are longer than the model's context of "
            f"{model.network.context_length:,} tokens: cut into pieces, whose tokens count alike"
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
        InputError: it is not there any more.
    """
    if adapter is None and "adapter" in fitted.values:
        adapter = _beside(folder, str(fitted.values["adapter"]))
        if not adapter.is_dir():
            what = f"the adapter {adapter} is not there any more"
            raise InputError(what, where=str(folder), fix="name it with --adapter")
    if given is not None:
        return load(given, adapter=adapter, device=device)
    name = str(fitted.values["model"])
    beside = _beside(folder, name)
    if beside.is_dir():
        return load(beside, adapter=adapter, device=device)
    if name.startswith(".") or os.path.isabs(name):
        raise InputError(f"the model {beside} is not there any more", where=str(folder), fix="name it with --model")
    return load(name, adapter=adapter, device=device)


def _beside(folder: Path, name: str) -> Path:
    return Path(os.path.normpath(folder / name))
