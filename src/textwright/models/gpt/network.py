"""GPT: a stack of blocks, each attention over other tokens and an MLP for each alone.

::

    ids ──> embedding + positions ──> block 0 ──> ... ──> block n-1 ──> final norm ──> head ──> logits

    pre-norm (gpt2, qwen3)             post-norm (gpt1)
    x + attention(norm(x))              norm(x + attention(x))
    x + mlp(norm(x))                    norm(x + mlp(x))            and no final norm

Source: gpt1: Radford et al. 2018; gpt2: Radford et al. 2019; qwen3: the Qwen3 report (arXiv:2505.09388).
"""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from textwright.data.batch import Batch
from textwright.models.gpt.blocks import PostNormBlock, PreNormBlock, at_point, make_block, make_norm
from textwright.models.gpt.config import GPTConfig
from textwright.models.gpt.stretch import stretch_positions
from textwright.models.hooks import ModelHooks
from textwright.models.kv_cache import KVCache, check_slots
from textwright.models.language_model import LanguageModel
from textwright.models.layer_groups import GroupKind, LayerGroup, group_layers
from textwright.models.layers.attention import (
    Attention,
    AttentionMask,
    CacheWriter,
    SingleTokenWriter,
)
from textwright.models.layers.linear import Embedding, Linear
from textwright.models.layers.mlp import dropout, without_dropout
from textwright.models.layers.positions import RopeTable, SinusoidalPositions, rope_table, sinusoidal_table
from textwright.models.protocols import Cache

MAX_COMPILED_BLOCKS = 64
"""Kinds of blocks, by what of them is frozen and by their batches' shapes, that one process compiles: torch stops at 8,
which several stages of a parameter plan would use up."""
MAX_CHOSEN = 0.95
"""Of the places of a batch: where more are wanted, to pick them takes as long as it saves."""


