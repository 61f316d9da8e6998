"""Self-attention: which token may look at which, and the looking."""

import contextlib
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from textwright.batches.batch import PADDING, Batch
from textwright.models.config import GPTConfig
from textwright.models.layers.causal import BLOCK, blocked_causal_attention
from textwright.models.layers.linear import Linear
from textwright.models.layers.norm import RMSNorm
from textwright.models.layers.positions import Rotation, rotate
from textwright.models.probe import Probe
from textwright.models.state import KeyValueState


@dataclass(frozen=True)
class Attending:
    """Who may look at whom: the same for every layer of one forward.

    ::

                         a a b b -        a row of two packed documents and a place of padding:
        mask         a   x . . . .        a token looks at its own document, up to itself
                     a   x x . . .
                     b   . . x . .
                     b   . . x x .
                     -   . . . . x
    """

    mask: Bool[Tensor, "rows 1 queries keys"] | None
    """True where a query may look at a key. None: everywhere, or everywhere before it."""
    is_causal: bool
    """With no mask: whether a token looks only at what is before it."""
    rotation: Rotation | None
    """How queries and keys are turned, for rotary positions."""


def causal_or_documents(batch: Batch) -> tuple[Bool[Tensor, "rows 1 time time"] | None, bool]:
    """The mask of a batch, and whether plain causal attention does without one.

    A token looks at tokens of its own document. Padding is no document: it looks at itself alone, so that no row of
    the softmax is empty, and nothing looks at it.
    """
    if batch.document_ids is None:
        return None, batch.attention == "causal"
    documents = batch.document_ids
    same = (documents[:, :, None] == documents[:, None, :]) & (documents != PADDING)[:, None, :]
    if batch.attention == "causal":
        same = same.tril()
    itself = torch.eye(batch.time, dtype=torch.bool, device=documents.device)
    return (same | itself)[:, None], False  # [rows, 1, time, time]


