"""What to write and how to choose: the request, and what comes back. Torch-free."""

from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from textwright.core.config import Config

FinishReason = Literal["end", "stop", "length", "constraint"]
"""The model ended the document, or the constraint was met and left nothing to add; a stop string came up;
``max_new_tokens`` were written; or the constraint was not met and no token could follow."""

Text = Annotated[str, StringConstraints(min_length=1)]
CONSTRAINTS = ("choices", "regex", "json_schema", "grammar")


class SamplingConfig(Config):
    """How to continue prompts. What is not set is off, but for the temperature."""

    max_new_tokens: int = Field(default=100, ge=1)
    """Most tokens to write for each completion."""
    temperature: float = Field(default=0.8, ge=0, le=100)
    """0 always takes the likeliest token; 1 draws from the model's own distribution; higher is wilder."""
    top_k: int | None = Field(default=None, ge=1)
    """Draw from the k likeliest tokens only."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Draw from the fewest tokens that together have this probability."""
    min_p: float | None = Field(default=None, gt=0, le=1)
    """Draw from tokens at least this fraction as likely as the likeliest."""
    repetition_penalty: float = Field(default=1.0, gt=0, le=100)
    """Above 1, tokens of the prompt and the text so far become less likely; 1 is off."""
    stop: tuple[Text, ...] = ()
    """A completion ends before any of these texts."""
    num_samples: int = Field(default=1, ge=1)
    """Completions of each prompt."""
    seed: int = 0
    """The same seed gives the same text."""
    alternatives: int | None = Field(default=None, ge=0, le=1000)
    """Report each token's probability, rank and entropy, and so many of the likeliest tokens in its place."""
    choices: tuple[Text, ...] = ()
    """Write exactly one of these texts."""
    regex: Text | None = None
    """Write a text that this regular expression (Rust's kind) matches from end to end."""
    json_schema: Text | None = None
    """Write JSON that fits this JSON Schema, spaced as Python's json.dumps does."""
    grammar: Text | None = None
    """Write a text of this grammar (llguidance's kind of Lark)."""

    @model_validator(mode="after")
    def _one_constraint(self) -> Self:
        given = [name for name in CONSTRAINTS if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} were given; one of them at a time")
        return self

    @property
    def constrained_by(self) -> str | None:
        """Which of the constraints was given."""
        return next((name for name in CONSTRAINTS if getattr(self, name)), None)


@dataclass(frozen=True)
class Alternative:
    """A token that could have been chosen."""

    token_id: int
    p: float
    """Its probability, as the model saw it."""


@dataclass(frozen=True)
class TokenReport:
    """How a token came to be chosen."""

    token_id: int
    p: float
    """Its probability, as the model saw it."""
    filtered_p: float
    """Its probability once filters had done their work: what it was drawn with."""
    rank: int
    """1 for the token that the model found likeliest."""
    entropy_nats: float
    """How undecided the model was."""
    alternatives: tuple[Alternative, ...]
    """The likeliest tokens, as the model saw them."""


@dataclass(frozen=True)
class Completion:
    """The continuation of one prompt.

    Attributes:
        prompt: as given.
        text: what was written, without the prompt, the stop string and the end token.
        log_p: the sum of the chosen tokens' log-probabilities in nats, as the model saw them.
        reports: how each token was chosen, where that was asked for.
        token_ids: every token that was chosen, those of the stop string and the end token among them.
        finish_reason: why it ended.
        window_slid: whether prompt and text outgrew the context, so that the model no longer saw the beginning.
    """

    prompt: str
    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    window_slid: bool
    log_p: float = field(compare=False)
    reports: tuple[TokenReport, ...] = field(default=(), compare=False)

    @property
    def num_tokens(self) -> int:
        """How many tokens were chosen."""
        return len(self.token_ids)
