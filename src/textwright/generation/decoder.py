"""What decoding needs of a model. A ``LanguageModel`` has it, and so have the engines made of one."""

from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textwright.models.language_model import State


@runtime_checkable
class Decoder(Protocol):
    """Reads tokens against a state that belongs to the caller, and says what comes next."""

    can_rewind: bool
    """Whether its states can be rewound."""

    @property
    def vocab_size(self) -> int:
        """Number of different tokens."""

    @property
    def context_length(self) -> int:
        """The most tokens seen at once."""

    @property
    def width(self) -> int:
        """Width of the hidden states."""

    @property
    def device(self) -> torch.device:
        """Where ids go and logits come from."""

    def at_work(self) -> AbstractContextManager[None]:
        """A context to decode in; afterwards everything is as it was."""

    def empty_state(self, rows: int) -> State:
        """The state before the first token."""

    def extend(
        self, ids: Int[Tensor, "rows time"], lengths: Int[Tensor, " rows"], state: State
    ) -> tuple[Float[Tensor, "rows time width"], State]:
        """Read more tokens; see ``LanguageModel.extend``."""

    def head(self, hidden: Float[Tensor, "*places width"]) -> Float[Tensor, "*places vocabulary"]:
        """Logits of the next token."""