@dataclass(frozen=True)
class Extension:
    """Where ``extend`` puts new keys and values in the cache: the same for every layer of one call."""

    state: KeyValueState
    starts: Int[Tensor, " rows"]
    """How many tokens each row held before."""
    counts: Int[Tensor, " rows"]
    """How many are new in each row."""
    longest: int
    """How many the longest row holds afterwards."""
    same_place: int | None
    """The common start, when every row starts there and fills all its new places; then a slice will do."""

    def remember(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store new keys and values [rows, heads, time, head width]; returns the whole layer, up to the longest row."""
        cached = self.state.keys[layer], self.state.values[layer]
        time = keys.shape[2]
        if self.same_place is not None:
            here = slice(self.same_place, self.same_place + time)
            for cache, new in zip(cached, (keys, values), strict=True):
                cache[:, :, here] = new
        else:
            row, place = (torch.arange(time, device=keys.device) < self.counts[:, None]).nonzero(as_tuple=True)
            for cache, new in zip(cached, (keys, values), strict=True):
                cache[row, :, self.starts[row] + place] = new[row, :, place].to(cache.dtype)
        return cached[0][:, :, : self.longest], cached[1][:, :, : self.longest]


@dataclass(frozen=True)
class OneMore:
    """The same for one token a row, without a question to the device: the cache is looked at up to its whole room."""

    state: KeyValueState

    def remember(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store new keys and values [rows, heads, 1, head width]; returns the whole layer."""
        cached = self.state.keys[layer], self.state.values[layer]
        rows = torch.arange(len(keys), device=keys.device)
        for cache, new in zip(cached, (keys, values), strict=True):
            cache[rows, :, self.state.lengths] = new[:, :, 0].to(cache.dtype)
        return cached


class Attention(nn.Module):
    """Queries, keys and values from one product; several query heads may share a key and value head."""

    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.num_heads, self.num_shared = config.num_heads, config.num_heads // config.num_key_value_heads
        self.head_dim = config.head_dim
        self.dropout = config.dropout_attention
        self.scale = 1.0
        if config.scales_attention:
            self.scale /= config.head_dim**0.5
        if config.scales_attention_by_layer:
            self.scale /= layer + 1
        is_modern = config.family == "qwen3"
        self.widths = [
            config.num_heads * config.head_dim,
            config.num_key_value_heads * config.head_dim,
            config.num_key_value_heads * config.head_dim,
        ]
        self.qkv = Linear(config.hidden_size, sum(self.widths), bias=not is_modern)
        self.out = Linear(config.num_heads * config.head_dim, config.hidden_size, bias=not is_modern)
        self.query_norm = RMSNorm(config.head_dim, config.norm_eps) if is_modern else nn.Identity()
        self.key_norm = RMSNorm(config.head_dim, config.norm_eps) if is_modern else nn.Identity()

    def forward(
        self,
        x: Float[Tensor, "rows time width"],
        attending: Attending,
        extension: Extension | OneMore | None = None,
        probe: Probe | None = None,
    ) -> Float[Tensor, "rows time width"]:
        """Each token's look at the others."""
        rows, time, _ = x.shape
        parts = self.qkv(x).split(self.widths, dim=-1)
        query, key, value = (part.unflatten(-1, (-1, self.head_dim)).transpose(1, 2) for part in parts)
        query, key = self.query_norm(query), self.key_norm(key)  # [rows, heads, time, head_dim]
        if attending.rotation is not None:
            query, key = rotate(query, attending.rotation), rotate(key, attending.rotation)
        if extension is not None:
            key, value = extension.remember(self.layer, key, value)
            query = query.to(key.dtype)
        if self.num_shared > 1:
            key, value = (part.repeat_interleave(self.num_shared, dim=1) for part in (key, value))
        dropout = self.dropout if self.training and extension is None else 0.0
        if probe is None and _is_for_blocks(query, attending, dropout):
            looked = blocked_causal_attention(query, key, value, self.scale)
        elif probe is None:
            looked = self._look(query, key, value, attending, dropout)
        else:
            looked = self._look_plainly(query, key, value, attending, probe)
        together = looked.transpose(1, 2).reshape(rows, time, self.num_heads * self.head_dim)
        out: Tensor = self.out(together.to(x.dtype))
        return out

    def _look(self, query: Tensor, key: Tensor, value: Tensor, attending: Attending, dropout: float) -> Tensor:
        """torch's attention; on a CPU in float32 where the matrices are too small for bfloat16 products to gain."""
        dtype = query.dtype
        in_float32 = query.shape[2] <= BLOCK and query.device.type == "cpu" and dtype == torch.bfloat16
        if in_float32:
            query, key, value = query.float(), key.float(), value.float()
        # autocast would cast them back.
        with torch.autocast("cpu", enabled=False) if in_float32 else contextlib.nullcontext():
            looked = F.scaled_dot_product_attention(
                query,
                key,
                value,
                attn_mask=attending.mask,
                dropout_p=dropout,
                is_causal=attending.is_causal,
                scale=self.scale,
            )
        return looked.to(dtype)

    def _look_plainly(self, query: Tensor, key: Tensor, value: Tensor, attending: Attending, probe: Probe) -> Tensor:
        """The same attention written out, so that a probe sees its pattern [rows, heads, queries, keys]."""
        scores = (query @ key.transpose(-2, -1)).float() * self.scale
        mask = attending.mask
        if mask is None and attending.is_causal:
            mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        pattern = F.dropout(scores.softmax(dim=-1), self.dropout, self.training)
        pattern = probe.at(f"layer.{self.layer}.attention.pattern", pattern)
        return probe.at(f"layer.{self.layer}.attention.head_out", pattern.to(value.dtype) @ value)


def _is_for_blocks(query: Tensor, attending: Attending, dropout: float) -> bool:
    """Whether attention by blocks is the fastest way: long bfloat16 rows on a CPU, plainly causal, to learn from."""
    is_plain = attending.mask is None and attending.is_causal and not dropout
    is_long_bfloat16 = query.shape[2] > BLOCK and query.dtype == torch.bfloat16
    return is_plain and is_long_bfloat16 and query.device.type == "cpu" and torch.is_grad_enabled()
