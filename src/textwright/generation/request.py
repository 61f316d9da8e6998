"""What to write and how to choose: the request, and what comes back. Torch-free."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from cyclopts import Parameter
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from textwright.core.config import Config

FinishReason = Literal["stop", "length", "abort"]
"""Something ended the text, which ``stop_reason`` names; ``max_new_tokens`` were written; or it was given up."""
ABORT: FinishReason = "abort"
CANCELLED, DEADLINE = "cancelled", "deadline"
"""Why a text was given up."""
EOS, CONSTRAINT = "eos", "constraint"
"""Why a text stopped, where no stop string ended it: the model ended the document, or the constraint was met and left
nothing to add; or the constraint was not met and no token could follow."""

Text = Annotated[str, StringConstraints(min_length=1)]
MOST_TEXTS = 1000
"""Stop strings, or banned words: each is looked for at every token."""
CONSTRAINTS = ("choices", "regex", "json_schema", "grammar")

Strategy = Literal["sample", "beams", "contrastive"]
"""How tokens are chosen: each for itself; as the likeliest texts; or so that the text does not repeat itself."""


def _check_is_text(word: str) -> str:
    if any("\ud800" <= character <= "\udfff" or character == "\ufffd" for character in word):
        raise ValueError("text: U+FFFD and surrogates stand for bytes that are no text, and cannot be looked for")
    return word


BadWord = Annotated[str, StringConstraints(min_length=1), AfterValidator(_check_is_text)]
Bias = Annotated[float, Field(ge=-100, le=100)]


def read_biases(given: Any) -> Any:
    """Biases by token id, from a text such as ``262=1.5,50256=-100``; what is no text is for the field to check."""
    if not isinstance(given, str):
        return given
    try:
        pairs = [pair.split("=") for pair in given.split(",")]
        return {int(token_id): float(bias) for token_id, bias in pairs}
    except ValueError:
        raise ValueError("ID=BIAS,ID=BIAS, for example 262=1.5,50256=-100") from None


# A command line has no dictionaries with numbers for keys.
Biases = Annotated[
    dict[int, Bias], BeforeValidator(read_biases), Parameter(accepts_keys=False, n_tokens=1, show_default=False)
]


class SamplingConfig(Config):
    """How to continue prompts. What is not set is off, but for the temperature."""

    max_new_tokens: int = Field(default=100, ge=1)
    """Most tokens to write for each completion."""
    min_new_tokens: int = Field(default=0, ge=0)
    """No end token before so many tokens; a stop string or a constraint may end a text sooner."""
    stop_token_ids: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(), max_length=MOST_TEXTS)
    """Tokens that end a text, beside the model's own end token."""
    temperature: float = Field(default=0.8, ge=0, le=100)
    """0 always takes the likeliest token; 1 draws from the model's own distribution; higher is wilder."""
    top_k: int | None = Field(default=None, ge=1)
    """Draw from the k likeliest tokens only."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Draw from the fewest tokens that together have this probability."""
    min_p: float | None = Field(default=None, gt=0, le=1)
    """Draw from tokens at least this fraction as likely as the likeliest."""
    typical_p: float | None = Field(default=None, gt=0, le=1)
    """Draw from the fewest tokens, the most typical first, that together have this probability."""
    logit_bias: Biases = Field(default_factory=dict)
    """ID=BIAS,ID=BIAS: added to the logits of these tokens; -100 as good as bans a token, 100 as good as forces it."""
    bad_words: tuple[BadWord, ...] = Field(default=(), max_length=MOST_TEXTS)
    """Texts that are never written, however they are cut into tokens. Upper and lower case differ."""
    no_repeat_ngram_size: int | None = Field(default=None, ge=1)
    """No run of so many tokens comes twice in the prompt and the text."""
    repetition_penalty: float = Field(default=1.0, gt=0, le=100)
    """Above 1, tokens of the prompt and the text so far become less likely; 1 is off."""
    presence_penalty: float = Field(default=0.0, ge=-100, le=100)
    """Taken from the logits of tokens that the text holds already, the prompt left aside; 0 is off."""
    frequency_penalty: float = Field(default=0.0, ge=-100, le=100)
    """Taken from a token's logit for each time the text holds it, the prompt left aside; 0 is off."""
    num_beams: int = Field(default=1, ge=1, le=1000)
    """Above 1, search for the likeliest texts, keeping so many at a time; the temperature is not used."""
    num_beam_groups: int = Field(default=1, ge=1)
    """Beams search in so many groups, one after the other, so that texts differ; a divisor of ``num_beams``."""
    diversity_penalty: float = Field(default=0.0, ge=0, le=100)
    """Taken from a token's log-probability for each beam of an earlier group that took it in the same place."""
    length_penalty: float = Field(default=1.0, ge=-10, le=10)
    """Beams are ranked by log-probability / length ** this: above 0 helps long texts, below 0 short ones."""
    penalty_alpha: float | None = Field(default=None, ge=0, le=1)
    """Contrastive search: 0 takes the likeliest of ``top_k`` (4) tokens, 1 the one least like all that came before."""
    stop: tuple[Text, ...] = Field(default=(), max_length=MOST_TEXTS)
    """A completion ends before any of these texts."""
    n: int = Field(default=1, ge=1)
    """Completions of each prompt."""
    seed: int = 0
    """The same seed gives the same text."""
    top_logprobs: int | None = Field(default=None, ge=0, le=1000)
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

    @property
    def strategy(self) -> Strategy:
        """How tokens are chosen; everything that depends on it asks here."""
        if self.num_beams > 1:
            return "beams"
        return "sample" if self.penalty_alpha is None else "contrastive"

    @property
    def search_setting(self) -> str:
        """The setting that asks for a search, to be named in errors."""
        return "num_beams" if self.strategy == "beams" else "penalty_alpha"

    @property
    def draws(self) -> bool:
        """Whether chance plays a part: if not, temperature, top-k, top-p, min-p and typical-p have no work."""
        return self.strategy == "sample" and self.temperature > 0

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        if self.min_new_tokens > self.max_new_tokens:
            raise ValueError("min_new_tokens above max_new_tokens")
        return self

    @model_validator(mode="after")
    def _check_strategy(self) -> Self:
        """Refuse what a search would have to leave unused."""
        cuts = [name for name in ("top_k", "top_p", "min_p", "typical_p") if getattr(self, name) is not None]
        if self.strategy == "contrastive":
            cuts = [name for name in cuts if name != "top_k"]
            if self.n > 1:
                raise ValueError("n above 1 with penalty_alpha: contrastive search finds one text")
        if self.strategy == "beams":
            if self.penalty_alpha is not None:
                raise ValueError("num_beams and penalty_alpha are two ways to search: give one of them")
            if self.n > self.num_beams:
                raise ValueError("n above num_beams: a search returns at most as many texts as it keeps")
            if self.num_beams % self.num_beam_groups:
                raise ValueError("num_beam_groups that does not divide num_beams: groups are of one size")
            if (self.num_beam_groups > 1) != (self.diversity_penalty > 0):
                raise ValueError("num_beam_groups and diversity_penalty go together: give both, or none")
        elif self.length_penalty != 1:
            raise ValueError("length_penalty without num_beams above 1: it ranks beams")
        elif self.num_beam_groups > 1 or self.diversity_penalty:
            raise ValueError("num_beam_groups or diversity_penalty without num_beams above 1: they part beams")
        if cuts and self.strategy != "sample":
            raise ValueError(f"{cuts[0]} with {self.search_setting}: a search draws no tokens; leave one of them out")
        return self


