"""Weights and tables of numbers that somebody gives as text are refused by what they are."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import safetensors.numpy
import torch

from textwright.core.errors import InputError
from textwright.text.read import read_texts


def saved(save: Callable[[io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    save(file)
    return file.getvalue()


def arrow(*, is_stream: bool) -> bytes:
    table = pyarrow.table({"text": ["a", "b"] * 50})

    def write(file: io.BytesIO) -> None:
        begin = pyarrow.ipc.new_stream if is_stream else pyarrow.ipc.new_file
        with begin(file, table.schema) as writer:
            writer.write_table(table)

    return saved(write)


WEIGHTS = {"layer.weight": np.arange(12, dtype=np.float32).reshape(3, 4)}
TENSORS = {name: torch.from_numpy(one) for name, one in WEIGHTS.items()}
FILES = {
    "model.safetensors": (safetensors.numpy.save(WEIGHTS), "a safetensors file"),
    "described.safetensors": (safetensors.numpy.save(WEIGHTS, {"format": "pt"}), "a safetensors file"),
    "wide.safetensors": (
        safetensors.numpy.save({f"{'long ' * 40}{number}": WEIGHTS["layer.weight"] for number in range(400)}),
        "a safetensors file",
    ),
    "model.pt": (saved(lambda file: torch.save(TENSORS, file)), "a PyTorch checkpoint"),
    "old.bin": (
        saved(lambda file: torch.save(TENSORS, file, _use_new_zipfile_serialization=False)),
        "a PyTorch checkpoint",
    ),
    "model.gguf": (b"GGUF\x03\x00\x00\x00" + bytes(16), "a GGUF model"),
    "model.ggml": (b"tjgg\x03\x00\x00\x00\x00\x7d\x00\x00" + bytes(16), "a GGML model"),
    "array.npy": (saved(lambda file: np.save(file, np.arange(9))), "a NumPy array"),
    "arrays.npz": (saved(lambda file: np.savez(file, tokens=np.arange(9))), "an archive of NumPy arrays (.npz)"),
    "stream.arrow": (arrow(is_stream=True), "an Arrow table"),
    "file.arrow": (arrow(is_stream=False), "an Arrow table"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("replaces", [False, True], ids=["", "replaced"])
def test_what_holds_numbers_is_named(tmp_path: Path, name: str, replaces: bool) -> None:
    raw, what = FILES[name]
    path = tmp_path / f"{name}.txt"
    path.write_bytes(raw)
    fix = "save it as a Parquet table (.parquet), or leave it out" if "Arrow" in what else "it holds numbers, no text"
    with pytest.raises(InputError) as refused:
        list(read_texts([path], **({"invalid_utf8": "replace"} if replaces else {})))
    assert str(refused.value).startswith(f"{path} is {what}; expected UTF-8 text; {fix}")


@pytest.mark.parametrize("text", ["FEA1 is a name", "Obj and GGUF", "lmgg tjgg", '{"a": 1}', "12345678{ and }"])
def test_text_that_begins_alike_is_text(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text)
    assert list(read_texts([path])) == [text]


def test_other_archives_are_still_archives(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("data.txt", "words")
    with pytest.raises(InputError, match="is a ZIP archive; expected UTF-8 text; unpack it"):
        list(read_texts([path]))
