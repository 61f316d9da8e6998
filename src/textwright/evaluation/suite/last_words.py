"""LAMBADA: the last word of a passage, by GPT-2's protocol and by lm-eval's.

::

    "I can make it there on my own, Sh | ane
                                    ╰── the last token alone: GPT-2's figures
                                ╰────── the last word, all its tokens: lm-eval's

Source: Paperno et al. 2016 (arXiv:1606.06031); Radford et al. 2019, section 3.3. That their figures are of the last
token, and how passages begin, is not in the paper: see issue 131 of openai/gpt-2 and 356 of lm-evaluation-harness.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.evaluation.language_modelling import eval_mode, last_hidden
from textwright.evaluation.lm_eval_requests import encode_pair, within_context
from textwright.evaluation.suite.base import Protocol, SuiteFigure, figure_of, mean, perplexity
from textwright.generation.scoring import ScoredText
from textwright.models.protocols import Decoder
from textwright.tasks.rows import LINE, read_rows
from textwright.tokens import Tokenizer

ACCURACY, PERPLEXITY = "lambada_accuracy", "lambada_perplexity"
BATCH_SIZE = 16
_STOP_WORDS = (
    "a an the this that these those "  # articles and what points
    "I i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers "
    "herself it its itself they them their theirs themselves who whom what which "  # pronouns
    "am is are was were be been being have has had having do does did doing can could may might must shall should "
    "will would "  # auxiliaries
    "about above after against at before below between by down during for from in into of off on out over through "
    "to under until up with "  # prepositions
    "and but or nor if because as while than so then when where why how "  # conjunctions
    "all any both each few more most other some such no not only own same too very again further once here there "
    "just now "  # quantities and particles
    "ain aren couldn didn doesn don hadn hasn haven isn mightn mustn needn shan shouldn wasn weren won wouldn"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""What a passage hardly ends with: the closed classes of English. The paper does not say which words its filter had."""
_QUOTES = str.maketrans({"\N{LEFT DOUBLE QUOTATION MARK}": '"', "\N{RIGHT DOUBLE QUOTATION MARK}": '"'})
_FILTERED = "likeliest of the tokens that are none of {num} stop words"
_BEGINS = "the passage begins with a line end, curly quotes are straight"


@dataclass(frozen=True)
class WordScore:
    """How a last word was predicted.

    Attributes:
        nats: loss of each of its tokens.
        is_likeliest: of each, whether no token was likelier.
        is_likeliest_filtered: whether no token but those that are left out was.
    """

    nats: Sequence[float]
    is_likeliest: Sequence[bool]
    is_likeliest_filtered: Sequence[bool]


def read_passages(path: Path) -> list[str]:
    """The passages of a file: the field ``text`` of JSON lines or a table, or lines.

    Raises:
        InputError: it cannot be read, or a passage has no last word.
    """
    found = []
    for row in read_rows([path]):
        text = row.value("text", LINE)
        if not isinstance(text, str) or " " not in text.strip():
            raise InputError(f"no passage: {str(text)[:40]!r}", where=row.where, expected="a text of two words or more")
        found.append(text)
    return found


