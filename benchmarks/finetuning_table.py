"""What each way of fine-tuning teaches in 90 seconds, what it costs, and what is forgotten.

    python benchmarks/finetuning_table.py BASE_RUN FOLDER [--rows ROW...] [--write docs/finetuning.md]

BASE_RUN is a run of ``textwright train`` on the English novels, such as the one tasks_table.py makes. Each row teaches
its model a data set's pairs by one strategy for so many seconds, puts it to the data set's task, and reads the novels'
held-out part again; some rows mix a part of the novels in. A row that is done stays: call it again, and it goes on.
Finished rows are lines of benchmarks/results/finetuning.jsonl, with the processor's name and the base's hash; rows of
one table are of one base and one processor. --write puts the table into the document.
"""

import argparse
import itertools
import json
import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks_table import numbers, textwright
from tasks_table_rows import ROWS as TASKS

from textwright.core.device import processor_name
from textwright.core.files import sha256_file
from textwright.core.journal import read_rows
from textwright.core.seeds import hash_u64
from textwright.data.dataset import TokenDataset, open_data
from textwright.tasks.catalog import find_task
from textwright.tasks.references import completions_of
from textwright.tokens import load_tokenizer

RESULTS = Path(__file__).parent / "results" / "finetuning.jsonl"
MINUTES = 1.5
STRATEGIES = {
    "full": "full",
    "last": "last",
    "last:2": "last:2",
    "gradual": "gradual:every=100",
    "staged": "last@100 -> last:2@200 -> full",
    "lora": "lora:r=8,alpha=16",
    "bitfit": "bitfit",
    "head": "head",
}
RATES = {"full": 1e-3, "last": 1e-3, "last:2": 1e-3, "gradual": 1e-3, "staged": 1e-3}
"""Of the strategies that move whole layers; the others move little, and take a greater one."""
OTHER_RATE = 3e-3
SCRATCH = "from scratch"
DATA = {"e2e": "bleu", "scitldr": "rouge_l", "style-shakespeare": "bleu", "sst2": "accuracy", "banking77": "accuracy"}
"""Data sets, and the figure that the table shows."""
REPLAYS = (0, 1, 5, 10)
"""Per cent of the rows, for the first strategy; the others replay nothing."""
SEEDED = ("full", "last", "lora")
SEEDS = (0, 1, 2)
"""For the strategies that are held against each other; one for the others."""
HELD_TOKENS, REPLAY_TOKENS = 20_000, 500_000
VALIDATION = 200


@dataclass(frozen=True)
class FineTuningRow:
    """A strategy, a data set, how much is replayed, and a seed."""

    strategy: str
    data: str
    replay: int = 0
    seed: int = 0

    @property
    def name(self) -> str:
        """As ``--rows`` takes it."""
        return f"{self.strategy}/{self.data}/{self.replay}/{self.seed}"


def all_rows() -> Iterator[FineTuningRow]:
    """The rows of the table: first one of each, then the other seeds, then what is replayed."""
    for data in DATA:
        yield from (FineTuningRow(strategy, data) for strategy in (*STRATEGIES, SCRATCH))
    for data in DATA:
        yield from (FineTuningRow("full", data, replay) for replay in REPLAYS if replay)
    for data in DATA:
        yield from (FineTuningRow(strategy, data, 0, seed) for strategy in SEEDED for seed in SEEDS if seed)


def main() -> None:
    """Make the rows that are not done."""
    rows = {row.name: row for row in all_rows()}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("base", type=Path, help="the run of the base")
    parser.add_argument("folder", type=Path, help="where pairs, runs and predictions are kept")
    parser.add_argument("--rows", nargs="+", choices=rows, default=list(rows))
    parser.add_argument("--write", type=Path, help="a document whose table is replaced")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    head = {
        "base_sha256": sha256_file(options.base / "model" / "model.safetensors"),
        "processor": processor_name(),
        "minutes": MINUTES,
    }
    for name in options.rows:
        if name not in finished(head):
            row = rows[name]
            found = {"row": name} | head | measured(row, options.base, options.folder)
            with open(RESULTS, "a") as file:
                file.write(json.dumps(found, ensure_ascii=False) + "\n")
            print(f"{name}: {found['figures'][DATA[row.data]]}, novels {found['novels_loss_nats']:.3f}", flush=True)
    if options.write:
        options.write.write_text(with_table(options.write.read_text(), finished(head), head))


