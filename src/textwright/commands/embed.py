"""``textwright embed``: texts to vectors, for other programs to build on."""

import json as json_format
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from textwright.core.errors import InputError
from textwright.core.progress import console


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
        Print one JSON object on standard output: width and vectors.
    """
    wanted = list(texts)
    if texts_file is not None:
        if wanted:
            raise InputError("texts and --texts-file", expected="one of them")
        try:
            wanted = [line for line in texts_file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        except FileNotFoundError:
            raise InputError(f"there is no file {texts_file}", fix="check the path") from None
        except UnicodeDecodeError as error:
            raise InputError(f"{texts_file} is not UTF-8 at byte {error.start:,}", expected="UTF-8 text") from None
    if not wanted:
        raise InputError("no text", fix=f"for example: textwright embed {model} 'a sentence' 'another'")
    if out is not None and out.suffix != ".npy":
        raise InputError(f"--out {out}", expected="a name that ends in .npy")

    import numpy as np

    from textwright.api import load

    vectors = load(model, device=device).embed(wanted).numpy()
    if out is not None:
        np.save(out, vectors)
        console().print(f"{vectors.shape[0]:,} vectors of {vectors.shape[1]:,} numbers in {out}")
    if json:
        print(json_format.dumps({"width": int(vectors.shape[1]), "vectors": vectors.tolist()}))
    elif out is None:
        for vector in vectors:
            print(" ".join(f"{number:.6g}" for number in vector))
