"""The demo goes all the way on any text, and its standard library is real source without tests."""

from pathlib import Path

import pytest

from tests.cli.conftest import TEXT, Run
from textwright.commands.demo import standard_library_files


@pytest.mark.parametrize("copies", [20, 900])
def test_a_demo_on_ones_own_text_ends_with_everything_it_promises(
    textwright: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copies: int
) -> None:
    monkeypatch.setattr("textwright.commands.demo.MEASURING_S", 2.0)
    for name in ("a", "b", "c"):
        lines = (f"{name} {number} {TEXT}" for number in range(copies))
        (tmp_path / f"{name}.txt").write_text("".join(lines))
    out = tmp_path / "demo"
    done = textwright("demo", "--text", tmp_path / "a.txt", tmp_path / "b.txt", tmp_path / "c.txt",
                      "--minutes", 0.05, "--out", out, "--json")  # fmt: skip
    assert done.code == 0, done.err
    assert {"this model", "5-gram of the same tokens", "xz -9e", "zstd -19"} == set(done.json["baselines"])
    assert done.json["held_out"]["num_bytes"] > 0
    assert 1 <= len(done.json["completions"]) <= 3
    assert (out / "model" / "model.safetensors").is_file()
    assert "Held-out text" in (out / "report.html").read_text()
    again = textwright("demo", "--text", tmp_path / "a.txt", "--minutes", 0.05, "--out", out)
    assert again.code == 2
    assert "is there already" in again.err


def test_the_standard_library_is_real_source_without_its_tests() -> None:
    files = standard_library_files()
    assert len(files) > 400
    assert sum(path.stat().st_size for path in files) > 5_000_000
    assert not [path for path in files if {"test", "tests", "site-packages"} & set(path.parts[-4:])]


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "soon"])
def test_minutes_that_are_none_are_refused(textwright: Run, tmp_path: Path, minutes: str) -> None:
    done = textwright("demo", "--minutes", minutes, "--out", tmp_path / "demo")
    assert done.code == 2
    assert "minutes" in done.err.rstrip().split("\n")[-1]
    assert not (tmp_path / "demo").exists()
