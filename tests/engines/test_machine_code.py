"""Kernels kept as machine code: called without Numba, made anew where they are damaged, never taken where they lack
something."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textwright.api.model import Model, load
from textwright.checkpoint.stored_weights import lay_by_rows
from textwright.engines.config import EngineConfig
from textwright.engines.cpu import packing
from textwright.engines.cpu.kernels.thread_pool import do_jobs
from textwright.kernels import kept_function, machine_code
from textwright.kernels.kept_function import KeptFunction
from textwright.kernels.numba_intrinsics import jit_entry
from textwright.models.language_model import LanguageModel
from textwright.tokens import Tokenizer

KEPT = [
    do_jobs,
    packing.choose_base_exponents,
    packing.extract_outliers,
    packing.encode_float32,
    packing.encode_bfloat16,
]
DECODES = """
import sys
from textwright.api import EngineConfig, load
for precision in ("float32", "bfloat16", "int8"):
    engine = EngineConfig(engine="cpu", precision=precision)
    print(load(sys.argv[1]).complete(["a"], engine=engine, temperature=0, max_new_tokens=8)[0].text.encode())
print(sorted({"numba"} & set(sys.modules)))
"""


@jit_entry
def scaled_sum(one: int, other: int) -> int:
    return 3 * one + other


@jit_entry
def sum_of_an_array(one: int, other: int) -> int:
    """Its memory is Numba's."""
    return int(np.full(one, other).sum())


@jit_entry
def refusal(one: int, other: int) -> int:
    if one == other:
        raise ValueError
    return one


def kept(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> KeptFunction:
    """A function of this file, kept in a folder."""
    monkeypatch.setattr(kept_function, "kernel_folder", lambda _: folder)
    made = KeptFunction(__name__, name, 2)
    monkeypatch.setattr(kept_function, "import_module", lambda _: sys.modules[__name__])
    return made


def test_decoding_does_not_need_numba(tmp_path: Path, gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    model = Model(gpt2, tokenizer)
    model.save(tmp_path / "model")
    expected = [
        model.complete(["a"], engine=EngineConfig(engine="cpu", precision=precision), temperature=0, max_new_tokens=8)
        for precision in ("float32", "bfloat16", "int8")
    ]
    assert all(one.is_kept for one in KEPT)
    arguments = [sys.executable, "-c", DECODES, str(tmp_path / "model")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, env=os.environ)
    *texts, imported = done.stdout.splitlines()
    assert texts == [repr(one[0].text.encode()) for one in expected]
    assert imported == "[]"


def test_what_is_kept_is_called_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = kept("scaled_sum", tmp_path, monkeypatch)
    assert not first.is_kept
    assert first(2, 5) == 11
    assert first.is_kept
    monkeypatch.setattr(machine_code, "compile_to_machine_code", lambda *_: pytest.fail("compiled again"))
    assert kept("scaled_sum", tmp_path, monkeypatch)(-2, 5) == -1


def test_code_is_loaded_once_however_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, load_code = list[str](), machine_code.load

    def noted(code: bytes, symbol: str) -> int:
        loaded.append(symbol)
        return load_code(code, symbol)

    monkeypatch.setattr(machine_code, "load", noted)
    one = kept("scaled_sum", tmp_path, monkeypatch)
    one.prepare()
    assert one.address
    assert len(loaded) == 1


@pytest.mark.parametrize("damage", ["cut", "bit", "no line", "empty"])
def test_what_is_damaged_is_made_anew(tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept("scaled_sum", tmp_path, monkeypatch).prepare()
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    flipped = whole[:-1] + bytes([whole[-1] ^ 1])
    path.write_bytes({"cut": whole[:-8], "bit": flipped, "no line": b"\x7fELF", "empty": b""}[damage])
    assert machine_code.read_code(path) is None
    assert kept("scaled_sum", tmp_path, monkeypatch)(2, 5) == 11
    assert machine_code.read_code(path) is not None


def test_code_that_lacks_something_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept("scaled_sum", tmp_path, monkeypatch).prepare()
    (path,) = tmp_path.iterdir()
    line, _, code = path.read_bytes().partition(b"\n")
    told: dict[str, Any] = json.loads(line) | {"needs": ["no_such_function_anywhere"]}
    path.write_bytes(json.dumps(told).encode() + b"\n" + code)
    assert machine_code.read_code(path) is None


def test_what_needs_numbas_memory_is_left_to_numba(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = kept("sum_of_an_array", tmp_path, monkeypatch)
    assert one(4, 3) == 12
    assert not one.is_kept


def test_an_exception_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = kept("refusal", tmp_path, monkeypatch)
    assert one(1, 2) == 1
    with pytest.raises(RuntimeError, match="the kernel refusal failed"):
        one(2, 2)


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    one = kept("scaled_sum", tmp_path / "file" / "folder", monkeypatch)
    assert one(2, 5) == 11


def test_weights_that_lie_the_other_way_round_are_copied_when_they_are_asked_for(
    tmp_path: Path, gpt2: LanguageModel, tokenizer: Tokenizer
) -> None:
    Model(gpt2, tokenizer).save(tmp_path / "model")
    model, engine = load(tmp_path / "model"), EngineConfig(engine="cpu", precision="int8")
    expected = model.complete(["a"], engine=engine, temperature=0, max_new_tokens=8)[0].text
    decoder = model.decoder(engine)
    assert not all(parameter.is_contiguous() for parameter in model._weights.network.parameters())
    assert all(parameter.is_contiguous() for parameter in model.network.parameters())
    assert model.decoder(engine) is decoder
    assert model.files is not None
    assert model.complete(["a"], engine=engine, temperature=0, max_new_tokens=8)[0].text == expected
    for (name, read), made in zip(model.network.named_parameters(), gpt2.parameters(), strict=True):
        assert (read == made).all(), name
    model.network.token_embedding.weight.data.zero_()  # and a change is seen as before
    model.changed()
    assert model.files is None
    assert model.decoder(engine) is not decoder


def test_who_looks_while_weights_are_copied_sees_no_change(
    tmp_path: Path, gpt2: LanguageModel, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model is hashed in a thread beside other work."""
    Model(gpt2, tokenizer).save(tmp_path / "model")
    model, found = load(tmp_path / "model"), list[bool]()

    def look(network: LanguageModel) -> None:
        lay_by_rows(network)
        looking.start()
        looking.join(0.2)

    looking = threading.Thread(target=lambda: found.append(model.files is not None))
    monkeypatch.setattr("textwright.api.weights.lay_by_rows", look)
    assert model.network is not None
    looking.join()
    assert found == [True]
