"""How well a model predicts a text.

::

    loss        L  = -sum log p(token) / tokens                     nats per token
    perplexity     = exp(L) per token; exp(L x tokens / words) per word
    bits per byte  = L x tokens / (ln 2 x bytes), bits per character likewise

A text is read in windows that overlap: each token is predicted once, with at least ``window - stride`` tokens before
it wherever the text has them. The first token of a text is predicted from the end token, and the end token that
closes a text is not counted: it is none of the text's bytes.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from textwright.core.errors import InputError
from textwright.data.batch import PADDING, Batch
from textwright.data.dataset import TokenDataset
from textwright.data.sources.packed_documents import packed_evaluation_batches
from textwright.data.sources.windows import evaluation_batches
from textwright.generation.scoring import ScoredText, score, token_scores
from textwright.models.protocols import Backbone, Decoder
from textwright.tokens import Tokenizer
from textwright.tokens.tokenizer import UNKNOWN

DETOKENISED = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


@dataclass(frozen=True)
class TextScore:
    """How well a model predicts a text."""

    loss_nats_per_token: float
    perplexity_per_token: float
    perplexity_per_word: float
    """Words are what white space separates, as GPT-2's paper counts them."""
    perplexity_per_word_detokenised: float
    """Words and punctuation marks count one each, as word-level models see a text."""
    bits_per_byte: float
    bits_per_character: float
    num_tokens: int
    num_words: int
    num_words_detokenised: int
    num_bytes: int
    num_characters: int
    num_unknown_characters: int
    """Characters that the tokenizer does not know and the model never saw: where there are any, all figures flatter."""
    num_texts: int
    window: int
    """Tokens the model sees at most."""
    stride: int
    """Tokens newly predicted in each window."""

    def as_json(self) -> dict[str, Any]:
        """The figures by name."""
        return asdict(self)


