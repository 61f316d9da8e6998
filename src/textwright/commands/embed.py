"""``textwright embed``: texts to vectors, for other programs to build on."""

import io
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from textwright.core.console import command_line, stderr_console, stdout_console
from textwright.core.errors import InputError, check_is_text
from textwright.core.files import write_atomically
from textwright.core.progress import bar
from textwright.core.user_paths import check_can_be_written, given_path, read_text


def embed(
    model: str,
    texts: Annotated[tuple[str, ...], Parameter(show_default=False)] = (),
    /,
    *,
    texts_file: Path | None = None,
    out: Path | None = None,
    device: str = "auto",
    json: bool = False,
) -> None:
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
    device
        auto, cpu or cuda.
    json
        Print one JSON object on standard output: hidden_size and vectors.
    """
    wanted = list(texts)
    if texts_file is not None:
        if wanted:
            raise InputError("texts and --texts-file", expected="one of them")
        wanted = [line for line in read_text(texts_file).splitlines() if line.strip()]
    if not wanted:
        raise InputError("no text", fix=f"for example: {command_line('embed', model, 'a sentence', 'another')}")
    check_is_text(*wanted)
    if out is not None:
        if out.suffix != ".npy":
            raise InputError(f"--out {out}", expected="a name that ends in .npy")
        check_can_be_written(out, is_file=True)

    with stderr_console().announced(f"loading {model} ..."):
        import numpy as np

        from textwright.api import load

        loaded = load(model, device=device)
    with bar("embedding", len(wanted)) as progress:
        vectors = loaded.embed(wanted, progress=progress).numpy()
    if out is not None:
        content = io.BytesIO()
        np.save(content, vectors)
        with given_path(out):
            write_atomically(out, content.getvalue())
        stderr_console().print(f"{vectors.shape[0]:,} vectors of {vectors.shape[1]:,} numbers in {out}")
    if json:
        stdout_console().write_json({"hidden_size": int(vectors.shape[1]), "vectors": vectors.tolist()})
    elif out is None:
        screen = stdout_console()
        for vector in vectors:
            screen.write(" ".join(f"{number:.6g}" for number in vector) + "\n")