class GPT(LanguageModel):
    """The families gpt1, gpt2 and qwen3. See ``GPTConfig`` for what can differ."""

    config: GPTConfig

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self._compiled_block: Callable[[nn.Module, Tensor, AttentionMask], Tensor] | None = None
        self._checkpoints_activations = False
        self.token_embedding = Embedding(config.vocab_size, config.hidden_size)
        if config.position_encoding == "learned":
            self.position_embedding: nn.Module | None = Embedding(config.context_length, config.hidden_size)
        elif config.position_encoding == "sinusoidal":
            self.position_embedding = SinusoidalPositions(config.context_length, config.hidden_size)
        else:
            self.position_embedding = None
        self.embedding_drop = dropout(config.dropout_embedding)
        self.blocks = nn.ModuleList(make_block(config, layer) for layer in range(config.num_layers))
        self.final_norm = make_norm(config) if config.norm_position == "pre" else nn.Identity()
        if not config.tie_embeddings:
            self.untied_head = Linear(config.hidden_size, config.vocab_size, bias=False)

    def init_weights(self, generator: torch.Generator) -> None:
        """GPT-2's start: small normal weights, smaller still where a part writes into the residual stream.

        Source: Radford et al. 2019, section 2.3, for the 1 / sqrt(number of residual layers).
        """
        scaled = (2 * self.config.num_layers) ** -0.5 if self.config.norm_position == "pre" else 1.0
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                into_residual = name.endswith(("attention.out", "mlp.down"))
                of_kind = self.config.embedding_std if isinstance(module, nn.Embedding) else self.config.init_std
                std = of_kind * (scaled if into_residual else 1.0)
                nn.init.normal_(module.weight, std=std, generator=generator)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    @property
    def num_layers(self) -> int:
        """Number of blocks."""
        return self.config.num_layers

    @property
    def hidden_size(self) -> int:
        """Width of the residual stream."""
        return self.config.hidden_size

    @property
    def head_weight(self) -> Float[Tensor, "vocabulary hidden"]:
        """The output matrix: the token embedding's own where the head is tied."""
        return self.token_embedding.weight if self.config.tie_embeddings else self.untied_head.weight

    def layer_groups(self) -> tuple[LayerGroup, ...]:
        """Embeddings, which a tied head belongs to; the blocks; a final norm and a head of its own, where there are."""
        of_embedding = ("token_embedding.", "position_embedding.")
        parts: list[tuple[str, GroupKind, tuple[str, ...]]] = [
            ("embeddings, head" if self.config.tie_embeddings else "embeddings", "embedding", of_embedding),
            *((f"block {layer}", "block", (f"blocks.{layer}.",)) for layer in range(self.config.num_layers)),
            ("final norm", "final_norm", ("final_norm.",)),
            ("head", "head", ("untied_head.",)),
        ]
        return group_layers(parts, (name for name, _ in self.named_parameters()))

    def untie_head(self) -> None:
        """A copy of the token embedding as a head of its own; nothing where there is one."""
        if not self.config.tie_embeddings:
            return
        weight = self.token_embedding.weight
        self.untied_head = Linear(self.config.hidden_size, self.config.vocab_size, bias=False)
        self.untied_head.weight = nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad)
        self.config = self.config.model_copy(update={"tie_embeddings": False})

    def stretch_positions(self, context_length: int) -> None:
        """As ``models.longer_context.StretchablePositions``."""
        stretch_positions(self, context_length)

    def vocabulary_layers(self) -> tuple[nn.Embedding | nn.Linear, ...]:
        """As ``models.vocabulary.ExtensibleVocabulary``."""
        return (self.token_embedding,) if self.config.tie_embeddings else (self.token_embedding, self.untied_head)

    def embed(self, batch: Batch, hooks: ModelHooks | None = None) -> Float[Tensor, "batch time hidden"]:
        """Tokens as vectors, with their positions added where positions are vectors; or the batch's ``hidden``."""
        if batch.hidden is not None:
            return batch.hidden
        return cast(Tensor, self.embedding_drop(self._embed(batch.input_ids, self._positions(batch), hooks)))

    def hidden_states(
        self, embedded: Float[Tensor, "batch time hidden"], batch: Batch, hooks: ModelHooks | None = None
    ) -> Float[Tensor, "batch time hidden"]:
        """Through all blocks from the batch's first on, and the final norm.

        What is not wanted only leaves keys and values in the last block, unless that is compiled, for shapes that stay
        the same, or hooks see it.
        """
        if hooks is not None:
            hooks.check(self._points_from(batch.first_block))
        blocks, mask = range(batch.first_block, self.config.num_layers), self._attention_mask(batch, hooks)
        spares = blocks and hooks is None and not (self.training and self._compiled_block is not None)
        places = _wanted_places(batch) if spares else None
        hidden = self._normed(self._through_blocks(embedded, mask, None, hooks, blocks, places), hooks)
        if places is None:
            return hidden
        all_places = hidden.new_zeros(batch.num_rows * batch.time, hidden.shape[-1])
        return all_places.index_copy_(0, places, hidden[0]).view(batch.num_rows, batch.time, -1)

    def hidden_before(self, batch: Batch, block: int) -> Float[Tensor, "batch time hidden"]:
        """As ``protocols.SplitBackbone``: computed as in training, compiled where that is."""
        with without_dropout([self.embedding_drop, *self.blocks[:block]]):
            return self._through_blocks(self.embed(batch), self._attention_mask(batch, None), None, None, range(block))

    def empty_cache(self, num_slots: int, source: Batch | None = None, *, num_spare: int = 0) -> KVCache:
        """An empty key-value cache, with slots to spare where they are asked for. A GPT reads no source."""
        assert source is None, "a GPT has no encoder"
        return KVCache(
            layers=self.config.num_layers,
            num_slots=num_slots,
            heads=self.config.num_key_value_heads,
            head_dim=self.config.head_dim,
            context_length=self.context_length,
            device=self.token_embedding.weight.device,
            dtype=self.token_embedding.weight.dtype,
            num_spare=num_spare,
        )

    @torch.no_grad()
    def extend(
        self,
        ids: Int[Tensor, "rows time"],
        lengths: Sequence[int],
        cache: Cache,
        slots: Sequence[int],
        hooks: ModelHooks | None = None,
    ) -> Float[Tensor, "rows time hidden"]:
        """Read more tokens against the cache, and add theirs to it in place."""
        assert isinstance(cache, KVCache)
        if hooks is not None:
            hooks.check(self.hook_points())
        check_slots(slots, cache.num_slots)
        cache.reserve(max(cache.length(slot) + length for slot, length in zip(slots, lengths, strict=True)))
        writer = CacheWriter(cache, slots, lengths, ids, spreads=hooks is None)
        hidden = self._decode(ids, writer, hooks)
        for slot, length in zip(slots, lengths, strict=True):
            cache.set_length(slot, cache.length(slot) + length)
        return hidden

    @torch.no_grad()
    def decode_step(
        self, ids: Int[Tensor, "rows 1"], lengths: Int[Tensor, " rows"], targets: Int[Tensor, " rows"], cache: KVCache
    ) -> Float[Tensor, "rows 1 hidden"]:
        """One token in each of the first slots, with room for it, without a question to the device.

        So it can be captured once and replayed, as a CUDA graph. The cache's lengths stay: its owner raises them.

        Args:
            ids: of row r, which is slot r.
            lengths: how many tokens each holds.
            targets: the slot that each is written to: its own, or a spare one where nothing is to be kept.
            cache: see ``SingleTokenWriter``.
        """
        return self._decode(ids, SingleTokenWriter(cache, lengths, targets), None)

    def _decode(self, ids: Tensor, writer: CacheWriter | SingleTokenWriter, hooks: ModelHooks | None) -> Tensor:
        position_ids = writer.position_ids.clamp(max=self.context_length - 1)  # padding may lie beyond the context
        attention_mask = AttentionMask(writer.mask(), False, self._rope(position_ids))
        blocks = range(self.config.num_layers)
        embedded = self._embed(ids, position_ids, hooks)
        return self._normed(self._through_blocks(embedded, attention_mask, writer, hooks, blocks), hooks)

    def compile_for_training(self) -> None:
        """Compile the block, once for all layers: they differ in their tensors only, and in what of them is frozen."""
        super().compile_for_training()
        self._compiled_block = torch.compile(  # type: ignore[call-overload]
            type(self.blocks[0]).forward, dynamic=False, recompile_limit=MAX_COMPILED_BLOCKS
        )

    def enable_activation_checkpointing(self) -> None:
        """Keep the residual stream between the blocks, and compute each block's inside again in the backward pass.

        Source: Chen et al. 2016 (arXiv:1604.06174).
        """
        self._checkpoints_activations = True

    def end_training(self) -> None:
        """Undo both."""
        super().end_training()
        self._compiled_block, self._checkpoints_activations = None, False

    def exported_tensors(self) -> dict[str, Tensor]:
        """The state; a sinusoidal table too, which is the same as learned positions that are never trained."""
        tensors = super().exported_tensors()
        if self.config.position_encoding == "sinusoidal":
            tensors["position_embedding.weight"] = sinusoidal_table(self.context_length, self.hidden_size)
        return tensors

    def hook_points(self) -> tuple[str, ...]:
        """The points that hooks may use, in the order of computation."""
        c = self.config
        attention = ("attn.hook_q", "attn.hook_k", "attn.hook_v", "attn.hook_pattern", "attn.hook_z", "hook_attn_out")
        mlp = ("mlp.hook_pre", *(("mlp.hook_pre_linear",) if c.mlp == "gated" else ()), "mlp.hook_post", "hook_mlp_out")
        after = ("hook_resid_post", *(("hook_normalized_resid_post",) if c.norm_position == "post" else ()))
        of_block = ("hook_resid_pre", *attention, "hook_resid_mid", *mlp, *after)
        blocks = [f"blocks.{layer}.{name}" for layer in range(c.num_layers) for name in of_block]
        return (
            *self._embedding_points(),
            *blocks,
            *(("ln_final.hook_normalized",) if c.norm_position == "pre" else ()),
        )

    def _points_from(self, first_block: int) -> tuple[str, ...]:
        """Those of what is computed where a batch begins with a block."""
        before = (*self._embedding_points(), *(f"blocks.{layer}." for layer in range(first_block)))
        return tuple(point for point in self.hook_points() if not first_block or not point.startswith(before))

    def residual_contributions(self) -> tuple[str, ...]:
        """The embeddings and what each part adds; a post-norm stream is no sum."""
        if self.config.norm_position == "post":
            return ()
        parts = ("hook_attn_out", "hook_mlp_out")
        added = [f"blocks.{layer}.{part}" for layer in range(self.config.num_layers) for part in parts]
        return (*self._embedding_points(), *added)

    def _embedding_points(self) -> tuple[str, ...]:
        return ("hook_embed",) if self.position_embedding is None else ("hook_embed", "hook_pos_embed")

    def _embed(self, ids: Tensor, position_ids: Tensor, hooks: ModelHooks | None) -> Tensor:
        embedded = at_point("hook_embed", self.token_embedding(ids), hooks)
        if self.position_embedding is None:
            return embedded
        return embedded + at_point("hook_pos_embed", self.position_embedding(position_ids), hooks)

    def _positions(self, batch: Batch) -> Int[Tensor, "rows time"]:
        if batch.position_ids is not None:
            return batch.position_ids
        return torch.arange(batch.time, device=batch.input_ids.device)[None]

    def _attention_mask(self, batch: Batch, hooks: ModelHooks | None) -> AttentionMask:
        attention = cast(Attention, self.blocks[0].attention)
        return attention.mask(batch, self._rope(self._positions(batch)), hooks)

    def _rope(self, position_ids: Tensor) -> RopeTable | None:
        if self.config.position_encoding != "rotary":
            return None
        return rope_table(position_ids, self.config.head_dim, self.config.rope_theta)

    def _through_blocks(
        self,
        hidden: Tensor,
        mask: AttentionMask,
        writer: CacheWriter | SingleTokenWriter | None,
        hooks: ModelHooks | None,
        blocks: range,
        places: Tensor | None = None,
    ) -> Tensor:
        """Through these blocks; the last of them for some places alone, where those are given."""
        trains = self.training and writer is None
        before, after = (
            PreNormBlock.points_around if self.config.norm_position == "pre" else PostNormBlock.points_around
        )
        for layer in blocks:
            block = self.blocks[layer]
            prefix = f"blocks.{layer}."
            hidden = at_point(prefix + before, hidden, hooks)
            of_block = hooks.within(prefix, but=(before, after)) if hooks is not None else None
            of_places = places if layer == blocks[-1] else None
            compiled = self._compiled_block if trains and of_block is None else None
            if trains and self._checkpoints_activations and of_block is None:
                forward, given = compiled or type(block).forward, (block, hidden, mask, None, None, of_places)
                hidden = checkpoint(forward, *given, use_reentrant=False)
            elif compiled is not None:
                hidden = compiled(block, hidden, mask)
            else:
                hidden = block(hidden, mask, writer, of_block, of_places)
            hidden = at_point(prefix + after, hidden, hooks)
        return hidden

    def _normed(self, hidden: Tensor, hooks: ModelHooks | None) -> Tensor:
        return at_point("ln_final.hook_normalized", self.final_norm(hidden), hooks)


def _wanted_places(batch: Batch) -> Int[Tensor, " places"] | None:
    """Where hidden states are wanted, counted through all rows; None: everywhere, or where choosing gains nothing."""
    if batch.wanted is None:
        return None
    places = batch.wanted.flatten().nonzero().squeeze(1)
    return places if 0 < len(places) < MAX_CHOSEN * batch.wanted.numel() else None
