"""What is trained beside frozen matrices, as plain values. Torch-free."""

from pydantic import Field

from textwright.core.config import Config

ALL = "all"
"""Every matrix that lies between hidden states."""


class LoraConfig(Config):
    """Adapters of low rank: to the matrix W of a layer, [out, in], a product is added, and only that is learned.

    ::

        x ──> W x ─────────────────────> + ──> out        W: [out, in], frozen
        └──> dropout ──> A ──> B ──> s ──┘                A: [rank, in], B: [out, rank]; s = alpha / rank

    Source: Hu et al. 2021 (arXiv:2106.09685).
    """

    rank: int = Field(default=8, ge=1)
    """Rows of A and columns of B."""
    alpha: float = Field(default=16.0, gt=0)
    """How much the product counts: it is multiplied with alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on what goes into A, in training."""
    targets: tuple[str, ...] = Field(default=(ALL,), min_length=1)
    """Which matrices get one. Of a GPT: ``qkv``, which is one A and one B for queries, keys and values together;
    ``query``, ``key``, ``value``, each with an A and a B of its own; ``out``, ``up``, ``gate`` and ``down``.
    ``all`` is ``qkv`` and all others that there are."""
    rank_stabilised: bool = False
    """Whether the product is multiplied with alpha / sqrt(rank) instead.
    Source: Kalajdzievski 2023 (arXiv:2312.03732)."""