def score_text(
    model: Decoder,
    tokenizer: Tokenizer,
    texts: Iterable[str],
    *,
    window: int | None = None,
    stride: int | None = None,
    rows: int = 8,
    progress: Callable[[int], None] | None = None,
    observe: Callable[[int, Sequence[int], Tensor], None] | None = None,
) -> TextScore:
    """Predict texts, each from its own start.

    Args:
        model: anything that predicts tokens; a module is put into evaluation mode.
        tokenizer: the model's.
        texts: as many and as long as you like; one is held at a time.
        window: tokens seen at most; the model's context length when not given.
        stride: tokens newly predicted in a window; half the window when not given.
        rows: windows computed at once. Does not change the result beyond rounding.
        progress: called with the bytes of text done so far.
        observe: called after each text with its place, the ids that were predicted and their log-probabilities.

    Raises:
        InputError: no text, or window and stride that the model cannot have.
    """
    window, stride = checked_windows(model, window, stride)
    tally, total, num_tokens = _Tally(), 0.0, 0
    for place, text in enumerate(texts):
        ids = [*tokenizer.before_text, *tokenizer.encode(text)]
        done_before, bytes_before, num_ids = num_tokens, tally.num_bytes, max(1, len(ids) - 1)
        tally.add(text, num_unknown=tokenizer.decode(ids).count(UNKNOWN) - text.count(UNKNOWN))
        logprobs = list[Tensor]()
        for scores in score(model, windows_of(ids, window, stride), batch_size=rows):
            total, num_tokens = total - float(scores.logprobs.double().sum()), num_tokens + len(scores.logprobs)
            if progress is not None:
                progress(bytes_before + (tally.num_bytes - bytes_before) * (num_tokens - done_before) // num_ids)
            logprobs.append(scores.logprobs.cpu())
        if observe is not None and logprobs:
            observe(place, ids[1:], torch.cat(logprobs))
    if not num_tokens:
        raise InputError("no text to evaluate", expected="at least one that is not empty")
    return TextScore(
        loss_nats_per_token=total / num_tokens,
        perplexity_per_token=_exp(total / num_tokens),
        perplexity_per_word=_exp(total / max(1, tally.num_words)),
        perplexity_per_word_detokenised=_exp(total / max(1, tally.num_words_detokenised)),
        bits_per_byte=total / math.log(2) / tally.num_bytes,
        bits_per_character=total / math.log(2) / tally.num_characters,
        num_tokens=num_tokens,
        **vars(tally),
        window=window,
        stride=stride,
    )


def checked_windows(model: Decoder, window: int | None, stride: int | None) -> tuple[int, int]:
    window = model.context_length if window is None else window
    stride = max(1, window // 2) if stride is None else stride
    if not 1 <= window <= model.context_length:
        raise InputError(f"a window of {window}", expected=f"1 to {model.context_length}, the model's context length")
    if not 1 <= stride <= window:
        raise InputError(f"a stride of {stride}", expected=f"1 to {window}, the window")
    return window, stride


@dataclass
class _Tally:
    """What texts come to, counted in other ways than tokens; as ``TextScore`` names them."""

    num_words: int = 0
    num_words_detokenised: int = 0
    num_bytes: int = 0
    num_characters: int = 0
    num_unknown_characters: int = 0
    num_texts: int = 0

    def add(self, text: str, *, num_unknown: int) -> None:
        self.num_texts += 1
        self.num_unknown_characters += num_unknown
        self.num_words += len(text.split())
        self.num_words_detokenised += sum(1 for _ in DETOKENISED.finditer(text))
        self.num_bytes += len(text.encode())
        self.num_characters += len(text)


def score_tokens(
    model: Decoder,
    tokens: TokenDataset,
    *,
    time: int,
    rows: int = 8,
    max_tokens: int | None = None,
    by_documents: bool = False,
) -> dict[str, float]:
    """The validation figures of a training run: windows side by side, or documents alone, each token predicted once.

    Args:
        model: anything that predicts tokens; a module is put into evaluation mode.
        tokens: the validation stream, end tokens counted.
        time: tokens of a window.
        rows: windows at once.
        max_tokens: stop after so many tokens, so that a check during training stays quick.
        by_documents: each document by itself, as packed ones are learned from; else the stream from end to end.

    Returns:
        ``val_loss_nats``, and ``val_bits_per_byte`` where the stream knows its bytes and all of it is learned.
    """
    eval_mode(model)
    total, count = 0.0, 0
    batches = packed_evaluation_batches if by_documents else evaluation_batches
    for batch in batches(tokens, batch_size=rows, sequence_length=time):
        loss, num = sum_of_losses(model, batch)
        total, count = total + loss, count + num
        if max_tokens is not None and count >= max_tokens:
            break
    if not count:
        raise InputError("the validation text has fewer than two tokens", fix="give more text, or --val-data")
    figures = {"val_loss_nats": total / count}
    if tokens.num_bytes and tokens.learned is None:
        figures["val_bits_per_byte"] = total / count * tokens.num_tokens / tokens.num_bytes / math.log(2)
    return figures


@torch.inference_mode()
def sum_of_losses(model: Decoder, batch: Batch) -> tuple[float, int]:
    """Sum of -log p(target) over the places with weight, in nats, and how many they are."""
    batch = batch.to(model.device)
    counted = batch.loss_weight > 0
    hidden = last_hidden(model, batch.with_fields(wanted=counted))
    scores = token_scores(model, hidden[counted], batch.target_ids[counted])
    return -float(scores.logprobs.double().sum()), int(counted.sum())


def eval_mode(model: Decoder) -> None:
    """No dropout from here on, where a model has any."""
    if isinstance(model, nn.Module):
        model.eval()


def last_hidden(model: Decoder, batch: Batch) -> Float[Tensor, "rows time width"]:
    """What the model's ``logits`` take, where wanted: of a backbone in one pass, else as decoding reads a prompt."""
    if isinstance(model, Backbone):
        return model.hidden_states(model.embed(batch), batch)
    lengths = [batch.time] * batch.num_rows
    if batch.document_ids is not None:
        lengths = (batch.document_ids != PADDING).sum(1).tolist()
    cache = model.empty_cache(batch.num_rows)
    return model.run(lambda: model.extend(batch.input_ids, lengths, cache, range(batch.num_rows)))


def windows_of(ids: list[int], window: int, stride: int) -> Iterator[ScoredText]:
    """Windows over one text; in each only the tokens that no earlier window predicted are scored."""
    done = 1  # ids[0] is given, not predicted
    while done < len(ids):
        # The first window predicts all it can; each further one predicts ``stride`` tokens.
        stop = min(len(ids), done + (window if done == 1 else stride))
        start = max(0, stop - 1 - window)
        yield ScoredText(ids[start:stop], done - start)
        done = stop


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < 700 else math.inf
