"""How well a model of five million parameters does each task after three minutes of training, beside what needs none.

    python benchmarks/tasks_table.py FOLDER [--rows NAME...] [--tokens N] [--write docs/tasks.md]

The base is made first: twenty minutes on the English novels. Each row then takes it, trains it by ``fit`` on a task's
pairs for as many tokens as it read in three of its own minutes (so that a busy machine makes a row slower, not worse),
and judges it on texts that nothing was trained on. A row that is done stays: call it again, and it goes on. Finished
rows are lines of benchmarks/results/tasks.jsonl, with the processor's name and the base's hash; --write puts them into
the document.
"""

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from public_text import public
from tasks_table_rows import ROWS, TaskRow

from textwright.api.model import load
from textwright.core.device import processor_name
from textwright.core.files import sha256_file
from textwright.core.journal import read_rows
from textwright.core.seeds import hash_u64
from textwright.evaluation.evaluation_folder import PREDICTIONS
from textwright.evaluation.predict import Placed, program_of, row_of
from textwright.evaluation.predictions import prediction_of
from textwright.evaluation.sandbox import Sandbox
from textwright.evaluation.score import find_metrics, score
from textwright.tasks.baselines import find_baseline
from textwright.tasks.catalog import find_task
from textwright.tasks.references import completions_of

RESULTS = Path(__file__).parent / "results" / "tasks.jsonl"
BASE_MINUTES, TASK_MINUTES = 20, 3
CONTEXT, TOKENS_A_STEP, LEARNING_RATE = 512, 2048, 0.001
BASE = ["--tokenizer", "bpe:8192", "--model.preset", "tiny", "--model.context-length", str(CONTEXT)]
VALIDATION = 200
"""Pairs, at most, by which the best model of a training is known: a twentieth."""


def main() -> None:
    """Make the base where there is none, then the rows that are not done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="where models, pairs and predictions are kept")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--tokens", type=int, help="of each task's training, instead of three minutes' worth")
    parser.add_argument("--write", type=Path, help="a document whose table is replaced")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    base = options.folder / "base"
    if not (base / "model").exists():
        make_base(base)
    base_sha256 = sha256_file(base / "model" / "model.safetensors")
    tokens = options.tokens or tokens_of(base)
    for name in options.rows:
        if name not in finished(base_sha256, tokens):
            found = measured(name, ROWS[name], options.folder, tokens)
            head = {"row": name, "base_sha256": base_sha256, "tokens": tokens, "processor": processor_name()}
            with open(RESULTS, "a") as file:
                file.write(json.dumps(head | found, ensure_ascii=False) + "\n")
            print(in_words(name, head | found), flush=True)
    if options.write:
        rows = newest()
        options.write.write_text(with_table(options.write.read_text(), [rows[name] for name in ROWS if name in rows]))


def make_base(out: Path) -> None:
    """Train the base, or go on with it."""
    if out.exists():
        textwright("train", "--resume", str(out))
        return
    data = ["--data", str(public("corpus-english-novels"))]
    clock = ["--minutes", str(BASE_MINUTES), "--batch-size", str(TOKENS_A_STEP // CONTEXT), "--seed", "0"]
    textwright("train", *data, *BASE, *clock, "--out", str(out))


def tokens_of(base: Path) -> int:
    """What fits into the minutes of a task, at the median speed of the base's steps."""
    speeds = [row["tokens_per_s"] for row in read_rows(base / "journal.jsonl") if row["kind"] == "train"]
    return round(TASK_MINUTES * 60 * statistics.median(speed for speed in speeds if speed))


def finished(base_sha256: str, tokens: int) -> dict[str, dict[str, Any]]:
    """The rows that are done with this base, by their names."""
    rows = map(json.loads, RESULTS.read_text().splitlines()) if RESULTS.exists() else ()
    return {row["row"]: row for row in rows if row["base_sha256"] == base_sha256 and row["tokens"] == tokens}


def newest() -> dict[str, dict[str, Any]]:
    """The last line of each row, whichever base it is of: a base is one machine's, and rows say which."""
    return {row["row"]: row for row in map(json.loads, RESULTS.read_text().splitlines())}


def measured(name: str, row: TaskRow, folder: Path, tokens: int) -> dict[str, Any]:
    """Train a row's model, let it answer, and judge it and its baseline."""
    inside = folder / name
    inside.mkdir(exist_ok=True)
    if row.task == "cluster":
        return clustered(name, row, folder)
    train, test = row.split(inside)
    run = folder / (row.model_of or name) / "run"
    begun_s = time.monotonic()
    taught = {} if (run / "model").exists() else teach(row, train, run, folder / "base" / "model", tokens)
    train_s, begun_s = time.monotonic() - begun_s, time.monotonic()
    asked = ["--task", row.task, "--data", *map(str, test), "--skip-long", *row.sampling]
    asked += ["--limit", str(row.limit)] if row.limit else []
    report = textwright("evaluate", str(run / "model"), *asked, "--out", str(inside / "evaluation"))
    evaluate_s = time.monotonic() - begun_s
    kept = {json.loads(line)["place"] for line in (inside / "evaluation" / PREDICTIONS).read_text().splitlines()}
    return {
        "task": row.task,
        "trained_on": row.described,
        **taught,
        "examples": report["num_examples"],
        "left_out": report["num_skipped"],
        "figures": numbers(report["metrics"]),
        "baseline": find_task(row.task).baseline,
        "baseline_figures": numbers(without_model(row, train, test, kept)),
        "train_s": round(train_s, 1),
        "evaluate_s": round(evaluate_s, 1),
        "versions": {"torch": version("torch"), "sacrebleu": version("sacrebleu")},
    }


