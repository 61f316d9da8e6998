"""A GPT's blocks: attention and MLP, normalised before or after."""

from typing import cast

from torch import Tensor, nn

from textwright.models.gpt.config import GPTConfig
from textwright.models.hooks import BlockHooks, ModelHooks
from textwright.models.layers.attention import Attention, AttentionMask, CacheWriter, SingleTokenWriter, at_places
from textwright.models.layers.mlp import MLP, GatedMLP, dropout
from textwright.models.layers.norm import RMSNorm


class PreNormBlock(nn.Module):
    """Normalises what goes into each part; the residual stream itself is never normalised."""

    points_around = ("hook_resid_pre", "hook_resid_post")
    """What the model calls before and after the block, which is compiled all the same."""

    def __init__(self, attention: Attention, mlp: nn.Module, norms: tuple[nn.Module, nn.Module], drop: nn.Module):
        super().__init__()
        self.attention_norm, self.mlp_norm = norms
        self.attention, self.mlp, self.drop = attention, mlp, drop

    def forward(
        self,
        x: Tensor,
        mask: AttentionMask,
        writer: CacheWriter | SingleTokenWriter | None = None,
        hooks: BlockHooks | None = None,
        places: Tensor | None = None,
    ) -> Tensor:
        """[batch, time, hidden] -> [batch, time, hidden], or [1, places, hidden] of those places alone."""
        drop = self.drop if writer is None else _identity
        attn_out = self.attention(self.attention_norm(x), mask, writer, hooks, places)
        x = at_places(x, places)
        x = at_point("hook_resid_mid", x + drop(at_point("hook_attn_out", attn_out, hooks)), hooks)
        mlp_out = self.mlp(self.mlp_norm(x), hooks)
        return x + drop(at_point("hook_mlp_out", mlp_out, hooks))


class PostNormBlock(PreNormBlock):
    """Normalises the residual stream after each part."""

    points_around = ("hook_resid_pre", "hook_normalized_resid_post")

    def forward(
        self,
        x: Tensor,
        mask: AttentionMask,
        writer: CacheWriter | SingleTokenWriter | None = None,
        hooks: BlockHooks | None = None,
        places: Tensor | None = None,
    ) -> Tensor:
        """[batch, time, hidden] -> [batch, time, hidden], or [1, places, hidden] of those places alone."""
        drop = self.drop if writer is None else _identity
        attn_out = self.attention(x, mask, writer, hooks, places)
        x = at_places(x, places)
        x = self.attention_norm(at_point("hook_resid_mid", x + drop(at_point("hook_attn_out", attn_out, hooks)), hooks))
        mlp_out = self.mlp(x, hooks)
        resid_post = at_point("hook_resid_post", x + drop(at_point("hook_mlp_out", mlp_out, hooks)), hooks)
        return cast(Tensor, self.mlp_norm(resid_post))


def _identity(x: Tensor) -> Tensor:
    """In dropout's place where text is written, whether the model is in training or not."""
    return x


def at_point(point: str, value: Tensor, hooks: ModelHooks | BlockHooks | None) -> Tensor:
    """A value as hooks leave it, where there are some."""
    return value if hooks is None else hooks(point, value)


def make_block(config: GPTConfig, layer: int) -> PreNormBlock:
    """A block of the config's kind."""
    c = config
    scale = 1.0 / c.head_dim**0.5 if c.scales_attention else 1.0
    norms_heads = c.normalises_queries_and_keys
    bias = bool(c.bias)
    attention = Attention(
        c.hidden_size,
        c.num_heads,
        c.head_dim,
        num_key_value_heads=c.num_key_value_heads,
        layer=layer,
        scale=scale / (layer + 1) if c.scales_attention_by_layer else scale,
        dropout=c.dropout_attention,
        bias=bias,
        query_norm=RMSNorm(c.head_dim, c.norm_eps) if norms_heads else None,
        key_norm=RMSNorm(c.head_dim, c.norm_eps) if norms_heads else None,
    )
    make_mlp = GatedMLP if c.mlp == "gated" else MLP
    block = PostNormBlock if c.norm_position == "post" else PreNormBlock
    return block(
        attention,
        make_mlp(c.hidden_size, c.intermediate_size, c.activation, bias=bias),
        (make_norm(c), make_norm(c)),
        dropout(c.dropout_residual),
    )


def make_norm(config: GPTConfig) -> nn.Module:
    """A norm of the config's kind. Source: Ba et al. 2016 (arXiv:1607.06450), for LayerNorm."""
    if config.norm == "rms_norm":
        return RMSNorm(config.hidden_size, config.norm_eps)
    return nn.LayerNorm(config.hidden_size, eps=config.norm_eps)
