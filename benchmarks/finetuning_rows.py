"""The rows of finetuning_table.py: which strategies, which data, and the texts that both are made of."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks_table_rows import ROWS as TASKS

from textwright.core.seeds import hash_u64
from textwright.data.dataset import TokenDataset, open_data
from textwright.tasks.catalog import find_task
from textwright.tasks.references import completions_of
from textwright.tokens import load_tokenizer

SCRATCH = "from scratch"
STRATEGIES = ("full", "last", "last:2", "gradual", "staged", "lora", "bitfit", "head", SCRATCH)
PLAIN = {"lora": "lora:r=8,alpha=16"}
"""What is asked for where it is not the row's own word; of the strategies that have one stage."""
STAGES = {
    "gradual": (("last", 1 / 8), ("last:2", 2 / 8), ("last:3", 3 / 8), ("last:4", 4 / 8), ("full", 1.0)),
    "staged": (("last", 1 / 4), ("last:2", 2 / 4), ("full", 1.0)),
}
"""What is trained until which part of the steps; of the base's four blocks."""
RATES = {"lora": 3e-3, "bitfit": 3e-3, "head": 3e-3}
"""Of the strategies that move little, and take a greater learning rate."""
RATE = 1e-3
DATA = {"e2e": "bleu", "sst2": "accuracy", "style-shakespeare": "bleu", "banking77": "accuracy", "scitldr": "rouge_l"}
"""Data sets, and the figure that the table shows."""
REPLAYS = (0, 1, 5, 10)
"""Per cent of the rows of a step, for ``full``; the others replay nothing."""
SEEDED, SEEDED_DATA = ("full", "last", "lora"), ("e2e", "sst2")
SEEDS = (0, 1, 2)
"""For the strategies that are held against each other, on that data; one for the others."""
CONTEXT, TOKENS_A_STEP = 512, 2048
ROW_LENGTH = {"scitldr": 512, "style-shakespeare": 512}
"""Tokens of a row of those data sets that have pairs of more than 256."""
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

    @property
    def seeds(self) -> list[str]:
        """The names of the rows that differ in the seed alone."""
        return [FineTuningRow(self.strategy, self.data, self.replay, seed).name for seed in SEEDS]

    def text(self, steps: int) -> str:
        """The strategy of a run of so many steps, as ``finetune`` takes it."""
        if self.strategy not in STAGES:
            return PLAIN.get(self.strategy, self.strategy)
        if self.strategy == "gradual":
            return f"gradual:every={end_of(STAGES['gradual'][0][1], steps)}"
        *first, (last, _) = STAGES[self.strategy]
        return " -> ".join([*(f"{name}@{end_of(part, steps)}" for name, part in first), last])


def end_of(part: float, steps: int) -> int:
    """The step that a stage lasts until; an eighth is a whole number of steps, so that ``gradual``'s are alike."""
    return round(part * 8) * (steps // 8) if part < 1 else steps


def all_rows() -> Iterator[FineTuningRow]:
    """The rows of the table: first one of each, then what is replayed, then the other seeds."""
    for data in DATA:
        yield from (FineTuningRow(strategy, data) for strategy in STRATEGIES)
    for data in DATA:
        yield from (FineTuningRow("full", data, replay) for replay in REPLAYS if replay)
    for data in SEEDED_DATA:
        yield from (FineTuningRow(strategy, data, 0, seed) for strategy in SEEDED for seed in SEEDS if seed)


def shape_of(data: str) -> list[str]:
    """How a step reads a data set: as many tokens in all of them, by the same products on any processor."""
    length = ROW_LENGTH.get(data, CONTEXT // 2)
    rows = str(TOKENS_A_STEP // length)
    shape = ["--sequence-length", str(length), "--batch-size", rows, "--micro-batch-size", rows]
    return [*shape, "--precision", "float32", "--no-compile"]


def scratch_model(base: Path) -> list[str]:
    """The base's shape, for ``train``."""
    shape = ["--tokenizer", str(base / "model"), "--model.preset", "tiny", "--model.context-length", str(CONTEXT)]
    return [*shape, "--packing", "documents"]


def pairs_of(name: str, folder: Path, base: Path) -> tuple[Path, Path, list[Path]]:
    """Pairs to learn, those to validate on, and the files of the task's test."""
    inside = folder / f"pairs-{name}"
    inside.mkdir(parents=True, exist_ok=True)
    train, test = TASKS[name].split(inside)
    files = inside / "pairs.jsonl", inside / "held.jsonl"
    if not all(file.exists() for file in files):
        tokenizer = load_tokenizer(base / "model")
        found = [
            (example.prompt, completion)
            for example in find_task(TASKS[name].task).examples(train)
            for completion in completions_of(example)
        ]
        kept = [pair for pair in found if sum(len(tokenizer.encode(part)) for part in pair) + 2 <= CONTEXT]
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
            file.write_text(_spread(tokens, tokenizer, most))
    return files


def lines_of(file: Path) -> list[dict[str, Any]]:
    """What a file of JSON lines holds; nothing where there is none."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def add_lines(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write more of them."""
    with open(file, "a") as opened:
        opened.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def _spread(tokens: TokenDataset, tokenizer: Any, most: int) -> str:
    """Pieces of a stream from all over it, as text."""
    size = 2_000
    starts = range(0, max(1, tokens.num_tokens - size), max(size, tokens.num_tokens * size // most))
    return "\n\n".join(tokenizer.decode(tokens.read(start, start + size).tolist()) for start in starts)
