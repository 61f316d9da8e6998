"""What ``finetune --context-length`` makes of a model of 64 tokens: its loss by position, beside a model of 256.

    python benchmarks/longer_context.py FOLDER [--tokens 3072000 1024000] [--seeds 0 1 2] [--write docs/finetuning.md]

Three models of five million parameters for each seed, on the English novels: one of 64 tokens, trained on the first
number of tokens; that one with a context of 256, fine-tuned on the second; and one of 256 from the start, trained on as
many as both. They are put to novels that none of them has seen. A model that is there stays: call it again, and it goes
on. A finished seed is a line of benchmarks/results/longer-context.jsonl; --write puts them into the document.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from kept_runs import finished, keep, trained, write_between
from public_text import public

from textwright.api.model import load
from textwright.core.device import processor_name
from textwright.core.files import sha256_file
from textwright.core.seeds import hash_u64
from textwright.evaluation.loss_by_position import loss_by_position
from textwright.evaluation.statistics.intervals import bootstrap_interval
from textwright.text.read import read_texts

NAME = "longer-context"
SHORT, LONG, TOKENS_A_STEP = 64, 256, 2048
PARTS, HELD_OUT, VALIDATION = 32, range(2), 2
"""Novels fall into so many parts by the hash of their names; of these the loss is measured; of that a little is looked
at while a model trains."""
PIECE_CHARACTERS, NUM_PIECES = 12_000, 160
"""Of the held-out novels: pieces from all over them, each some ten windows; intervals are over pieces."""
BINS = (0, SHORT // 2, SHORT)
SETTINGS = ("--precision", "float32", "--max-eval-tokens", "16384")


def main() -> None:
    """Make the seeds that are not done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="where runs are kept")
    parser.add_argument("--tokens", nargs=2, type=int, default=(3_072_000, 1_024_000), metavar=("SHORT", "LONG"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--write", type=Path, help="a document whose table is replaced")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    head = {"tokens": list(options.tokens), "processor": processor_name()}
    for seed in options.seeds:
        if f"seed {seed}" not in finished(NAME, head):
            row = {"row": f"seed {seed}"} | head | measured(seed, options.folder / f"seed-{seed}", *options.tokens)
            keep(NAME, row)
            print("\n".join(table({"": row})), flush=True)
    if options.write:
        write_between(options.write, NAME, table(finished(NAME, head)))


def measured(seed: int, folder: Path, short_tokens: int, long_tokens: int) -> dict[str, Any]:
    """The models of a seed, and their losses on held-out novels."""
    learned, validation, held = novels()
    data = ["--data", *map(str, learned), "--val-data", *map(str, validation), "--seed", str(seed), *SETTINGS]
    steps = [str(tokens // TOKENS_A_STEP) for tokens in (short_tokens, long_tokens, short_tokens + long_tokens)]
    short = trained(folder / "short", "train", *data, *rows_of(SHORT), "--steps", steps[0])
    size = [
        "--context-length",
        str(LONG),
        "--sequence-length",
        str(LONG),
        "--batch-size",
        str(TOKENS_A_STEP // LONG),
        "--steps",
        steps[1],
    ]
    stretched = trained(folder / "longer", "finetune", str(short), *data, *size)
    shape = [*rows_of(LONG), "--tokenizer", str(short), "--steps", steps[2]]
    whole = trained(folder / "whole", "train", *data, *shape)
    models = {"short": short, "before": folder / "longer" / "base", "longer": stretched, "whole": whole}
    losses = {name: losses_of(model, held) for name, model in models.items()}
    both = np.concatenate([losses["longer"], losses["whole"]], axis=1)
    return {
        "model_sha256": {name: sha256_file(model / "model.safetensors") for name, model in models.items()},
        "pieces": NUM_PIECES,
        "loss_nats": {name: figures(found, means) for name, found in losses.items()},
        "rise": figures(losses["longer"], lambda sums: rise(means(sums))),
        "excess": figures(both, excess),
    }


def rows_of(context: int) -> list[str]:
    """The options of a model of so many tokens, and of its steps."""
    sizes = ["--model.preset", "tiny", "--model.context-length", str(context), "--sequence-length", str(context)]
    return [*sizes, "--batch-size", str(TOKENS_A_STEP // context)]


def novels() -> tuple[list[Path], list[Path], list[Path]]:
    """Those that are learned, those that are validated on, and those that the loss is measured of."""
    learned, validation, held = list[Path](), list[Path](), list[Path]()
    for file in sorted(public("corpus-english-novels").glob("*.txt.gz")):
        part = hash_u64("longer context", file.name) % PARTS
        (held if part in HELD_OUT else validation if part == VALIDATION else learned).append(file)
    return learned, validation, held


def losses_of(model: Path, held: list[Path]) -> np.ndarray:
    """Of each piece: the sum of the losses at the positions of each bin, then how many there are."""
    loaded, rows = load(model, device="cpu"), []
    for piece in pieces(held):
        found = loss_by_position(loaded.network, loaded.tokenizer, [piece], bins=bins_of(loaded.network.context_length))
        sums = [one.loss_nats * one.num_tokens for one in found.bins]
        counts = [one.num_tokens for one in found.bins]
        rows.append([*sums, *counts])
    return np.array(rows)


def bins_of(context: int) -> list[int]:
    """Where the bins of a model begin."""
    return [start for start in BINS if start < context]


def pieces(held: list[Path]) -> list[str]:
    """Pieces of the held-out novels, as far apart as they can be."""
    text = "\n".join(read_texts(held))
    starts = np.linspace(0, len(text) - PIECE_CHARACTERS, NUM_PIECES).astype(int)
    return [text[start : start + PIECE_CHARACTERS] for start in starts]


def means(sums: np.ndarray) -> np.ndarray:
    """The mean loss of each bin, from sums over pieces."""
    num_bins = sums.shape[-1] // 2
    return np.asarray(sums[..., :num_bins] / sums[..., num_bins:])


def rise(bins: np.ndarray) -> np.ndarray:
    """How much higher the mean loss at 64 to 255 is than at 32 to 63."""
    return bins[..., 2:] - bins[..., 1:2]


def excess(sums: np.ndarray) -> np.ndarray:
    """How much higher the mean loss at 64 to 255 is than that of the model of 256 from the start, as a share of it."""
    half = sums.shape[-1] // 2
    longer, whole = (means(part)[..., 2:] for part in (sums[..., :half], sums[..., half:]))
    return np.asarray(longer / whole - 1)


def figures(statistics: np.ndarray, values: Any) -> list[dict[str, float]]:
    """The figures of all pieces, each with its interval over pieces."""
    low, high = bootstrap_interval(statistics, values)
    found = zip(values(statistics.sum(axis=0)), low, high, strict=True)
    return [dict(zip(("value", "low", "high"), map(float, each), strict=True)) for each in found]


def table(rows: dict[str, dict[str, Any]]) -> list[str]:
    """The lines of the table, a model a row, and what they come to."""
    called = {
        "short": "context 64",
        "before": "stretched to 256, before the first step",
        "longer": "stretched to 256, fine-tuned",
        "whole": "256 from the start",
    }
    heads = ["model", "tokens", "0 to 31", "32 to 63", "64 to 255"]
    lines = [f"| {' | '.join(heads)} |", "|---|---|---|---|---|"]
    for row in rows.values():
        short, long = row["tokens"]
        tokens = {"short": short, "before": short, "longer": short + long, "whole": short + long}
        for name, bins in row["loss_nats"].items():
            cells = [called[name], f"{tokens[name]:,}", *(f"{one['value']:.3f}" for one in bins)]
            lines.append(f"| {' | '.join(cells + [''] * (5 - len(cells)))} |")
    for name, row in rows.items():
        more, beside = row["rise"][0], row["excess"][0]
        lines += ["", f"{name or row['row']}: at 64 to 255 {in_words(more, '{:+.3f}')} nats beside 32 to 63, and"]
        lines.append(f"{in_words(beside, '{:+.1%}')} beside the model of 256 from the start; {row['processor']}.")
    return lines


def in_words(figure: dict[str, float], form: str) -> str:
    """A figure with its interval."""
    return f"{form.format(figure['value'])} ({form.format(figure['low'])} to {form.format(figure['high'])})"


if __name__ == "__main__":
    main()
