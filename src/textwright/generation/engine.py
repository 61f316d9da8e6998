"""``generate``: prompts in, completions out.

An engine is a function that takes open rows and writes them to their end; see ``torch_engine.write``.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from textwright.core.errors import InputError
from textwright.generation import torch_engine
from textwright.generation.request import Completion, SamplingConfig
from textwright.generation.row import Row
from textwright.models.language_model import LanguageModel
from textwright.tokens.tokenizer import Tokenizer

__all__ = ["Completion", "generate"]


def generate(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    sampling: SamplingConfig,
    *,
    on_text: Callable[[int, str], None] | None = None,
) -> list[Completion]:
    """Continue prompts, of any lengths and however many.

    A completion depends on its prompt, the sampling and the seed, not on what else is in the batch. Once prompt and
    text outgrow the context, the window slides by half the context: see ``row.window_start``.

    Args:
        model: computes in the precision that its weights are in.
        tokenizer: the model's own.
        prompts: an empty prompt begins a document: it is read as the end token.
        sampling: how to choose tokens, and when to stop.
        on_text: called with (index of the completion, new text) as soon as the text is certain: whole characters, and
            nothing of a stop string. Joined, the pieces are the completion's text.

    Returns:
        ``sampling.num_samples`` completions of the first prompt, then those of the second, ...

    Raises:
        InputError: no prompt, a prompt that is no text, a tokenizer that is not the model's, or logits that are not
            finite.
    """
    _check(model, tokenizer, prompts)
    pairs = [(prompt, sample) for prompt in prompts for sample in range(sampling.num_samples)]
    show = on_text or (lambda _index, _text: None)
    rows = [
        Row(prompt, sample, tokenizer, sampling, partial(show, index)) for index, (prompt, sample) in enumerate(pairs)
    ]
    with _evaluating(model):
        torch_engine.write(model, rows, sampling, vocab_size=tokenizer.vocab_size)
    return [row.completion(model.context_length) for row in rows]


def _check(model: LanguageModel, tokenizer: Tokenizer, prompts: Sequence[str]) -> None:
    if isinstance(prompts, str):
        raise InputError("one text instead of a list of prompts", fix="put it into a list: [prompt]")
    if not prompts:
        raise InputError("no prompt", expected="at least one; an empty text begins a document", fix="give a prompt")
    for number, prompt in enumerate(prompts, start=1):
        if any("\ud800" <= character <= "\udfff" for character in prompt):
            raise InputError(f"prompt {number} holds bytes that are not UTF-8", expected="text", fix="re-type it")
    if tokenizer.vocab_size > model.vocab_size:
        raise InputError(
            f"a tokenizer of {tokenizer.vocab_size:,} tokens for a model of {model.vocab_size:,}",
            fix="use the tokenizer that the model was trained with",
        )


@contextmanager
def _evaluating(model: LanguageModel) -> Iterator[None]:
    """Without dropout, and afterwards as it was: samples are drawn in the middle of training."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
