"""``generate``: prompts in, completions out."""

import itertools
from collections.abc import Callable
from collections.abc import Sequence as Several

from textwright.core.allocator import keep_freed_memory
from textwright.core.errors import InputError
from textwright.generation.request import Completion, Request, SamplingConfig
from textwright.generation.scheduler import Scheduler
from textwright.generation.speculative import Speculation
from textwright.models.protocols import Decoder
from textwright.tokens.tokenizer import Tokenizer

__all__ = ["Completion", "generate"]

STEPS_S, SHOWN_STEPS_S = 0.1, 0.02
"""Of steps that are handed over in one go: many times what handing over takes. Ctrl-C and other threads wait so long;
where text is shown as it comes, no eye can see it."""


def generate(
    decoder: Decoder,
    tokenizer: Tokenizer,
    prompts: Several[str | Several[int] | Request],
    sampling: SamplingConfig,
    *,
    on_text: Callable[[int, str], None] | None = None,
    speculation: Speculation | None = None,
) -> list[Completion]:
    """Continue prompts, of any lengths and however many.

    A completion depends on its prompt, the sampling and the seed, not on what else is in the batch. Once prompt and
    text outgrow the context, the window slides by half the context: see ``sequence.window_start``. In a search, with
    beams or contrastive, it does not slide, and ``on_text`` gets nothing before a search with beams is over.

    Args:
        decoder: a model, which computes in the precision that its weights are in, or an engine.
        tokenizer: the model's own.
        prompts: texts, token ids, or whole requests, each with its own settings. An empty text begins a document: it
            is read as the end token.
        sampling: how to choose tokens, and when to stop, where a prompt is no request.
        on_text: called with (index of the completion, new text) as soon as the text is certain: whole characters, and
            nothing of a stop string. Joined, the pieces are the completion's text.
        speculation: have a drafter guess ahead; it counts what was accepted.

    Returns:
        ``sampling.n`` completions of the first prompt, then those of the second, ...

    Raises:
        InputError: no prompt, a prompt that is no text, or ids that are no tokens; a source where the model reads none,
            or none where it needs one; a tokenizer that is not the model's, a bias for what is no token, a constraint
            that cannot be used, a search that needs more than the context, a search that is to guess ahead, or logits
            that are not finite.
    """
    if isinstance(prompts, str):
        raise InputError("one text instead of a list of prompts", fix="put it into a list: [prompt]")
    if not prompts:
        raise InputError("no prompt", expected="at least one; an empty text begins a document", fix="give a prompt")
    keep_freed_memory()
    scheduler = Scheduler(decoder, tokenizer, speculation=speculation)
    if not all(isinstance(prompt, Request) for prompt in prompts):
        scheduler.check(sampling)
    requests = [prompt if isinstance(prompt, Request) else Request(prompt, sampling) for prompt in prompts]
    _add(scheduler, requests)
    first = [0, *itertools.accumulate(request.sampling.n for request in requests)]
    found: list[Completion | None] = [None] * first[-1]
    seconds = STEPS_S if on_text is None else SHOWN_STEPS_S
    while scheduler.has_work:
        for event in scheduler.step(min_seconds=seconds):
            index = first[event.request_id] + event.sample
            if event.text and on_text is not None:
                on_text(index, event.text)
            if event.completion is not None:
                found[index] = event.completion
    return [completion for completion in found if completion is not None]


def _add(scheduler: Scheduler, requests: Several[Request]) -> None:
    """Hand them over; of several the one that cannot be taken is named."""
    for number, request in enumerate(requests, start=1):
        try:
            scheduler.add(request)
        except InputError as error:
            if len(requests) == 1:
                raise
            where = f"prompt {number}"
            raise InputError(error.given, expected=error.expected, where=where, fix=error.fix) from None
