"""Self-attention: which token may attend to which, and the attention itself."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from textwright.data.batch import PADDING, Batch
from textwright.models.hooks import BlockHooks, ModelHooks
from textwright.models.kv_cache import KVCache
from textwright.models.layers import kernel_attention
from textwright.models.layers.causal import BLOCK, blocked_causal_attention
from textwright.models.layers.linear import Linear
from textwright.models.layers.positions import RopeTable, apply_rope


@dataclass(frozen=True)
class AttentionMask:
    """Who may attend to whom: the same for every layer of one forward.

    ::

                         a a b b -        a row of two packed documents and a place of padding:
        mask         a   x . . . .        a token attends to its own document, up to itself
                     a   x x . . .
                     b   . . x . .
                     b   . . x x .
                     -   . . . . x
    """

    mask: Bool[Tensor, "batch 1 queries keys"] | None
    """True where a query may attend to a key. None: everywhere, or everywhere before it."""
    is_causal: bool
    """With no mask: whether a token attends only to what is before it."""
    rope: RopeTable | None
    """How queries and keys are rotated, for rotary positions."""
    starts: Int[Tensor, "batch time"] | None = None
    """For kernels of our own, which need no mask: the first key that each query looks at; see ``causal_attention``."""


def make_attention_mask(batch: Batch) -> tuple[Bool[Tensor, "batch 1 time time"] | None, bool]:
    """The mask of a batch, and whether plain causal attention does without one.

    A token attends to tokens of its own document. Padding is no document: it attends to itself alone, so that no row
    of the softmax is empty, and nothing attends to it.
    """
    if batch.document_ids is None:
        return None, batch.attention == "causal"
    documents = batch.document_ids
    same = (documents[:, :, None] == documents[:, None, :]) & (documents != PADDING)[:, None, :]
    if batch.attention == "causal":
        same = same.tril()
    itself = torch.eye(batch.time, dtype=torch.bool, device=documents.device)
    return (same | itself)[:, None], False  # [batch, 1, time, time]


def at_places(
    x: Float[Tensor, "rows time width"], places: Int[Tensor, " places"] | None
) -> Float[Tensor, "rows_then places_then width"]:
    """Of rows of tokens some, as one row: those of the places given, counted through all rows; or all, as they are."""
    return x if places is None else x.flatten(0, 1).index_select(0, places)[None]


def make_attention_starts(batch: Batch) -> Int[Tensor, "batch time"]:
    """Where each token's document begins in its row, int32; padding counts as a document."""
    places = torch.arange(batch.time, dtype=torch.int32, device=batch.input_ids.device)
    if batch.document_ids is None:
        return torch.zeros(batch.input_ids.shape, dtype=torch.int32, device=places.device)
    is_other = torch.ones(batch.document_ids.shape, dtype=torch.bool, device=places.device)
    is_other[:, 1:] = batch.document_ids[:, 1:] != batch.document_ids[:, :-1]
    return torch.where(is_other, places, 0).cummax(dim=1).values


