"""Cloze tasks: which of the options for a text's blank the model finds likeliest.

::

    full       how likely the option is, and all that follows it
    partial    how likely what follows is, once the option stands in the blank

Source: full as in Radford et al. 2019, section 3.2, for the Children's Book Test (Hill et al. 2015); partial as in
section 3.4, for the Winograd schemas (Trinh and Le 2018, arXiv:1806.02847).
"""

from collections.abc import Sequence

import numpy as np

from textwright.core.errors import InputError
from textwright.core.words import counted
from textwright.evaluation.statistics.resampling import clusters_of
from textwright.evaluation.suite.base import Progress, Protocol, SuiteFigure, figure_of, mean, nats_of
from textwright.evaluation.suite.cloze_file import Cloze
from textwright.generation.scoring import ScoredText
from textwright.generation.text_index import length_in_common
from textwright.models.protocols import Decoder
from textwright.tokens import Tokenizer

ROW = "cloze_accuracy"


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
        some = [one for one in examples if name == "full" or not one.ends_with_blank]
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


def cloze_notes(examples: Sequence[Cloze]) -> list[str]:
    """What is not in a figure: texts that partial scoring says nothing of."""
    num_ending = sum(one.ends_with_blank for one in examples)
    if not num_ending:
        return []
    told = "leaves these out" if num_ending < len(examples) else "is left out"
    where = f"{num_ending:,} of {counted(len(examples), 'text')}"
    return [f"cloze: nothing follows the blank in {where}: partial scoring {told}"]


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
                f"{counted(len(ids) - num_given, 'token')} to score",
                where=example.where,
                expected=f"at most {context_length:,}, what the model sees",
            )
        texts.append(ScoredText(ids[num_cut:], num_given - num_cut))
    return texts