def teach(row: TaskRow, train: list[Path], run: Path, base: Path, tokens: int) -> dict[str, Any]:
    """Train the base on pairs that fit into its context, whole; what was begun is begun again."""
    shutil.rmtree(run, ignore_errors=True)
    model = load(base)
    examples = find_task(row.task).examples(train)
    pairs = [(example.prompt, completion) for example in examples for completion in completions_of(example)]
    lengths = [sum(len(model.tokenizer.encode(part)) for part in pair) + 2 for pair in pairs]
    kept = [pair for pair, length in zip(pairs, lengths, strict=True) if length <= CONTEXT]
    kept.sort(key=lambda pair: hash_u64("teach", *pair))
    num_held = min(VALIDATION, len(kept) // 20)
    batch_size = TOKENS_A_STEP // (CONTEXT if max(lengths) > CONTEXT // 2 else CONTEXT // 2)
    steps = round(tokens / TOKENS_A_STEP)
    settings = {"steps": steps, "batch_size": batch_size, "learning_rate": LEARNING_RATE, "seed": 0}
    report = model.fit(kept[num_held:], validation=kept[:num_held], out=run, **settings)
    return {"pairs": len(kept), "pairs_too_long": len(pairs) - len(kept), "steps": report.steps}


def clustered(name: str, row: TaskRow, folder: Path) -> dict[str, Any]:
    """Clusters of the base's vectors, as they are: nothing is trained."""
    _, test = row.split(folder / name)
    begun_s = time.monotonic()
    out = folder / name / "clusters"
    report = textwright(
        "cluster", "train", str(folder / "base" / "model"), "--data", *map(str, test), *row.sampling, "--out", str(out)
    )
    return {
        "task": row.task,
        "trained_on": row.described,
        "examples": report["num_texts"],
        "left_out": 0,
        "figures": numbers(report["metrics"]),
        "baseline": "random",
        "baseline_figures": {
            name: {"value": value, "low": None, "high": None} for name, value in report["baselines"]["random"].items()
        },
        "train_s": 0.0,
        "evaluate_s": round(time.monotonic() - begun_s, 1),
        "versions": {"torch": version("torch"), "scikit-learn": version("scikit-learn")},
    }


def without_model(row: TaskRow, train: list[Path], test: list[Path], kept: set[int]) -> dict[str, Any]:
    """The figures of a task's baseline, on the examples that the model was asked."""
    task = find_task(row.task)
    placed = [Placed(place, example) for place, example in enumerate(task.examples(test)) if place in kept]
    texts = find_baseline(task.baseline)(list(task.examples(train)), [one.example for one in placed])
    rows, sandbox = [], Sandbox() if task.runs_code else None
    for one, text in zip(placed, texts, strict=True):
        answer = task.read_answer(text, one.example)
        found = row_of(one) | {"prediction": answer.prediction} | dict(answer.details)
        if sandbox is not None:
            found["passed"] = [sandbox.run(program_of(one.example, answer.prediction)).has_passed]
        rows.append(prediction_of(found, one.place + 1, "the baseline"))
    judged = score([one.judged for one in rows], find_metrics(",".join(task.metrics)), [one.document for one in rows])
    return {name: one.as_json() for name, one in judged.items()}


def numbers(figures: dict[str, Any]) -> dict[str, Any]:
    """What the table shows of figures; those without a meaning are left out."""
    return {
        name: {key: one[key] for key in ("value", "low", "high")}
        for name, one in figures.items()
        if one["value"] is not None and one["value"] == one["value"]
    }


def textwright(*arguments: str) -> dict[str, Any]:
    """What a command says with --json."""
    command = [sys.executable, "-m", "textwright", *arguments, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}")
    return dict(json.loads(done.stdout))


def shown(figures: dict[str, Any], names: list[str]) -> str:
    """Figures as a cell shows them, with their intervals."""
    cells = []
    for name in names:
        if name not in figures:
            continue
        one = figures[name]
        interval = f" ({one['low']:.3g} to {one['high']:.3g})" if one["low"] is not None else ""
        cells.append(f"{name} {one['value']:.3g}{interval}")
    return "; ".join(cells)


def in_words(name: str, row: dict[str, Any]) -> str:
    """A finished row, on the screen."""
    names = ROWS[name].shown
    theirs = shown(row["baseline_figures"], names)
    return f"{name}: {shown(row['figures'], names)} [{row['baseline']}: {theirs}] {row['evaluate_s']:.0f} s"


def with_table(document: str, rows: list[dict[str, Any]]) -> str:
    """The document with its table replaced."""
    heads = list(dict.fromkeys((row["tokens"], row["processor"], row["base_sha256"]) for row in rows))
    marks = {head: "" if number == 0 else f" [{number}]" for number, head in enumerate(heads)}
    lines = ["| data | task | examples | the model | without a model |", "|---|---|---|---|---|"]
    for row in rows:
        names = ROWS[row["row"]].shown
        left_out = f" ({row['left_out']:,} longer than the context)" if row["left_out"] else ""
        theirs = f"{row['baseline']}: {shown(row['baseline_figures'], names)}"
        mark = marks[row["tokens"], row["processor"], row["base_sha256"]]
        examples = f"{row['examples']:,}{left_out}"
        cells = [f"{row['row']}{mark}", f"`{row['task']}`", examples, shown(row["figures"], names), theirs]
        lines.append(f"| {' | '.join(cells)} |")
    made = [f"{marks[head].strip()} {head[0]:,} tokens each; {head[1]}, base {head[2][:12]}." for head in heads]
    lines.append("\n" + "  \n".join(line.strip() for line in made))
    return re.sub(
        r"(<!-- measured -->\n).*?(<!-- end of measured -->)",
        lambda match: match[1] + "\n".join(lines) + "\n" + match[2],
        document,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    main()