def lambada_figures(
    model: Decoder, tokenizer: Tokenizer, passages: Sequence[str], progress: Callable[[int], None]
) -> list[SuiteFigure]:
    """Accuracy and perplexity of last words, by each protocol.

    Args:
        model: what predicts.
        tokenizer: the model's.
        passages: whole, the last word with them.
        progress: called with how many of twice as many passages are done.

    Raises:
        InputError: a last word that fills the context.
    """
    stop_ids = stop_tokens(tokenizer)
    openai = [as_gpt2(tokenizer, text, model.context_length) for text in passages]
    common = [as_lm_eval(tokenizer, text, model.context_length) for text in passages]
    by_gpt2 = list(word_scores(model, openai, stop_ids, progress))
    by_lm_eval = list(word_scores(model, common, (), lambda done: progress(len(passages) + done)))
    filtered = _FILTERED.format(num=f"{len(stop_ids):,}")
    last_token = Protocol("gpt2", f"the last token alone, {filtered}; {_BEGINS}: as the paper's figures seem to be")
    unfiltered = Protocol("gpt2_no_filter", f"the last token alone, likeliest of all; {_BEGINS}")
    word = Protocol("gpt2_word", f"the whole last word, each token the {filtered}; {_BEGINS}")
    lm_eval = Protocol("lm_eval", "the whole last word, each token likeliest of all; nothing before the passage")
    token_nats = Protocol("gpt2", f"for each last token; {_BEGINS}")
    word_nats = Protocol("lm_eval", "for each last word; nothing before the passage")
    hits = {
        last_token: [one.is_likeliest_filtered[-1] for one in by_gpt2],
        unfiltered: [one.is_likeliest[-1] for one in by_gpt2],
        word: [all(one.is_likeliest_filtered) for one in by_gpt2],
        lm_eval: [all(one.is_likeliest) for one in by_lm_eval],
    }
    nats = {
        token_nats: [one.nats[-1] for one in by_gpt2],
        word_nats: [sum(one.nats) for one in by_lm_eval],
    }
    return [
        *(figure_of(ACCURACY, protocol, _each(some), mean, "passages") for protocol, some in hits.items()),
        *(figure_of(PERPLEXITY, protocol, _each(some), perplexity, "passages") for protocol, some in nats.items()),
    ]


def stop_tokens(tokenizer: Tokenizer) -> tuple[int, ...]:
    """The tokens that are a stop word, with the space before it."""
    wanted = {f" {word}".encode() for word in STOP_WORDS}
    return tuple(index for index, raw in enumerate(tokenizer.token_bytes) if raw in wanted)


def as_gpt2(tokenizer: Tokenizer, passage: str, context_length: int) -> ScoredText:
    """A passage as GPT-2's authors read it; its last word is scored."""
    before, _, word = passage.strip().translate(_QUOTES).rpartition(" ")
    return _scored(tokenizer, "\n" + before, word, context_length)


def as_lm_eval(tokenizer: Tokenizer, passage: str, context_length: int) -> ScoredText:
    """A passage as lm-eval's task ``lambada_openai`` reads it."""
    before, _, word = passage.rpartition(" ")
    return _scored(tokenizer, before, word, context_length)


def _scored(tokenizer: Tokenizer, before: str, word: str, context_length: int) -> ScoredText:
    given, scored = encode_pair(tokenizer, before, " " + word)
    try:
        return within_context(given or tokenizer.before_text, scored, context_length)
    except ValueError:
        expected = f"1 to {context_length:,} tokens, and a word before"
        raise InputError(f"the last word {word[:40]!r} of a passage", expected=expected) from None


@torch.inference_mode()
def word_scores(
    model: Decoder, texts: Sequence[ScoredText], left_out: Sequence[int], progress: Callable[[int], None]
) -> Iterator[WordScore]:
    """How the scored part of each text was predicted.

    Args:
        model: is put into evaluation mode.
        texts: see ``generation.scoring.score``.
        left_out: tokens that are never predicted by a model that is filtered.
        progress: called with how many texts are done.
    """
    eval_mode(model)
    for first in range(0, len(texts), BATCH_SIZE):
        some = texts[first : first + BATCH_SIZE]
        batch = Batch.from_rows([text.ids for text in some]).to(model.device)
        hidden = last_hidden(model, batch)
        for row, text in enumerate(some):
            places = slice(text.num_given - 1, len(text.ids) - 1)
            yield _word_score(model.logits(hidden[row, places]).float(), batch.target_ids[row, places], left_out)
        progress(first + len(some))


def _word_score(logits: Tensor, targets: Tensor, left_out: Sequence[int]) -> WordScore:
    nats = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    likeliest = logits.argmax(dim=1) == targets
    filtered = likeliest
    if left_out:
        logits[:, list(left_out)] = -torch.inf
        filtered = logits.argmax(dim=1) == targets
    return WordScore(nats.tolist(), likeliest.tolist(), filtered.tolist())


def _each(values: Sequence[float]) -> np.ndarray:
    """Of each passage the value, and that it is one."""
    return np.array([(value, 1.0) for value in values], dtype=np.float64)