class CacheWriter:
    """Where ``extend`` puts new keys and values in the cache: the same for every layer of one call.

    ::

        rows      a   b           queries attend in rows of the cache that stand next to each other, without a copy:
        slots     5   7           of one token each they are spread over 5, 6, 7, and those of 6 mean nothing
    """

    def __init__(
        self,
        cache: KVCache,
        slots: Sequence[int],
        lengths: Sequence[int],
        ids: Int[Tensor, "rows time"],
        spreads: bool = True,
    ) -> None:
        """
        Args:
            cache: with room for all.
            slots: which each row goes on with.
            lengths: how many tokens of each row are new.
            ids: of the rows; where they are, tensors are made.
            spreads: whether rows of one token may be spread.
        """
        device, time = ids.device, ids.shape[1]
        starts = [cache.length(slot) for slot in slots]
        first, count = min(slots), max(slots) + 1 - min(slots)
        self._cache = cache
        self.longest = max(start + length for start, length in zip(starts, lengths, strict=True))
        self._slots, begins = torch.tensor(list(slots), device=device), torch.tensor(starts, device=device)
        self.position_ids = begins[:, None] + torch.arange(time, device=device)  # [rows, time]
        is_in_order = list(slots) == list(range(first, first + count))
        self._queries = self._slots - first if time == 1 and spreads and not is_in_order else None
        self._range = slice(first, first + count) if is_in_order or self._queries is not None else None
        self._count = count
        are_full = all(length == time for length in lengths)
        # Where every row starts at one place and fills all its new ones, a slice will do.
        self._offset = starts[0] if are_full and is_in_order and len({*starts}) == 1 else None
        if self._offset is None:
            new = torch.arange(time, device=device) < torch.tensor(list(lengths), device=device)[:, None]
            self._row, self._time = new.nonzero(as_tuple=True)
            self._slot, self._place = self._slots[self._row], self.position_ids[self._row, self._time]

    def mask(self) -> Bool[Tensor, "queries 1 time keys"]:
        """Which keys each query may attend to: its own and those before it."""
        places = self.spread(self.position_ids)
        return (torch.arange(self.longest, device=places.device) <= places[:, :, None])[:, None]

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store new keys and values [rows, heads, time, head_dim]; returns those that queries are held against."""
        cached = self._cache.keys[layer], self._cache.values[layer]
        for held, new in zip(cached, (keys, values), strict=True):
            if self._offset is not None:
                held[self._range, :, self._offset : self._offset + keys.shape[2]] = new
            else:
                held[self._slot, :, self._place] = new[self._row, :, self._time].to(held.dtype)
        rows = self._slots if self._range is None else self._range
        return cached[0][rows, :, : self.longest], cached[1][rows, :, : self.longest]

    def spread(self, queries: Tensor) -> Tensor:
        """Queries where their slots are; what stands between them is zeros."""
        if self._queries is None:
            return queries
        return queries.new_zeros((self._count, *queries.shape[1:])).index_copy_(0, self._queries, queries)

    def gather(self, attn_out: Tensor) -> Tensor:
        """What the queries got, row by row."""
        return attn_out if self._queries is None else attn_out[self._queries]


class SingleTokenWriter:
    """The same for one token in each of the first slots, without a question to the device.

    Attention reads the cache's whole capacity.
    """

    def __init__(self, cache: KVCache, lengths: Int[Tensor, " rows"], targets: Int[Tensor, " rows"]) -> None:
        """
        Args:
            cache: of which row r is slot r.
            lengths: how many tokens each holds.
            targets: the slot that the new token is written to: the row's own, or a spare one where it has none.
        """
        self._cache, self._targets = cache, targets
        self.position_ids = lengths[:, None]

    def mask(self) -> Bool[Tensor, "queries 1 time keys"]:
        """Which keys each query may attend to: its own and those before it."""
        places = torch.arange(self._cache.capacity, device=self.position_ids.device)
        return (places <= self.position_ids[:, :, None])[:, None]

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store new keys and values [rows, heads, 1, head_dim]; returns those of the rows."""
        cached = self._cache.keys[layer], self._cache.values[layer]
        for held, new in zip(cached, (keys, values), strict=True):
            held[self._targets, :, self.position_ids[:, 0]] = new[:, :, 0].to(held.dtype)
        capacity = self._cache.capacity
        return cached[0][: len(keys), :, :capacity], cached[1][: len(keys), :, :capacity]

    def spread(self, queries: Tensor) -> Tensor:
        """Queries stand where their slots are."""
        return queries

    def gather(self, attn_out: Tensor) -> Tensor:
        """What the queries got."""
        return attn_out


