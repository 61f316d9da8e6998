"""Bits per byte of a text as it is, such as the first part of a Wikipedia dump (enwik8).

Source: Radford et al. 2019, section 3.1: losses are counted for each byte of the text, whatever the tokens are.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from textwright.core.errors import InputError
from textwright.evaluation.language_modelling import windows_of
from textwright.evaluation.lm_eval_requests import rolling_texts
from textwright.evaluation.suite.base import Progress, Protocol, SuiteFigure, bits, figure_of, nats_of, unit_sums
from textwright.evaluation.text_comparison import BLOCK_BYTES, token_starts
from textwright.generation.scoring import ScoredText
from textwright.models.protocols import Decoder
from textwright.tasks.rows import read_lines
from textwright.tokens import Tokenizer

ROW = "bits_per_byte"


def read_raw_text(path: Path) -> str:
    """The text of a file, whatever it is.

    Raises:
        InputError: it cannot be read, or is empty.
    """
    text = "".join(line for _, line in read_lines(path))
    if not text:
        raise InputError(f"no text in {path}", expected="at least one character")
    return text


def bits_per_byte_figures(
    model: Decoder, tokenizer: Tokenizer, text: str, window: int, stride: int, progress: Progress
) -> list[SuiteFigure]:
    """Bits per byte with windows that overlap, and with windows in turn.

    Args:
        model: what predicts.
        tokenizer: the model's.
        text: read as one, after the end token.
        window: tokens seen at most, where windows overlap.
        stride: tokens newly predicted in a window, there.
        progress: see there.
    """
    ids = [*tokenizer.before_text[-1:], *tokenizer.encode(text)]
    overlapping = f"windows of {window:,} tokens that predict {stride:,} each"
    in_turn = f"windows of {model.context_length:,} tokens that share one, as lm-eval's rolling log-likelihood"
    kinds: dict[str, tuple[str, Sequence[ScoredText]]] = {
        "gpt2": (overlapping, list(windows_of(ids, window, stride))),
        "lm_eval": (in_turn, rolling_texts(model, tokenizer, text)),
    }
    num_bytes = len(text.encode())
    firsts = range(0, num_bytes, BLOCK_BYTES)
    sizes = [min(BLOCK_BYTES, num_bytes - first) for first in firsts]
    starts = token_starts(tokenizer, ids[1:], num_bytes)
    figures = []
    for name, (differs, texts) in kinds.items():
        nats = np.concatenate(nats_of(model, texts, progress(f"bits per byte, {name}", len(texts))))
        statistics = np.stack([unit_sums(starts, nats, firsts), np.array(sizes, dtype=np.float64)], axis=1)
        protocol = Protocol(name, f"bits for each byte; read as one text after the end token, in {differs}")
        figures.append(figure_of(ROW, protocol, statistics, bits, "blocks of 1,024 bytes"))
    return figures
