"""``generate``: prompts in, completions out.

A decoder computes; a strategy is a function that has it write open rows to their end; see ``strategies``.
"""

from collections.abc import Callable, Sequence
from functools import partial

from textwright.core.allocator import keep_freed_memory
from textwright.core.errors import InputError
from textwright.generation.constraints import compile_constraint
from textwright.generation.filters import make_filters
from textwright.generation.request import Completion, SamplingConfig
from textwright.generation.row import Row
from textwright.generation.speculative import Speculation
from textwright.generation.strategies import STRATEGIES
from textwright.models.protocols import Decoder
from textwright.tokens.tokenizer import Tokenizer

__all__ = ["Completion", "generate"]


def generate(
    decoder: Decoder,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    sampling: SamplingConfig,
    *,
    on_text: Callable[[int, str], None] | None = None,
    speculation: Speculation | None = None,
) -> list[Completion]:
    """Continue prompts, of any lengths and however many.

    A completion depends on its prompt, the sampling and the seed, not on what else is in the batch. Once prompt and
    text outgrow the context, the window slides by half the context: see ``row.window_start``. In a search, with beams
    or contrastive, it does not slide, and ``on_text`` gets nothing before a search with beams is over.

    Args:
        decoder: a model, which computes in the precision that its weights are in, or an engine.
        tokenizer: the model's own.
        prompts: an empty prompt begins a document: it is read as the end token.
        sampling: how to choose tokens, and when to stop.
        on_text: called with (index of the completion, new text) as soon as the text is certain: whole characters, and
            nothing of a stop string. Joined, the pieces are the completion's text.
        speculation: have a drafter guess ahead; it counts what was accepted.

    Returns:
        ``sampling.n`` completions of the first prompt, then those of the second, ...

    Raises:
        InputError: no prompt, a prompt that is no text, a tokenizer that is not the model's, a bias for what is no
            token, a constraint that cannot be used, a search that needs more than the context, a search that is to
            guess ahead, or logits that are not finite.
    """
    _check(decoder, tokenizer, prompts)
    keep_freed_memory()
    if speculation is not None and sampling.strategy != "sample":
        raise InputError(f"guessing ahead with {sampling.search_setting}", fix="leave one of them out")
    pairs = [(prompt, sample) for prompt in prompts for sample in range(sampling.n)]
    show = on_text or (lambda _index, _text: None)
    constraint = compile_constraint(sampling, tokenizer)
    rows = [
        Row(prompt, sample, tokenizer, sampling, partial(show, index), constraint)
        for index, (prompt, sample) in enumerate(pairs)
    ]
    still_open = [row for row in rows if row.is_open]  # a constraint can leave nothing to write
    with decoder.at_work():
        write = speculation.write if speculation is not None else STRATEGIES[sampling.strategy]
        write(decoder, still_open, sampling, make_filters(sampling, tokenizer), vocab_size=tokenizer.vocab_size)
    return [row.completion(decoder.context_length) for row in rows]


def _check(decoder: Decoder, tokenizer: Tokenizer, prompts: Sequence[str]) -> None:
    if isinstance(prompts, str):
        raise InputError("one text instead of a list of prompts", fix="put it into a list: [prompt]")
    if not prompts:
        raise InputError("no prompt", expected="at least one; an empty text begins a document", fix="give a prompt")
    for number, prompt in enumerate(prompts, start=1):
        if any("\ud800" <= character <= "\udfff" for character in prompt):
            raise InputError(f"prompt {number} holds bytes that are not UTF-8", expected="text", fix="re-type it")
    if tokenizer.vocab_size > decoder.vocab_size:
        raise InputError(
            f"a tokenizer of {tokenizer.vocab_size:,} tokens for a model of {decoder.vocab_size:,}",
            fix="use the tokenizer that the model was trained with",
        )
