"""Cloze tasks of a file: a text with a blank, options for it, and the one that is right.

::

    {"context": "Ann met Bob.", "text": "She gave _ the book.", "options": ["him", "it"], "answer": "him"}

    full       how likely the option is, and all that follows it
    partial    how likely what follows is, once the option stands in the blank

Source: full as in Radford et al. 2019, section 3.2, for the Children's Book Test (Hill et al. 2015); partial as in
section 3.4, for the Winograd schemas (Trinh and Le 2018, arXiv:1806.02847).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textwright.core.errors import InputError, nearest
from textwright.evaluation.statistics.resampling import clusters_of
from textwright.evaluation.suite.base import Progress, Protocol, SuiteFigure, figure_of, mean, nats_of
from textwright.generation.scoring import ScoredText
from textwright.generation.text_index import length_in_common
from textwright.models.protocols import Decoder
from textwright.tasks.rows import Row, read_rows
from textwright.tokens import Tokenizer

ROW = "cloze_accuracy"
BLANK = re.compile(r"(?<!\w)(?:_+|XXXXX)(?!\w)")
TEXT, OPTIONS = ("text", "sentence", "question"), ("options", "choices", "candidates")
FORM = '{"text": "a _ here", "options": ["word", "gap"], "answer": "word"}'


@dataclass(frozen=True)
class Cloze:
    """A text with a blank.

    Attributes:
        before: what stands before the blank.
        after: what stands after it.
        options: that may stand in it.
        answer: the place of the right one.
        document: that the text is of; empty: none.
        where: its place in the file.
    """

    before: str
    after: str
    options: tuple[str, ...]
    answer: int
    document: str
    where: str


def read_cloze(path: Path) -> list[Cloze]:
    """The texts of a file: JSON lines, or a table with the names of its columns.

    The blank is ``_`` or ``XXXXX``. Options are a list, or columns ``option1``, ``option2``, ..., or one column with
    ``|`` between them. The answer is one of them, or its number from 1.

    Raises:
        InputError: it cannot be read, or a text has no blank, or more than one, or its answer is no option.
    """
    return [_cloze_of(row) for row in read_rows([path])]


def _cloze_of(row: Row) -> Cloze:
    if not row.has(*TEXT):
        there = ", ".join(row.fields)
        raise InputError(f"no field 'text' among {there}", where=row.where, expected=FORM)
    context, text = row.text("context") if row.has("context") else "", row.text(*TEXT)
    parts = BLANK.split(text)
    if len(parts) != 2:
        what = "no blank" if len(parts) == 1 else f"{len(parts) - 1} blanks"
        raise InputError(f"{what} in {text[:40]!r}", where=row.where, expected="one, written _ or XXXXX")
    options = _options_of(row)
    document = row.text("document") if row.has("document") else ""
    before = f"{context} {parts[0]}" if context else parts[0]
    return Cloze(before, parts[1], options, _answer_of(row, options), document, row.where)


def _options_of(row: Row) -> tuple[str, ...]:
    if row.has(*OPTIONS):
        options = row.texts(*OPTIONS)
        options = tuple(options[0].split("|")) if len(options) == 1 else options
    else:
        names = [name for number in range(1, len(row.fields) + 1) if row.has(name := f"option{number}")]
        options = tuple(row.text(name) for name in names)
    options = tuple(option.strip() for option in options)
    if len(set(options)) < 2 or len(set(options)) < len(options) or not all(options):
        raise InputError(
            f"the options {' | '.join(options)!r}", where=row.where, expected="two different ones at least"
        )
    return options


def _answer_of(row: Row, options: tuple[str, ...]) -> int:
    answer = row.text("answer")
    if answer in options:
        return options.index(answer)
    if answer.isdecimal() and 1 <= int(answer) <= len(options):
        return int(answer) - 1
    close = nearest(answer, options)
    raise InputError(
        f"the answer {answer!r}",
        where=row.where,
        expected=f"one of the options {', '.join(options)}, or its number from 1",
        fix=f"did you mean {close!r}?" if close else "",
    )


def cloze_figures(
    model: Decoder, tokenizer: Tokenizer, examples: Sequence[Cloze], progress: Progress
) -> list[SuiteFigure]:
    """Accuracy by full and by partial scoring; partial where something follows every blank that is counted.

    Args:
        model: what predicts.
        tokenizer: the model's.
        examples: of one file.
        progress: see there.

    Raises:
        InputError: a text whose scored part is longer than the context.
    """
    chance = np.mean([1 / len(one.options) for one in examples])
    ends = f"tokens are summed; by chance {chance:.1%} would be right"
    protocols = {
        "full": Protocol("full", f"the option and all that follows it are scored; {ends}"),
        "partial": Protocol("partial", f"only what follows the option is scored; {ends}"),
    }
    figures = []
    for name, protocol in protocols.items():
        some = [one for one in examples if name == "full" or one.after.strip()]
        if not some:
            continue
        texts = [text for one in some for text in option_texts(tokenizer, one, name == "full", model.context_length)]
        nats = iter(nats_of(model, texts, progress(f"cloze, {name}", len(texts))))
        hits = [is_right(one, [float(next(nats).sum()) for _ in one.options]) for one in some]
        documents = [one.document for one in some]
        clusters = clusters_of(documents) if any(documents) else None
        statistics = np.array([(hit, 1.0) for hit in hits])
        figures.append(figure_of(ROW, protocol, statistics, mean, "documents" if any(documents) else "texts", clusters))
    return figures


def is_right(example: Cloze, nats: Sequence[float]) -> bool:
    """Whether the right option is likelier than every other."""
    return all(nats[example.answer] < loss for place, loss in enumerate(nats) if place != example.answer)


def option_texts(tokenizer: Tokenizer, example: Cloze, is_full: bool, context_length: int) -> list[ScoredText]:
    """The text with each option in its blank, of which the model sees the end where it is longer than the context.

    Args:
        tokenizer: the model's.
        example: the text and its options.
        is_full: whether the option is scored with what follows.
        context_length: tokens that the model sees.

    Raises:
        InputError: what is scored is longer.
    """
    prefix = tokenizer.before_text
    whole = [[*prefix, *tokenizer.encode(example.before + option + example.after)] for option in example.options]
    shared = min(length_in_common(whole[0], other) for other in whole[1:])
    texts = []
    for ids, option in zip(whole, example.options, strict=True):
        num_given = shared
        if not is_full:
            num_given = length_in_common(ids, [*prefix, *tokenizer.encode(example.before + option)])
        num_given = min(num_given, len(ids) - 1)
        num_cut = max(0, len(ids) - context_length - 1)
        if num_given <= num_cut:
            raise InputError(
                f"{len(ids) - num_given:,} tokens to score",
                where=example.where,
                expected=f"at most {context_length:,}, what the model sees",
            )
        texts.append(ScoredText(ids[num_cut:], num_given - num_cut))
    return texts
