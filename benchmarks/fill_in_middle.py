"""Whether a model that was fine-tuned with ``--fim`` writes a missing line better than one that only goes on.

    python benchmarks/fill_in_middle.py FOLDER [--steps 2000 1300] [--passes 3] [--seeds 0] [--write docs/finetuning.md]

The text is Python's standard library, of which some files are held out. A model of four million parameters is trained
from scratch on the others, and then fine-tuned on them with ``--fim 0.9``, several times one after the other, each with
a seed of its own: so other lines are missing each time. It is asked for lines of the held-out files as the task
``line_infilling`` does: told what stands before and after the line, and, the same model, told what stands before alone.
Lines are drawn three times: of ten characters and more from those that stand nowhere in the files that it learned from
and from all, and from all of any length, as single lines are in Bavarian et al. 2022 (arXiv:2207.14255). Models and
predictions that are there stay: call it again, and it goes on. A finished seed is a line of
benchmarks/results/fill-in-middle.jsonl; --write puts them into the document.
"""

import argparse
import shutil
import sysconfig
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from platform import python_version
from typing import Any

from kept_runs import finished, keep, trained, write_between
from tasks_table import numbers, textwright

from textwright.api.model import Model, load
from textwright.api.task_evaluation import evaluate_task
from textwright.commands.demo import standard_library_files
from textwright.core.device import processor_name
from textwright.core.files import sha256_file
from textwright.core.seeds import hash_u64
from textwright.evaluation.evaluation_folder import PREDICTIONS
from textwright.tasks.base import Example
from textwright.tasks.line_infilling import LineInfilling

NAME = "fill-in-middle"
CONTEXT, PIECE, NUM_LINES = 256, 192, 500
"""Of the model; tokens of a piece that a line is missing of; lines that are asked for."""
PARTS, HELD_OUT, VALIDATION = 24, range(4), 4
"""Files fall into so many parts by the hash of their names; of these lines are asked for; of that a few are looked at
while a model trains."""
ROOM = PIECE - LineInfilling.max_new_tokens - 8
"""Tokens that prefix and suffix may have together."""
SIZES = ("--precision", "float32", "--max-eval-tokens", "16384")
FIM = ("--batch-size", "11", "--fim", "0.9", "--learning-rate", "0.001", "--sequence-length", str(PIECE))
UNSEEN, ANY, ANY_LENGTH = "lines that it never read", "any lines", "lines of any length"


class LinesOfAnyLength(LineInfilling):
    """The line nearest to the middle of each passage, and be it ``try:``."""

    fewest_characters = 1


class DrawnLines(LineInfilling):
    """Some of the lines of the held-out files."""

    def __init__(self, drawn: Sequence[Example], *, has_suffix: bool) -> None:
        self._drawn, self._has_suffix = drawn, has_suffix

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:  # noqa: ARG002
        """Those that were drawn; as if nothing stood after them, where that is asked for."""
        for example in self._drawn:
            yield example if self._has_suffix else replace(example, prefix_suffix=None)


