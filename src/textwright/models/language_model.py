"""A network that predicts tokens: a backbone and a head, and a decoder."""

from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.models.hooks import ModelHooks
from textwright.models.layers.cross_entropy import LossAndGrad, compilable_loss_and_grad, cross_entropy_sum
from textwright.models.network import Network
from textwright.models.protocols import Cache, Conditioning, T


class LanguageModel(Network):
    """A model that predicts tokens.

    Training and scoring: ``embed`` -> ``hidden_states`` -> ``loss`` or ``logits``. Decoding: ``empty_cache`` ->
    ``extend`` -> ``logits``.
    """

    can_crop = True
    conditioning: Conditioning | None = None
    _compiled_loss: LossAndGrad | None = None
    _compiled_loss_of_some: LossAndGrad | None = None
    """Of some places, how many may differ from step to step."""
    _cast_head: Tensor | None = None

    @property
    def vocab_size(self) -> int:
        """Number of different tokens."""
        return self.config.vocab_size

    @property
    def context_length(self) -> int:
        """The most tokens the model sees at once."""
        return self.config.context_length

    @property
    @abstractmethod
    def hidden_size(self) -> int:
        """Width of the hidden states."""

    @property
    @abstractmethod
    def head_weight(self) -> Float[Tensor, "vocabulary hidden"]:
        """The output matrix."""

    @abstractmethod
    def embed(self, batch: Batch, hooks: ModelHooks | None = None) -> Float[Tensor, "batch time hidden"]:
        """Tokens and positions as vectors."""

    @abstractmethod
    def hidden_states(
        self, embedded: Float[Tensor, "batch time hidden"], batch: Batch, hooks: ModelHooks | None = None
    ) -> Float[Tensor, "batch time hidden"]:
        """The last hidden states, ready for ``logits`` and ``loss``."""

    @abstractmethod
    def hook_points(self) -> tuple[str, ...]:
        """The names that hooks may use, in the order of computation."""

    def residual_contributions(self) -> tuple[str, ...]:
        """The points whose values add up to the residual stream after the last block; none where it is not a sum."""
        return ()

    def logits(self, hidden: Float[Tensor, "*places hidden"]) -> Float[Tensor, "*places vocabulary"]:
        """Logits of the next token, only for the places given: all of them at once may not fit in memory."""
        return F.linear(hidden, self.head_weight)

    def loss(
        self,
        hidden: Float[Tensor, "*places hidden"],
        target_ids: Int[Tensor, "*places"],
        weights: Float[Tensor, "*places"],
    ) -> Float[Tensor, ""]:
        """The sum of weight x cross-entropy over the places, in nats; what has no weight costs nothing."""
        flat, targets, flat_weights = hidden.flatten(0, -2), target_ids.flatten(), weights.flatten().float()
        counted, compiled = flat_weights.nonzero().squeeze(1), self._compiled_loss
        if len(counted) < len(flat_weights):
            flat, targets, flat_weights = flat[counted], targets[counted], flat_weights[counted]
            compiled = self._compiled_loss_of_some
        head = self.head_weight if self._cast_head is None else self._cast_head
        return cross_entropy_sum(flat, head, targets, flat_weights, compiled)

    def untie_head(self) -> None:
        """Give the head a matrix of its own, where it is the token embedding: a copy, which is trained by itself.

        What the model computes stays the same; its config, and what is saved, say that the two are apart.

        Raises:
            InputError: the family does not offer it.
        """
        raise InputError(
            f"the head of a {self.config.family} model cannot be parted from its embedding",
            expected="a family that offers it",
            fix="train something else than the head alone",
        )

    def hidden_matrices(self) -> dict[str, tuple[int, ...]]:
        """Those of all linear layers but the head."""
        found = super().hidden_matrices()
        return {name: splits for name, splits in found.items() if self.get_parameter(name) is not self.head_weight}

    def cast_frozen(self, dtype: torch.dtype) -> None:
        """Keep a frozen head as the loss's products take it: a tied one is an embedding too, which stays as it is."""
        frozen = not self.head_weight.requires_grad
        self._cast_head = self.head_weight.detach().to(dtype) if frozen else None

    def compile_for_training(self) -> None:
        """Compile what is done to the logits: one pass over them instead of six."""
        self._compiled_loss = torch.compile(compilable_loss_and_grad, dynamic=False)
        self._compiled_loss_of_some = torch.compile(compilable_loss_and_grad, dynamic=True)

    def end_training(self) -> None:
        """Undo what was done to the loss."""
        self._compiled_loss = self._compiled_loss_of_some = self._cast_head = None

    def run(self, work: Callable[[], T]) -> T:
        """Decode here and now: ``extend`` is the same in training."""
        return work()

    @abstractmethod
    def empty_cache(self, num_slots: int, source: Batch | None = None) -> Cache:
        """The cache before the first token; see ``Decoder.empty_cache``."""

    @abstractmethod
    def extend(
        self,
        ids: Int[Tensor, "rows time"],
        lengths: Sequence[int],
        cache: Cache,
        slots: Sequence[int],
        hooks: ModelHooks | None = None,
    ) -> Float[Tensor, "rows time hidden"]:
        """Read more tokens; see ``Decoder.extend``.

        Without dropout, whether the model is in training or not, and without touching that: samples are drawn in the
        middle of training, and by several threads at once.
        """


def as_language_model(network: Network) -> LanguageModel:
    """The network, which is a language model.

    Raises:
        InputError: it is not: it predicts no tokens.
    """
    if not isinstance(network, LanguageModel):
        raise InputError(f"a {network.config.family} model is no language model", expected="one that predicts tokens")
    return network
