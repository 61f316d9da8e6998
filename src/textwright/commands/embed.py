"""``textwright embed``: texts to vectors, for other programs to build on."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter

from textwright.core.console import command_line, stderr_console, stdout_console
from textwright.core.errors import InputError, check_is_text
from textwright.core.files import write_atomically
from textwright.core.progress import bar
from textwright.core.result import Result
from textwright.core.user_paths import check_can_be_written, given_path, read_text


@dataclass(frozen=True)
class Embedded(Result):
    """Vectors, and the file that holds them."""

    vectors: np.ndarray[Any, np.dtype[np.float32]]
    """float32, texts x width."""
    out: Path | None

    def as_json(self) -> dict[str, Any]:
        return {"hidden_size": int(self.vectors.shape[1]), "vectors": self.vectors.tolist()}

    def show(self) -> None:
        out = stdout_console()
        if self.out is None:
            for vector in self.vectors:
                out.write(" ".join(f"{number:.6g}" for number in vector) + "\n")


def embed(
    model: str,
    texts: Annotated[tuple[str, ...], Parameter(show_default=False)] = (),
    /,
    *,
    texts_file: Path | None = None,
    out: Path | None = None,
    adapter: Path | None = None,
    device: str = "auto",
) -> Embedded:
    """Turn texts into vectors: the mean of the model's last hidden states.

    Parameters
    ----------
    model
        A model folder, or a Hugging Face name (with the hub extra).
    texts
        The texts.
    texts_file
        A file with a text on each line, instead.
    out
        Write the vectors to this .npy file: float32, texts x width.
    """
    wanted = _texts(texts, texts_file, model)
    if out is not None:
        if out.suffix != ".npy":
            raise InputError(f"--out {out}", expected="a name that ends in .npy")
        check_can_be_written(out, is_file=True)

    with stderr_console().announced(f"loading {model} ..."):
        from textwright.api import load

        loaded = load(model, adapter=adapter, device=device)
    with bar("embedding", len(wanted)) as progress:
        vectors = loaded.embed(wanted, progress=progress).numpy()
    if out is not None:
        content = io.BytesIO()
        np.save(content, vectors)
        with given_path(out):
            write_atomically(out, content.getvalue())
        stderr_console().print(f"{vectors.shape[0]:,} vectors of {vectors.shape[1]:,} numbers in {out}")
    return Embedded(vectors, out)


def _texts(texts: tuple[str, ...], texts_file: Path | None, model: str) -> list[str]:
    wanted = list(texts)
    if texts_file is not None:
        if wanted:
            raise InputError("texts and --texts-file", expected="one of them")
        wanted = [line for line in read_text(texts_file).splitlines() if line.strip()]
    if not wanted:
        raise InputError("no text", fix=f"for example: {command_line('embed', model, 'a sentence', 'another')}")
    check_is_text(*wanted)
    return wanted