def main() -> None:
    """Make the seeds that are not done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="where text, runs and predictions are kept")
    parser.add_argument("--steps", nargs=2, type=int, default=(2000, 1300), metavar=("TRAIN", "FINETUNE"))
    parser.add_argument("--passes", type=int, default=3, help="how often it is fine-tuned, with other lines missing")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--write", type=Path, help="a document whose table is replaced")
    options = parser.parse_args()
    texts = standard_library(options.folder)
    head = {"steps": list(options.steps), "passes": options.passes, "processor": processor_name()}
    for seed in options.seeds:
        if f"seed {seed}" not in finished(NAME, head):
            found = measured(seed, texts, options.folder / f"seed-{seed}", options.steps, options.passes)
            row = {"row": f"seed {seed}"} | head | found
            keep(NAME, row)
            print("\n".join(table({"": row})), flush=True)
    if options.write:
        write_between(options.write, NAME, table(finished(NAME, head)))


def standard_library(folder: Path) -> dict[str, Path]:
    """Copies of its files: what is learned, what is validated on, and what lines are asked of."""
    folders = {name: folder / "text" / name for name in ("learned", "validation", "held-out")}
    if not (folder / "text").exists():
        root, making = Path(sysconfig.get_paths()["stdlib"]), folder / "making"
        shutil.rmtree(making, ignore_errors=True)
        for path in standard_library_files():
            name = ".".join(path.relative_to(root).parts)
            part = hash_u64("fill in middle", name) % PARTS
            inside = "held-out" if part in HELD_OUT else "validation" if part == VALIDATION else "learned"
            (making / inside).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, making / inside / name)
        making.rename(folder / "text")
    return folders


def measured(seed: int, texts: dict[str, Path], folder: Path, steps: Sequence[int], passes: int) -> dict[str, Any]:
    """The models of a seed, and the lines that they write."""
    learned, held = texts["learned"], texts["held-out"]
    data = ["--data", str(learned), "--val-data", str(texts["validation"])]
    shape = ["--model.preset", "tiny", "--model.context-length", str(CONTEXT), "--tokenizer", "bpe:4096"]
    shape += ["--batch-size", "8"]
    base = trained(folder / "base", "train", *data, *shape, *SIZES, "--steps", str(steps[0]), "--seed", str(seed))
    filling = base
    for number in range(1, passes + 1):
        drawn_by = ["--steps", str(steps[1]), "--seed", str(1000 * seed + number)]
        filling = trained(folder / f"fim-{number}", "finetune", str(filling), *data, *FIM, *SIZES, *drawn_by)
    model, before, drawn = load(filling, device="cpu"), load(base, device="cpu"), dict[str, Any]()
    for name, some in draw(model, learned, held).items():
        predictions = folder / f"predictions-{passes}" / name
        drawn[name] = some["counts"] | compared(model, before, some["lines"], held, predictions)
    hashes = {"base": sha256_file(base / "model.safetensors"), "fim": sha256_file(filling / "model.safetensors")}
    return {"python": python_version(), "model_sha256": hashes, "lines": drawn}


def draw(model: Model, learned: Path, held: Path) -> dict[str, dict[str, Any]]:
    """Lines of the held-out files that fit into the context with what stands about them, drawn by their hash."""
    read = {line.strip() for path in learned.iterdir() for line in path.read_text(errors="replace").split("\n")}
    code = {f"{path.name}:{number}" for path in held.iterdir() for number in numbers_of_code(path)}
    drawn = dict[str, dict[str, Any]]()
    for name, task in {ANY: LineInfilling(), ANY_LENGTH: LinesOfAnyLength()}.items():
        fitting = [one for one in task.examples([held]) if one.id in code and length(model, one) <= ROOM]
        fitting.sort(key=lambda one: hash_u64("draw", one.id, one.prompt, one.completion))
        unseen = [one for one in fitting if one.references[0] not in read]
        counts = {"candidates": len(fitting), "also_in_what_was_learned": len(fitting) - len(unseen)}
        drawn[name] = {"lines": fitting[:NUM_LINES], "counts": counts}
        if name == ANY:
            drawn[UNSEEN] = {"lines": unseen[:NUM_LINES], "counts": counts}
    return drawn


def numbers_of_code(path: Path) -> set[int]:
    """Which lines of a file, from 1, are more than a comment or a part of a longer text."""
    with open(path, "rb") as file:
        tokens = list(tokenize.tokenize(file.readline))
    return {one.start[0] for one in tokens if one.type in (tokenize.NAME, tokenize.OP, tokenize.NUMBER)}


def length(model: Model, example: Example) -> int:
    """Tokens of what stands before and after a line."""
    return sum(len(model.tokenizer.encode(text)) for text in example.prefix_suffix or ())


def compared(model: Model, base: Model, lines: Sequence[Example], held: Path, folder: Path) -> dict[str, Any]:
    """How many lines are right, with what stands after them and without, and whether that differs."""
    asked = {
        "filling in": (model, DrawnLines(lines, has_suffix=True)),
        "left to right": (model, DrawnLines(lines, has_suffix=False)),
        "left to right, before": (base, DrawnLines(lines, has_suffix=False)),
    }
    found = dict[str, Any]()
    for name, (one, task) in asked.items():
        report = evaluate_task(one, task, [held], out=folder / name.replace(",", "").replace(" ", "-"))
        found[name] = numbers(report.as_json()["metrics"])
    both = [str(folder / name / PREDICTIONS) for name in ("left-to-right", "filling-in")]
    difference = textwright("compare-scores", *both, "--metrics", "accuracy")["metrics"]["accuracy"]
    wanted = ("difference", "low", "high", "p", "verdict")
    return {"examples": len(lines), "figures": found, "difference": {key: difference[key] for key in wanted}}


def table(rows: dict[str, dict[str, Any]]) -> list[str]:
    """The lines of the table, and what they come to."""
    lines = ["| lines | asked | to the letter |", "|---|---|---|"]
    for row in rows.values():
        for name, drawn in row["lines"].items():
            for asked, figures in drawn["figures"].items():
                one = figures["accuracy"]
                share = f"{one['value']:.1%} ({one['low']:.1%} to {one['high']:.1%})"
                lines.append(f"| {drawn['examples']} of {name} | {asked} | {share} |")
    for called, row in rows.items():
        train, fim = row["steps"]
        for name, drawn in row["lines"].items():
            more = drawn["difference"]
            share = f"{more['difference']:+.1%} ({more['low']:+.1%} to {more['high']:+.1%}; p {more['p']:.2g})"
            lines += ["", f"{called or row['row']}, {name}: filling in beside left to right {share}."]
        made = f"{train:,} steps from scratch, {row['passes']} times {fim:,} with --fim 0.9, of 2,048 tokens"
        lines += ["", f"Python {row['python']}; {made}; {row['processor']}."]
    return lines


if __name__ == "__main__":
    main()
