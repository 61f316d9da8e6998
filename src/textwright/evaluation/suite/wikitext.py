"""WikiText: how well its articles are predicted, by GPT-2's protocol, lm-eval's and Hugging Face's.

::

    file ──lines──┬─ detokenised, one stream, overlapping windows ──────> nats / words and line ends   GPT-2
                  ├─ article by article, cleaned, windows in turn ──────> nats / words                 lm-eval
                  └─ lines joined by empty ones, overlapping windows ───> nats / tokens                Hugging Face

Source: Merity et al. 2016; Radford et al. 2019, section 3.1; lm-eval's task ``wikitext`` (version 2); the page
"Perplexity of fixed-length models" of transformers.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textwright.core.errors import InputError
from textwright.evaluation.language_modelling import windows_of
from textwright.evaluation.lm_eval_requests import rolling_texts
from textwright.evaluation.suite.base import (
    Progress,
    Protocol,
    SuiteFigure,
    bits,
    figure_of,
    nats_of,
    perplexity,
    unit_sums,
)
from textwright.evaluation.suite.detokenise import clean_as_lm_eval, detokenise, tokenise
from textwright.evaluation.text_comparison import token_starts
from textwright.generation.scoring import ScoredText
from textwright.models.protocols import Decoder
from textwright.tasks.rows import read_lines
from textwright.tokens import Tokenizer

PERPLEXITY, BITS = "wikitext_perplexity", "wikitext_bits_per_byte"


@dataclass(frozen=True)
class WikiText:
    """A file of WikiText.

    Attributes:
        lines: without their ends.
        articles: where each begins among the lines, the first at 0.
    """

    lines: list[str]
    articles: list[int]

    @classmethod
    def of_lines(cls, lines: list[str]) -> "WikiText":
        """Lines without their ends; what comes before the first title belongs to the first article if it is blank."""
        starts = [place for place, line in enumerate(lines) if is_title(line)]
        if not starts or any(line.strip() for line in lines[: starts[0]]):
            starts.insert(0, 0)
        return cls(lines, [0, *starts[1:]])

    def parts(self) -> Iterator[list[str]]:
        """The lines of each article."""
        for first, last in itertools.pairwise([*self.articles, len(self.lines)]):
            yield self.lines[first:last]

    def pages(self) -> list[str]:
        """The articles as EleutherAI's data set of documents has them: no blank lines before the first title, and the
        file's end as an empty line."""
        parts = list(self.parts())
        skipped = next((place for place, line in enumerate(parts[0]) if is_title(line)), 0)
        parts[0] = parts[0][skipped:]
        parts[-1] = [*parts[-1], ""]
        return ["\n".join(lines) for lines in parts]

    def notes(self) -> list[str]:
        """What a reader of the figures must know of the file."""
        num_unknown = sum(line.split().count("<unk>") for line in self.lines)
        num_kept = sum(tokenise(detokenise(line)) != line for line in self.lines)
        notes = []
        if num_unknown:
            notes.append(
                f"wikitext: {num_unknown:,} words are <unk>: this is the form for word models; GPT-2's paper scores it "
                "too, lm-eval and Hugging Face score the raw one"
            )
        if num_kept:
            notes.append(
                f"wikitext: {num_kept:,} of {len(self.lines):,} lines are no tokens of WikiText; GPT-2's protocol "
                "reads them as they are"
            )
        return notes


def read_wikitext(path: Path) -> WikiText:
    """A file of WikiText, of tokens or raw.

    Raises:
        InputError: it cannot be read, or is no such file.
    """
    lines = [line.removesuffix("\n") for _, line in read_lines(path)]
    if not any(line.split() for line in lines):
        raise InputError(f"no text in {path}", expected="the lines of WikiText")
    if not any(" . " in line or " , " in line or is_title(line) for line in lines):
        expected = 'WikiText, with spaces around each mark, such as " = Title = " and " a cat , a dog . "'
        raise InputError(f"{path} is plain text", expected=expected, fix="give plain text as --bytes")
    return WikiText.of_lines(lines)


def is_title(line: str) -> bool:
    """Whether a line is the title of an article, not of a section."""
    joined = line.replace("= = =", "===").replace("= =", "==").strip()
    return joined.startswith("= ") and joined.endswith(" =")


def wikitext_figures(
    model: Decoder,
    tokenizer: Tokenizer,
    text: WikiText,
    window: int,
    stride: int,
    progress: Progress,
) -> list[SuiteFigure]:
    """Perplexity by each protocol, and bits per byte by lm-eval's.

    Args:
        model: what predicts.
        tokenizer: the model's.
        text: see there.
        window: tokens seen at most, where windows overlap.
        stride: tokens newly predicted in a window, there.
        progress: see there.
    """
    by_gpt2 = _by_gpt2(model, tokenizer, text, window, stride, progress)
    per_word, per_byte = _by_lm_eval(model, tokenizer, text, progress)
    return [by_gpt2, per_word, _by_hugging_face(model, tokenizer, text, window, stride, progress), per_byte]