class Attention(nn.Module):
    """Queries, keys and values from one product; several query heads may share a key and value head.

    Args:
        hidden_size: width of what comes in and goes out.
        num_heads: query heads.
        head_dim: width of a head.
        num_key_value_heads: key and value heads, a divisor of ``num_heads``; as many when not given.
        layer: its place in the cache, from 0.
        scale: what the products of queries and keys are multiplied with.
        dropout: of the pattern, in training.
        bias: whether both matrices have one.
        query_norm: applied to each head's queries, over ``head_dim``.
        key_norm: the same for keys.
    """

    def __init__(
        self,
        hidden_size: int,
        num_heads: int,
        head_dim: int,
        *,
        num_key_value_heads: int | None = None,
        layer: int = 0,
        scale: float,
        dropout: float = 0.0,
        bias: bool = True,
        query_norm: nn.Module | None = None,
        key_norm: nn.Module | None = None,
    ) -> None:
        super().__init__()
        num_key_value_heads = num_key_value_heads or num_heads
        self.layer, self.scale, self.dropout = layer, scale, dropout
        self.num_heads, self.num_groups, self.head_dim = num_heads, num_heads // num_key_value_heads, head_dim
        key_size = num_key_value_heads * head_dim
        self.qkv = Linear(hidden_size, splits=(num_heads * head_dim, key_size, key_size), bias=bias)
        self.out = Linear(num_heads * head_dim, hidden_size, bias=bias)
        self.query_norm, self.key_norm = query_norm or nn.Identity(), key_norm or nn.Identity()

    def mask(self, batch: Batch, rope: RopeTable | None, hooks: ModelHooks | None) -> AttentionMask:
        """Who may attend to whom in rows that are read whole, as this layer and those like it can make use of it now.

        Args:
            batch: the rows.
            rope: how queries and keys are rotated.
            hooks: whether the pattern of attention could be asked for.
        """
        is_plain = batch.attention == "causal" and hooks is None and not (self.training and self.dropout)
        if is_plain and kernel_attention.suits(self.qkv.weight, self.head_dim):
            return AttentionMask(None, True, rope, make_attention_starts(batch))
        return AttentionMask(*make_attention_mask(batch), rope)

    def forward(
        self,
        x: Float[Tensor, "batch time hidden"],
        mask: AttentionMask,
        writer: CacheWriter | SingleTokenWriter | None = None,
        hooks: BlockHooks | None = None,
        places: Int[Tensor, " places"] | None = None,
    ) -> Float[Tensor, "rows places hidden"]:
        """What each token takes from those that it attends to.

        Args:
            x: the tokens.
            mask: who attends to whom.
            writer: of the cache that keys and values are added to, and attended to in; without dropout then.
            hooks: the points ``attn.hook_q`` (``k``, ``v``, ``pattern``, ``z``).
            places: for which tokens alone it is made; see ``at_places``.
        """
        rows, time, _ = x.shape
        parts = self.qkv(x).split(self.qkv.splits, dim=-1)
        query, key, value = (part.unflatten(-1, (-1, self.head_dim)) for part in parts)
        if hooks is not None:
            query, key, value = hooks("attn.hook_q", query), hooks("attn.hook_k", key), hooks("attn.hook_v", value)
        query, key, value = (part.transpose(1, 2) for part in (query, key, value))
        query, key = self.query_norm(query), self.key_norm(key)  # [batch, heads, time, head_dim]
        if mask.rope is not None:
            query, key = apply_rope(query, mask.rope), apply_rope(key, mask.rope)
        if writer is not None:
            key, value = writer.append(self.layer, key, value)
            query = writer.spread(query.to(key.dtype))
        if self.num_groups > 1:
            key, value = (part.repeat_interleave(self.num_groups, dim=1) for part in (key, value))
        dropout = self.dropout if self.training and writer is None else 0.0
        if hooks is not None and hooks.asks_for("attn.hook_pattern"):
            attn_out = self._eager_attention(query, key, value, mask, dropout, hooks)
        elif mask.starts is not None:
            attn_out = kernel_attention.causal_attention(query, key, value, mask.starts, self.scale)
        elif _use_blockwise(query, mask, dropout):
            attn_out = blocked_causal_attention(query, key, value, self.scale)
        else:
            attn_out = self._sdpa(query, key, value, mask, dropout)
        if writer is not None:
            attn_out = writer.gather(attn_out)
        attn_out = attn_out.transpose(1, 2)  # [batch, time, heads, head_dim]
        if hooks is not None:
            attn_out = hooks("attn.hook_z", attn_out)
        attn_out = at_places(attn_out.reshape(rows, time, self.num_heads * self.head_dim), places)
        out: Tensor = self.out(attn_out.to(x.dtype))
        return out

    def _sdpa(self, query: Tensor, key: Tensor, value: Tensor, mask: AttentionMask, dropout: float) -> Tensor:
        """torch's attention; on a CPU in float32 where the matrices are too small for bfloat16 products to gain."""
        dtype = query.dtype
        in_float32 = query.shape[2] <= BLOCK and query.device.type == "cpu" and dtype == torch.bfloat16
        if in_float32:
            query, key, value = query.float(), key.float(), value.float()
        # autocast would cast them back.
        with torch.autocast("cpu", enabled=False) if in_float32 else contextlib.nullcontext():
            attn_out = F.scaled_dot_product_attention(
                query, key, value, attn_mask=mask.mask, dropout_p=dropout, is_causal=mask.is_causal, scale=self.scale
            )
        return attn_out.to(dtype)

    def _eager_attention(
        self, query: Tensor, key: Tensor, value: Tensor, mask: AttentionMask, dropout: float, hooks: BlockHooks
    ) -> Tensor:
        """The same attention written out, so that hooks see its pattern [batch, heads, queries, keys]."""
        scores = (query @ key.transpose(-2, -1)).float() * self.scale
        allowed = mask.mask
        if allowed is None and mask.is_causal:
            allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        if allowed is not None:
            scores = scores.masked_fill(~allowed, float("-inf"))
        pattern = hooks("attn.hook_pattern", F.dropout(scores.softmax(dim=-1), dropout))
        return pattern.to(value.dtype) @ value


def _use_blockwise(query: Tensor, mask: AttentionMask, dropout: float) -> bool:
    """Whether attention by blocks is the fastest way: long bfloat16 rows on a CPU, plainly causal, to learn from."""
    is_plain = mask.mask is None and mask.is_causal and not dropout
    is_long_bfloat16 = query.shape[2] > BLOCK and query.dtype == torch.bfloat16
    return is_plain and is_long_bfloat16 and query.device.type == "cpu" and torch.is_grad_enabled()
