"""Prompts to completions with torch: any model, any device, many rows at once.

::

    prompts --prefill--> state, hidden --choose_tokens--> ids --extend--> state, hidden --choose_tokens--> ...
                                                           |
                                                           +--> text, until its end, a stop text or max_new_tokens
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from textwright.core.errors import InputError
from textwright.generation.filters import apply_filters
from textwright.generation.request import SamplingConfig
from textwright.generation.sampling import draw, uniform
from textwright.generation.stopping import TextStream
from textwright.models.language_model import LanguageModel, State
from textwright.tokens import Tokenizer

MAX_ROWS = 64
"""Completions generated at once; more are done in turns, so that memory stays bounded."""
PREFILL_TOKENS = 512
"""Tokens of a prompt read at once."""

OnText = Callable[[int, str], None]


@dataclass(frozen=True)
class Completion:
    """One continuation of one prompt."""

    prompt: str
    text: str
    """Without the prompt."""
    token_ids: list[int]
    """The new tokens, the end token not among them."""
    finish_reason: Literal["end", "stop", "length"]
    """end: the document ended. stop: a stop text came. length: max_new_tokens."""
    num_tokens: int
    """How many new tokens were generated."""
    window_slid: bool
    """Whether the text outgrew the context, so that its beginning was forgotten."""


@dataclass
class _Row:
    """A completion in the making."""

    index: int
    prompt: str
    prompt_ids: list[int]
    sample: int
    stream: TextStream
    new_ids: list[int] = field(default_factory=list)
    window_slid: bool = False
    finish_reason: Literal["end", "stop", "length"] | None = None

    def as_completion(self) -> Completion:
        assert self.finish_reason is not None
        return Completion(
            self.prompt,
            self.stream.text,
            self.new_ids,
            self.finish_reason,
            len(self.new_ids),
            self.window_slid,
        )


@torch.inference_mode()
def generate(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    config: SamplingConfig,
    *,
    on_text: OnText | None = None,
) -> list[Completion]:
    """Continue prompts.

    A text that outgrows the context goes on with its newest half: ``window_slid`` says so.

    Args:
        model: it is put into evaluation mode.
        tokenizer: the model's.
        prompts: of any lengths; an empty one starts a document.
        config: how to choose tokens.
        on_text: called with (index of the completion, new text) as texts grow.

    Returns:
        ``num_samples`` completions for each prompt, prompt after prompt.

    Raises:
        InputError: no prompt at all.
    """
    if not prompts:
        raise InputError("no prompt", expected="at least one")
    model.eval()
    rows: list[_Row] = []
    for prompt in prompts:
        ids = tokenizer.encode(prompt) or [tokenizer.end_id]
        for sample in range(config.num_samples):
            rows.append(_Row(len(rows), prompt, ids, sample, TextStream(tokenizer, config.stop)))
    for start in range(0, len(rows), MAX_ROWS):
        _generate_rows(model, tokenizer, rows[start : start + MAX_ROWS], config, on_text)
    return [row.as_completion() for row in rows]


def _generate_rows(
    model: LanguageModel, tokenizer: Tokenizer, rows: list[_Row], config: SamplingConfig, on_text: OnText | None
) -> None:
    state, hidden = prefill(model, rows)
    seen = _seen(model, rows) if config.repetition_penalty != 1.0 else None
    while rows:
        ids = choose_tokens(model.head(hidden).float(), seen, rows, config)
        if seen is not None:
            seen[torch.arange(len(rows)), ids] = True
        for row, token_id in zip(rows, ids.tolist(), strict=True):
            _accept(row, token_id, tokenizer, config, on_text)
        going = [place for place, row in enumerate(rows) if row.finish_reason is None]
        if len(going) < len(rows):
            rows = [rows[place] for place in going]
            if not rows:
                return
            state, ids = state.select(going), ids[going]
            seen = seen[going] if seen is not None else None
        full = [place for place, length in enumerate(state.lengths.tolist()) if length >= model.context_length]
        if full:
            state, hidden = _slide(model, rows, state, ids, full)
        else:
            hidden, state = model.extend(ids[:, None], torch.ones_like(ids), state)
            hidden = hidden[:, 0]


def prefill(model: LanguageModel, rows: list[_Row]) -> tuple[State, Float[Tensor, "rows width"]]:
    """Read each row's text, at most as much of its end as the context holds with room for one more token.

    Samples of one prompt share its reading. Returns the state and the hidden state at each row's last token.
    """
    texts: dict[tuple[int, ...], int] = {}
    places = []
    for row in rows:
        ids = row.prompt_ids + row.new_ids
        if len(ids) > model.context_length - 1 and len(ids) > 1:
            ids, row.window_slid = ids[-max(1, model.context_length // 2) :], True
        places.append(texts.setdefault(tuple(ids), len(texts)))
    state, hidden = _read(model, [list(ids) for ids in texts])
    if places == list(range(len(texts))):
        return state, hidden
    return state.select(places), hidden[places]


def _read(model: LanguageModel, texts: list[list[int]]) -> tuple[State, Tensor]:
    device = model.head_weight.device
    lengths = torch.tensor([len(ids) for ids in texts], device=device)
    padded = torch.zeros((len(texts), int(lengths.max())), dtype=torch.int64, device=device)
    for place, ids in enumerate(texts):
        padded[place, : len(ids)] = torch.tensor(ids, device=device)
    state = model.empty_state(len(texts))
    last = torch.zeros((len(texts), model.width), device=device, dtype=model.head_weight.dtype)
    for start in range(0, padded.shape[1], PREFILL_TOKENS):
        chunk = padded[:, start : start + PREFILL_TOKENS]
        counts = (lengths - start).clamp(0, chunk.shape[1])
        hidden, state = model.extend(chunk, counts, state)
        ends_here = ((lengths > start) & (lengths <= start + chunk.shape[1])).nonzero().squeeze(1)
        last[ends_here] = hidden[ends_here, counts[ends_here] - 1].to(last.dtype)
    return state, last


def choose_tokens(
    logits: Float[Tensor, "rows vocabulary"], seen: Tensor | None, rows: list[_Row], config: SamplingConfig
) -> Tensor:
    """One token a row."""
    if config.temperature == 0:
        if seen is not None:
            logits = apply_filters(logits, seen, config.model_copy(update={"temperature": 1.0}))
        return logits.argmax(dim=1)
    filtered = apply_filters(logits, seen, config)
    return draw(filtered, [uniform(config.seed, row.sample, len(row.new_ids)) for row in rows])


def _accept(row: _Row, token_id: int, tokenizer: Tokenizer, config: SamplingConfig, on_text: OnText | None) -> None:
    """Add a token to a row, and see whether that ends it."""
    if token_id == tokenizer.end_id:
        row.finish_reason, text = "end", row.stream.finish()
    else:
        row.new_ids.append(token_id)
        # A model's vocabulary may be larger than its tokenizer's; such ids are nobody's text.
        text = row.stream.push(token_id) if token_id < tokenizer.vocab_size else ""
        if row.stream.is_stopped:
            row.finish_reason = "stop"
        elif len(row.new_ids) >= config.max_new_tokens:
            text += row.stream.finish()
            row.finish_reason = "stop" if row.stream.is_stopped else "length"
    if text and on_text is not None:
        on_text(row.index, text)


def _slide(
    model: LanguageModel, rows: list[_Row], state: State, ids: Tensor, full: list[int]
) -> tuple[State, Float[Tensor, "rows width"]]:
    """Rows that fill the context are read again from their newest half; the others take one step."""
    going = [place for place in range(len(rows)) if place not in set(full)]
    new_state, new_hidden = prefill(model, [rows[place] for place in full])
    if not going:
        return new_state, new_hidden
    old_state = state.select(going)
    hidden, old_state = model.extend(ids[going][:, None], torch.ones_like(ids[going]), old_state)
    order = sorted(range(len(rows)), key=[*full, *going].__getitem__)
    return new_state.join(old_state).select(order), torch.cat([new_hidden, hidden[:, 0]])[order]


def _seen(model: LanguageModel, rows: list[_Row]) -> Tensor:
    """Which tokens each row's prompt has."""
    seen = torch.zeros((len(rows), model.vocab_size), dtype=torch.bool, device=model.head_weight.device)
    for place, row in enumerate(rows):
        seen[place, torch.tensor(row.prompt_ids, device=seen.device)] = True
    return seen