def _by_gpt2(
    model: Decoder, tokenizer: Tokenizer, text: WikiText, window: int, stride: int, progress: Progress
) -> SuiteFigure:
    parts = ["".join(f"{detokenise(line)}\n" for line in lines) for lines in text.parts()]
    ids = [*tokenizer.before_text[-1:], *tokenizer.encode("".join(parts))]
    texts = list(windows_of(ids, window, stride))
    nats = np.concatenate(nats_of(model, texts, progress("wikitext, GPT-2's protocol", len(texts))))
    counts = [sum(len(line.split()) + 1 for line in lines) for lines in text.parts()]
    differs = (
        "nats for each word, mark and line end of WikiText; read as plain text by rules that can be undone, as one "
        f"stream after the end token, in windows of {window:,} tokens that predict {stride:,} each"
    )
    statistics = _by_article(tokenizer, ids[1:], nats, parts, counts)
    return figure_of(PERPLEXITY, Protocol("gpt2", differs), statistics, perplexity, "articles")


def _by_lm_eval(model: Decoder, tokenizer: Tokenizer, text: WikiText, progress: Progress) -> list[SuiteFigure]:
    pages = text.pages()
    nats = np.array(
        rolling_nats(model, tokenizer, [clean_as_lm_eval(page) for page in pages], progress, "wikitext, as lm-eval")
    )
    words = [len(re.split(r"\s+", page)) for page in pages]
    sizes = [len(page.encode()) for page in pages]
    how = (
        "read article by article, each after the end token, cleaned by rules that cannot be undone, in windows of "
        f"{model.context_length:,} tokens that share one; counted in the file, before cleaning"
    )
    word, byte = Protocol("lm_eval", f"nats for each word; {how}"), Protocol("lm_eval", f"bits for each byte; {how}")
    return [
        figure_of(PERPLEXITY, word, np.stack([nats, words], axis=1), perplexity, "articles"),
        figure_of(BITS, byte, np.stack([nats, sizes], axis=1), bits, "articles"),
    ]


def _by_hugging_face(
    model: Decoder, tokenizer: Tokenizer, text: WikiText, window: int, stride: int, progress: Progress
) -> SuiteFigure:
    parts = ["".join(f"{line}\n\n\n" if line.strip() else "\n\n" for line in lines) for lines in text.parts()]
    parts[-1] = parts[-1].removesuffix("\n\n")
    ids = tokenizer.encode("".join(parts))
    texts = list(strided_windows(ids, window, stride))
    nats = np.concatenate(nats_of(model, texts, progress("wikitext, as Hugging Face's page", len(texts))))
    statistics = _by_article(tokenizer, ids, np.concatenate([[0.0], nats]), parts, None)
    differs = (
        "nats for each token of this tokenizer, the first left out; read as it stands in the file, lines joined by "
        f"empty ones, nothing before it, in windows of {window:,} tokens that move on by {stride:,}"
    )
    return figure_of(PERPLEXITY, Protocol("hugging_face", differs), statistics, perplexity, "articles")


def rolling_nats(
    model: Decoder, tokenizer: Tokenizer, texts: Sequence[str], progress: Progress, label: str
) -> list[float]:
    """The loss of each text as lm-eval's ``loglikelihood_rolling`` has it, its sign apart."""
    windows = [rolling_texts(model, tokenizer, text) for text in texts]
    flat = [window for some in windows for window in some]
    found = iter(nats_of(model, flat, progress(label, len(flat))))
    return [sum(float(next(found).sum()) for _ in some) for some in windows]


def strided_windows(ids: Sequence[int], window: int, stride: int) -> Iterator[ScoredText]:
    """Windows that begin ``stride`` tokens apart; in each the tokens that no earlier one held are scored."""
    done = 0
    for begin in range(0, len(ids), stride):
        end = min(begin + window, len(ids))
        if end - begin > max(1, done - begin):
            yield ScoredText(ids[begin:end], max(1, done - begin))
        done = end
        if end == len(ids):
            return


def _by_article(
    tokenizer: Tokenizer, ids: Sequence[int], nats: np.ndarray, parts: Sequence[str], counts: Sequence[int] | None
) -> np.ndarray:
    """Nats of each article, and what they are counted for: tokens where no counts are given."""
    sizes = [len(part.encode()) for part in parts]
    starts = token_starts(tokenizer, ids, sum(sizes))
    firsts = [0, *itertools.accumulate(sizes)][:-1]
    if counts is None:
        predicted = np.ones(len(ids))
        predicted[0] = 0
        return np.stack([unit_sums(starts, nats, firsts), unit_sums(starts, predicted, firsts)], axis=1)
    return np.stack([unit_sums(starts, nats, firsts), np.array(counts, dtype=np.float64)], axis=1)
