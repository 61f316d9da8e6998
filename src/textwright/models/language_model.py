"""What every family is to the rest of the code."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, Self, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from textwright.batches.batch import Batch
from textwright.models.config import GPTConfig
from textwright.models.probe import Probe


@runtime_checkable
class State(Protocol):
    """What decoding carries from one ``extend`` to the next. It belongs to the caller, never to a module.

    ``extend`` may change it in place: the old value is then dead.
    """

    @property
    def lengths(self) -> Int[Tensor, " rows"]:
        """How many tokens each row holds."""

    @property
    def size_bytes(self) -> int:
        """Memory it takes."""

    def select(self, rows: Sequence[int] | Int[Tensor, " chosen"]) -> Self:
        """The state of these rows, in this order; a row may come twice."""

    def join(self, other: Self) -> Self:
        """The rows of both, this one's first."""

    def rewind(self, lengths: Int[Tensor, " rows"]) -> Self:
        """The state as it was when the rows held so many tokens, at most as many as now."""


class LanguageModel(nn.Module, ABC):
    """A model that predicts tokens.

    Training and scoring: ``embed`` -> ``run`` -> ``head``. Decoding: ``empty_state`` -> ``extend`` -> ``head``.
    """

    config: GPTConfig
    can_rewind = True

    @property
    def vocab_size(self) -> int:
        """Number of different tokens."""
        return self.config.vocab_size

    @property
    def context_length(self) -> int:
        """The most tokens the model sees at once."""
        return self.config.context_length

    @property
    def width(self) -> int:
        """Width of the hidden states."""
        return self.config.hidden_size

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head_weight.device

    @property
    @abstractmethod
    def head_weight(self) -> Float[Tensor, "vocabulary width"]:
        """The output matrix."""

    @abstractmethod
    def initialise(self, generator: torch.Generator) -> None:
        """Give every matrix its value before training, drawn from the generator: until then they hold anything."""

    @abstractmethod
    def embed(self, batch: Batch) -> Float[Tensor, "rows time width"]:
        """Tokens and positions as vectors."""

    @abstractmethod
    def run(
        self, embedded: Float[Tensor, "rows time width"], batch: Batch, probe: Probe | None = None
    ) -> Float[Tensor, "rows time width"]:
        """The last hidden states, ready for ``head``."""

    @abstractmethod
    def head(self, hidden: Float[Tensor, "*places width"]) -> Float[Tensor, "*places vocabulary"]:
        """Logits of the next token, only for the places given: all of them at once may not fit in memory."""

    def at_work(self) -> AbstractContextManager[None]:
        """A context to decode in. Nothing has to be prepared: ``extend`` is the same in training."""
        return nullcontext()

    @abstractmethod
    def empty_state(self, rows: int, source: Batch | None = None) -> State:
        """The state before the first token. ``source`` is for encoder-decoder models."""

    @abstractmethod
    def extend(
        self, ids: Int[Tensor, "rows time"], lengths: Int[Tensor, " rows"], state: State
    ) -> tuple[Float[Tensor, "rows time width"], State]:
        """Read more tokens: a prompt, a piece of one, the one token just chosen, or several drafted ones.

        Without dropout, whether the model is in training or not, and without touching that: samples are drawn in the
        middle of training, and by several threads at once.

        Args:
            ids: row r is extended by ``ids[r, :lengths[r]]``; what comes after is padding.
            lengths: 0 to time for each row.
            state: may be updated in place.

        Returns:
            Hidden states (those of padding mean nothing) and the new state.
        """

    def compile_for_training(self) -> None:
        """Compile what a training step spends its time in, with torch.compile; evaluating and decoding stay.

        A family for which that is of no use leaves it out.
        """

    def recompute_for_training(self) -> None:
        """Keep only what goes into each block for the backward pass, and compute the rest again there.

        A family that cannot leaves it out, and keeps everything.
        """

    def end_training(self) -> None:
        """Undo ``compile_for_training`` and ``recompute_for_training``: they belong to a run, not to the model."""

    @abstractmethod
    def sites(self) -> tuple[str, ...]:
        """The names a probe may use."""