def finished(head: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The rows that are done with this base on this processor, by their names."""
    rows = map(json.loads, RESULTS.read_text().splitlines()) if RESULTS.exists() else ()
    return {row["row"]: row for row in rows if all(row[name] == value for name, value in head.items())}


def measured(row: FineTuningRow, base: Path, folder: Path) -> dict[str, Any]:
    """Teach a row's model, put it to its task, and see what it knows of the novels."""
    inside = folder / row.name.replace("/", "-").replace(":", "-").replace(" ", "-")
    inside.mkdir(exist_ok=True)
    pairs, held, test = pairs_of(row.data, folder, base)
    run = inside / "run"
    common = ["--data", str(pairs), "--val-data", str(held), "--minutes", str(MINUTES), "--seed", str(row.seed)]
    if row.strategy == SCRATCH:
        shape = ["--tokenizer", str(base / "model"), "--model.preset", "tiny", "--model.context-length", "512"]
        done = textwright("train", *common, *shape, "--packing", "documents", "--batch-size", "8", "--out", str(run))
    else:
        how = ["--strategy", STRATEGIES[row.strategy], "--learning-rate", str(RATES.get(row.strategy, OTHER_RATE))]
        if row.replay:
            how += ["--replay", f"{novels(folder, base)[0]}:{row.replay / 100}"]
        done = textwright("finetune", str(base / "model"), *common, *how, "--out", str(run))
    task, limit = TASKS[row.data], TASKS[row.data].limit
    asked = ["--task", task.task, "--data", *map(str, test), "--skip-long"]
    asked += ["--limit", str(limit)] if limit else []
    report = textwright("evaluate", str(run / "model"), *asked, "--out", str(inside / "evaluation"))
    old = textwright("evaluate", str(run / "model"), "--text", str(novels(folder, base)[1]))
    return {
        "strategy": STRATEGIES.get(row.strategy, row.strategy),
        "trained_parameters": done["trained_parameters"],
        "steps": done["steps"],
        "step_s": seconds_a_step(run),
        "peak_memory_bytes": done["peak_memory_bytes"],
        "examples": report["num_examples"],
        "figures": numbers(report["metrics"]),
        "novels_loss_nats": old["loss_nats_per_token"],
    }


def pairs_of(name: str, folder: Path, base: Path) -> tuple[Path, Path, list[Path]]:
    """Pairs to learn, those to validate on, and the files of the task's test."""
    inside = folder / f"pairs-{name}"
    inside.mkdir(exist_ok=True)
    train, test = TASKS[name].split(inside)
    files = inside / "pairs.jsonl", inside / "held.jsonl"
    if not all(file.exists() for file in files):
        tokenizer = load_tokenizer(base / "model")
        found = [
            (example.prompt, completion)
            for example in find_task(TASKS[name].task).examples(train)
            for completion in completions_of(example)
        ]
        kept = [pair for pair in found if sum(len(tokenizer.encode(part)) for part in pair) + 2 <= 512]
        kept.sort(key=lambda pair: hash_u64("teach", *pair))
        num_held = min(VALIDATION, len(kept) // 20)
        for file, some in zip(files, (kept[num_held:], kept[:num_held]), strict=True):
            lines = (json.dumps({"prompt": prompt, "completion": completion}) for prompt, completion in some)
            file.write_text("".join(f"{line}\n" for line in lines))
    return *files, test


def novels(folder: Path, base: Path) -> tuple[Path, Path]:
    """Text that the base was trained on, to be replayed; and text that it was not, to see what is forgotten."""
    files = folder / "novels-trained-on.txt", folder / "novels-held-out.txt"
    if not all(file.exists() for file in files):
        data, tokenizer = open_data(base / "data"), load_tokenizer(base / "data")
        assert data.val is not None, "a base that held text out"
        for file, tokens, most in ((files[0], data.train, REPLAY_TOKENS), (files[1], data.val, HELD_TOKENS)):
            file.write_text(spread(tokens, tokenizer, most))
    return files


def spread(tokens: TokenDataset, tokenizer: Any, most: int) -> str:
    """Pieces of a stream from all over it, as text."""
    size = 2_000
    starts = range(0, max(1, tokens.num_tokens - size), max(size, tokens.num_tokens * size // most))
    return "\n\n".join(tokenizer.decode(tokens.read(start, start + size).tolist()) for start in starts)


def seconds_a_step(run: Path) -> float:
    """The median over a run's steps, from when the journal has each."""
    times = [row["elapsed_s"] for row in read_rows(run / "journal.jsonl") if row["kind"] == "train"]
    return round(statistics.median(later - earlier for earlier, later in itertools.pairwise(times)), 4)


def with_table(document: str, rows: dict[str, dict[str, Any]], head: dict[str, Any]) -> str:
    """The document with its table replaced."""
    lines = ["| strategy | data | replay | its figure | parameters | ms a step | memory, GB | novels, nats |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    shown = [row for row in all_rows() if row.name in rows and not row.seed]
    lines += [in_words(row, [rows[name] for name in names_of_seeds(row) if name in rows]) for row in shown]
    base = f"{MINUTES * 60:.0f} seconds each; {head['processor']}, base {head['base_sha256'][:12]}."
    return re.sub(
        r"(<!-- measured -->\n).*?(<!-- end of measured -->)",
        lambda match: match[1] + "\n".join([*lines, "", base]) + "\n" + match[2],
        document,
        flags=re.DOTALL,
    )


def names_of_seeds(row: FineTuningRow) -> list[str]:
    """The rows that differ in the seed alone."""
    return [FineTuningRow(row.strategy, row.data, row.replay, seed).name for seed in SEEDS]


def in_words(row: FineTuningRow, seeds: Sequence[dict[str, Any]]) -> str:
    """A line of the table: the first seed's, with the range over all where there are several."""
    first, name = seeds[0], DATA[row.data]
    one = first["figures"][name]
    figure = f"{name} {one['value']:.3g} ({one['low']:.3g} to {one['high']:.3g})"
    if len(seeds) > 1:
        values = sorted(each["figures"][name]["value"] for each in seeds)
        figure += f"; {len(seeds)} seeds {values[0]:.3g} to {values[-1]:.3g}"
    cells = [row.strategy, row.data, f"{row.replay} %", figure, f"{first['trained_parameters']:,}"]
    cells += [f"{1000 * first['step_s']:.0f}", f"{first['peak_memory_bytes'] / 1e9:.2f}"]
    cells.append(f"{first['novels_loss_nats']:.3f}")
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
