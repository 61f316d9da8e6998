"""How to continue a prompt, as plain values. Torch-free."""

from pydantic import Field, field_validator

from textwright.core.config import Config

MAX_STOPS = 1000


class SamplingConfig(Config):
    """How to choose tokens. The filters act in the order in which they stand here."""

    max_new_tokens: int = Field(default=100, ge=1)
    """At most so many tokens."""
    repetition_penalty: float = Field(default=1.0, gt=0)
    """Divides positive and multiplies negative logits of tokens that occurred; 1 leaves them."""
    temperature: float = Field(default=1.0, ge=0)
    """Divides the logits: below 1 surer, above 1 bolder. 0 always takes the likeliest token (greedy)."""
    top_k: int | None = Field(default=None, ge=1)
    """Keep the k likeliest tokens."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Keep the likeliest tokens that together have this probability, 0 to 1."""
    min_p: float | None = Field(default=None, ge=0, le=1)
    """Keep tokens at least this fraction, 0 to 1, as likely as the likeliest."""
    stop: tuple[str, ...] = ()
    """Texts at which to end; they are not part of the completion."""
    num_samples: int = Field(default=1, ge=1, le=4096)
    """Completions for each prompt."""
    seed: int = Field(default=0, ge=0)
    """Fixes the result, whatever else is generated beside it."""

    @field_validator("stop", mode="before")
    @classmethod
    def _one_text_is_a_list_of_one(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("stop")
    @classmethod
    def _stops_are_usable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) > MAX_STOPS:
            raise ValueError(f"at most {MAX_STOPS:,} stop texts, not {len(value):,}")
        if "" in value:
            raise ValueError("stop texts that are not empty")
        return value
