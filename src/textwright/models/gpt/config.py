"""What a GPT is made of, as plain values. Torch-free."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from textwright.models.config import ModelConfig

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "gpt1": {
        "norm": "layer_norm",
        "norm_position": "post",
        "mlp": "plain",
        "bias": True,
        "normalises_queries_and_keys": False,
    },
    "gpt2": {
        "norm": "layer_norm",
        "norm_position": "pre",
        "mlp": "plain",
        "bias": True,
        "normalises_queries_and_keys": False,
    },
    "qwen3": {
        "norm": "rms_norm",
        "norm_position": "pre",
        "mlp": "gated",
        "bias": False,
        "normalises_queries_and_keys": True,
    },
}
"""What a family's blocks are made of, where a config does not say otherwise."""


class GPTConfig(ModelConfig):
    """The shape and the arithmetic of a GPT.

    ``family`` names what blocks are made of where nothing else is said: ``gpt2`` normalises before each part
    (pre-norm), ``gpt1`` after it (post-norm), ``qwen3`` is pre-norm with RMSNorm, rotary positions, SwiGLU and
    normalised queries and keys. Each of these can be chosen by itself.
    """

    family: Literal["gpt2", "gpt1", "qwen3"] = "gpt2"
    """The architecture that the model follows."""
    num_layers: int = Field(ge=1, le=1000)
    """Number of blocks."""
    num_heads: int = Field(ge=1, le=1 << 16)
    """Query heads of each attention."""
    num_key_value_heads: int = Field(default=0, ge=0, le=1 << 16)
    """Key and value heads; 0 means as many as query heads. Each serves num_heads / num_key_value_heads query heads."""
    hidden_size: int = Field(ge=1, le=1 << 16)
    """Width of the residual stream."""
    head_dim: int = Field(default=0, ge=0, le=1 << 16)
    """Width of one head; 0 means hidden_size / num_heads."""
    intermediate_size: int = Field(default=0, ge=0, le=1 << 20)
    """Inner width of the MLP; 0 means 4 x hidden_size."""
    position_encoding: Literal["learned", "sinusoidal", "rotary", "none"] = "learned"
    """How the model knows positions; with none, only by what causal attention leaves out."""
    rope_theta: float = Field(default=1_000_000.0, gt=0)
    """The base of rotary positions' wavelengths."""
    norm: Literal["layer_norm", "rms_norm"] | None = None
    """The norms; the family's when not given."""
    norm_position: Literal["pre", "post"] | None = None
    """pre: each part reads the normalised residual stream. post: the stream itself is normalised after each part. The
    family's when not given."""
    mlp: Literal["plain", "gated"] | None = None
    """plain: up, activation, down. gated: a second up-projection is multiplied in. The family's when not given."""
    bias: bool | None = None
    """Whether the matrices of attention and MLP have biases; the family's when not given."""
    normalises_queries_and_keys: bool | None = None
    """Whether each head's queries and keys get an RMSNorm; the family's when not given."""
    activation: Literal["gelu_tanh", "gelu", "relu", "silu"] = "gelu_tanh"
    """The MLP's nonlinearity."""
    norm_eps: float = Field(default=1e-5, gt=0)
    """Added to the variance in each norm."""
    scales_attention: bool = True
    """Whether attention scores are divided by the square root of the head's width."""
    scales_attention_by_layer: bool = False
    """Whether attention scores of layer n (from 1) are also divided by n."""
    tie_embeddings: bool = True
    """Whether the output matrix is the token embedding."""
    dropout_embedding: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the embedded tokens."""
    dropout_attention: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on attention weights."""
    dropout_residual: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on what each part adds to the residual stream."""
    init_std: float = Field(default=0.02, gt=0)
    """Standard deviation of the initial weights; residual projections get it over sqrt(2 x num_layers)."""
    embedding_std: float = Field(default=0.0, ge=0)
    """Standard deviation of the initial embeddings; 0 means init_std. Wider ones learn faster at first."""

    @model_validator(mode="after")
    def _fill_in_and_check(self) -> Self:
        # Frozen for everyone else; what means "as usual" is resolved once, here.
        for name, usual in ARCHITECTURES[self.family].items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, usual)
        if not self.num_key_value_heads:
            object.__setattr__(self, "num_key_value_heads", self.num_heads)
        if not self.head_dim:
            if self.hidden_size % self.num_heads:
                raise ValueError(f"hidden_size {self.hidden_size} is not a multiple of num_heads {self.num_heads}")
            object.__setattr__(self, "head_dim", self.hidden_size // self.num_heads)
        if not self.embedding_std:
            object.__setattr__(self, "embedding_std", self.init_std)
        if not self.intermediate_size:
            object.__setattr__(self, "intermediate_size", 4 * self.hidden_size)
        if self.num_heads % self.num_key_value_heads:
            raise ValueError(
                f"num_heads {self.num_heads} is not a multiple of num_key_value_heads {self.num_key_value_heads}"
            )
        if self.position_encoding == "rotary" and self.head_dim % 2:
            raise ValueError(f"head_dim {self.head_dim} must be even for rotary positions")
        return self

    @property
    def is_as_named(self) -> bool:
        """Whether blocks are made of what the family's are."""
        return all(getattr(self, name) == usual for name, usual in ARCHITECTURES[self.family].items())