@dataclass(frozen=True)
class Request:
    """One thing to be written.

    Attributes:
        prompt: text, or token ids; an empty text begins a document. A text is read as one that begins here; token ids
            are taken as they are.
        sampling: how to choose tokens, and when to stop; ``sampling.n`` completions are made.
        source: what an encoder-decoder model writes about: text, or token ids.
        prefix: for models that are told in vectors what to write about: those, [prefix, hidden].
        deadline_s: by ``time.monotonic``, when it is given up if it is not done; None is never.
        special_tokens: read special tokens that are written in prompt and source as what they are.
        shown: what the completion calls the prompt, where that are token ids; None is their text.
    """

    prompt: str | Sequence[int]
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    source: str | Sequence[int] | None = None
    prefix: Any = None
    deadline_s: float | None = None
    special_tokens: bool = False
    shown: str | None = None


@dataclass(frozen=True)
class Alternative:
    """A token that could have been chosen."""

    token_id: int
    p: float
    """Its probability, as the model saw it."""


@dataclass(frozen=True)
class TokenLogprobs:
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
    top_logprobs: tuple[Alternative, ...]
    """The likeliest tokens, as the model saw them."""


@dataclass(frozen=True)
class Completion:
    """The continuation of one prompt.

    Attributes:
        prompt: as given.
        text: what was written, without the prompt, the stop string and the end token.
        logprob: the sum of the chosen tokens' log-probabilities in nats, as the model saw them.
        reports: how each token was chosen, where that was asked for.
        token_ids: every token that was chosen, those of the stop string and the end token among them.
        finish_reason: ``stop``, ``length`` or ``abort``.
        stop_reason: what stopped it: ``eos``, ``constraint`` (which was not met), the stop string that came up,
            ``cancelled`` or ``deadline``.
        context_shifted: whether prompt and text outgrew the context, so that the model no longer saw the beginning.
    """

    prompt: str
    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    stop_reason: str | None
    context_shifted: bool
    logprob: float = field(compare=False)
    reports: tuple[TokenLogprobs, ...] = field(default=(), compare=False)

    @property
    def num_tokens(self) -> int:
        """How many tokens were chosen."""
        return len(self.token_ids)
