"""What a GPT is made of, as plain values. Torch-free."""

from typing import Literal, Self

from pydantic import Field, model_validator

from textwright.core.config import Config


class GPTConfig(Config):
    """The shape and the arithmetic of a GPT.

    ``family`` names the order of its parts: ``gpt2`` normalises before each part (pre-norm), ``gpt1`` after it
    (post-norm), ``qwen3`` is pre-norm with RMSNorm, rotary positions, SwiGLU and normalised queries and keys.
    """

    family: Literal["gpt2", "gpt1", "qwen3"] = "gpt2"
    """The order and kind of the parts."""
    vocab_size: int = Field(ge=1, le=1 << 24)
    """Number of different tokens."""
    context_length: int = Field(ge=1, le=1 << 24)
    """The most tokens the model sees at once."""
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
    position_encoding: Literal["learned", "sinusoidal", "rotary"] = "learned"
    """How the model knows positions."""
    rope_theta: float = Field(default=1_000_000.0, gt=0)
    """The base of rotary positions' wavelengths."""
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
        # Frozen for everyone else; the zeros mean "as usual" and are resolved once, here.
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
        if (self.position_encoding == "rotary") != (self.family == "qwen3"):
            raise ValueError(f"position_encoding {self.position_encoding!r} does not go with family {self.family!r}")
        if self.position_encoding == "rotary" and self.head_dim % 2:
            raise ValueError(f"head_dim {self.head_dim} must be even for rotary positions")
        return self
