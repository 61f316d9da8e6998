"""Runs that are killed, cut off, filled up and damaged, and what they are compared by.

Each trial gives None where the promise held, or says what went wrong.
"""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from tests.durability.oplog import Act, Disk, read_log
from textwright.api import verify
from textwright.checkpoint.training_state import checkpoints
from textwright.core.files import TEMPORARY
from textwright.core.journal import read_rows
from textwright.runs.run_folder import Run, is_run

HERE = Path(__file__).parent
TEXT = " ".join(f"the number {n} is {'odd' if n % 2 else 'even'}, and {n * n} is its square;" for n in range(120))
TIMED = ("elapsed_s", "tokens_per_s", "memory_bytes")


def build_shim(folder: Path) -> Path | None:
    """The shim, compiled; None where there is no C compiler."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        return None
    shim = folder / "shim.so"
    source = HERE / "shim.c"
    subprocess.run([compiler, "-O1", "-Wall", "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
    return shim


class Laboratory:
    """A harness process and a folder for runs.

    Args:
        folder: where runs are made.
        shim: see ``build_shim``.
    """

    def __init__(self, folder: Path, shim: Path) -> None:
        self.folder = folder
        self.text = folder / "text.txt"
        self.text.write_text(TEXT)
        self.log = folder / "harness.log"
        settings = {"LD_PRELOAD": str(shim), "OMP_NUM_THREADS": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        self._errors = open(self.log, "w")  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "harness.py"), TEXT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=os.environ | settings,
        )
        assert self._answer() == {"ready": True}

    def run(self, folder: Path, *, steps: int = 8, **order: Any) -> int:
        """Begin the run in ``folder``, or go on with it, in a child. Returns its exit code, -9 when it was killed.

        Order: ``kill_at`` (an act's number), ``log`` (a path), ``kill_after_s``, ``stop_for_s``, ``more`` (steps).
        """
        assert self._process.stdin is not None
        folder.parent.mkdir(parents=True, exist_ok=True)
        order |= {"folder": str(folder), "text": str(self.text), "steps": steps}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        code: int = self._answer()["code"]
        return code

    def reference(self, steps: int = 8) -> dict[str, Any]:
        """What the uninterrupted run of so many steps comes to."""
        folder = self.folder / f"reference-{steps}" / "run"
        if not folder.exists():
            assert self.run(folder, steps=steps) == 0, self.log.read_text()
        return result(folder)

    def finishes(self, folder: Path, steps: int = 8) -> str | None:
        """Go on to the end. What is wrong, if anything: resume refused, or the result is another."""
        code = self.run(folder, steps=steps)
        if code != 0:
            return f"resume ended with {code}: {self.log.read_text()[-2000:]}"
        expected, found = self.reference(steps), result(folder)
        different = [name for name in expected if expected[name] != found[name]]
        if different:
            return f"different: {', '.join(different)}"
        left = [path.name for path in folder.rglob(".*.tmp")]
        return f"left behind: {left}" if left else None

    def acts(self) -> list[Act]:
        """What the uninterrupted run does to files."""
        log, folder = self.folder / "acts", self.folder / "recorded" / "run"
        if not log.exists():
            assert self.run(folder, log=str(log)) == 0, self.log.read_text()
        return read_log(log)

    def survives_kill(self, number: int) -> str | None:
        """Kill a run at an act, and go on with it."""
        folder = self._fresh("killed")
        code = self.run(folder, kill_at=number)
        return self.finishes(folder) if code in (-9, 0) else f"ended with {code}"

    def survives_power_cut(self, disk: Disk, how: Any, seed: int) -> str | None:
        """Go on with what a power cut leaves."""
        folder = self._fresh("cut")
        disk.lay_out(folder.parent, how, seed)
        return self.finishes(folder)

    def survives_random_kills(self, steps: int, kills: int, seed: int) -> str | None:
        """Kill one longer run many times at random moments."""
        folder, draw = self._fresh("random"), random.Random(seed)
        done = 0
        for _ in range(kills):
            code = self.run(folder, steps=steps, kill_after_s=draw.uniform(0.02, 0.5))
            if code not in (-9, 0):
                return f"ended with {code}: {self.log.read_text()[-2000:]}"
            done += code == -9
        if done < kills:
            return f"only {done} of {kills} kills came before the end: too few steps"
        return self.finishes(folder, steps)

    def survives_standstill(self, seconds: float, steps: int) -> str | None:
        """Stop a run (SIGSTOP) for a while, and let it go on."""
        folder = self._fresh("stopped")
        code = self.run(folder, steps=steps, stop_for_s=seconds)
        if code != 0:
            return f"ended with {code}"
        return None if result(folder) == self.reference(steps) else "different"

    def interrupted_run(self) -> Path:
        """A run killed late, with two checkpoints."""
        folder = self.folder / "interrupted" / "run"
        if not folder.exists():
            acts = self.acts()
            last = max(n for n, act in enumerate(acts, 1) if act.kind == "rename" and "step-6" in act.second)
            assert self.run(folder, kill_at=last + 3) == -9
        return folder

    def notices_damage(self, seed: int) -> str | None:
        """Flip a bit or cut a file of an interrupted run: verify names it, and resume passes it over or refuses."""
        folder, draw = self._fresh("damaged"), random.Random(seed)
        shutil.copytree(self.interrupted_run(), folder)
        parts = ("checkpoints", "best", "data")
        files = sorted(file for part in parts for file in (folder / part).rglob("*") if file.is_file())
        # A run killed while it deletes leaves a scrap, which is no part of it: resume sweeps it away unread.
        victim = draw.choice(
            [file for file in files if file.stat().st_size and not file.parent.name.endswith(TEMPORARY)]
        )
        raw = victim.read_bytes()
        if draw.random() < 0.5:
            place = draw.randrange(len(raw))
            hurt = raw[:place] + bytes([raw[place] ^ 1 << draw.randrange(8)]) + raw[place + 1 :]
        else:
            hurt = raw[: draw.randrange(len(raw))]
        victim.write_bytes(hurt)
        said = " ".join(finding.damage for finding in verify(folder) if finding.damage)
        if str(victim) not in said and str(victim.parent / "manifest.json") not in said:
            return f"{victim} was damaged and verify said {said!r}"
        if victim.is_relative_to(folder / "data"):
            code = self.run(folder)
            refused = self.log.read_text()
            return None if code == 2 and str(victim.parent) in refused else f"{victim}: resume ended with {code}"
        return self.finishes(folder)

    def _fresh(self, name: str) -> Path:
        shutil.rmtree(self.folder / name, ignore_errors=True)
        return self.folder / name / "run"

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.log.read_text()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()


def result(folder: Path) -> dict[str, Any]:
    """Everything of a finished run that must not depend on how often it was interrupted."""
    assert is_run(folder), f"{folder} is no run"
    run = Run.open(folder)
    newest = checkpoints(run.checkpoints)[0]
    facts = json.loads((newest / "facts.json").read_text())
    facts["progress"].pop("elapsed_s")
    return {
        "model": _digest(run.model / "model.safetensors"),
        "checkpoint": newest.name,
        "state": _digest(newest / "state.safetensors"),
        "facts": facts,
        "shards": [_digest(path) for path in sorted(run.data.glob("*.bin"))],
        "config": run.config.read_text(),
        "journal": [_untimed(row) for row in read_rows(run.journal) if row["kind"] != "event"],
        "samples": [_untimed(row) for row in read_rows(run.samples)],
    }


def _untimed(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in TIMED}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
