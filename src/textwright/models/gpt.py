"""GPT: a stack of blocks, each a look at other tokens and a thought about each alone.

::

    ids ──> embedding + positions ──> block 0 ──> ... ──> block n-1 ──> final norm ──> head ──> logits

    pre-norm (gpt2, qwen3)             post-norm (gpt1)
    x + attention(norm(x))              norm(x + attention(x))
    x + mlp(norm(x))                    norm(x + mlp(x))            and no final norm

Source: gpt1: Radford et al. 2018; gpt2: Radford et al. 2019; qwen3: the Qwen3 report (arXiv:2505.09388).
"""

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from textwright.batches.batch import Batch
from textwright.models.config import GPTConfig
from textwright.models.language_model import LanguageModel, State
from textwright.models.layers.attention import Attending, Attention, Extension, OneMore, causal_or_documents
from textwright.models.layers.linear import Embedding, Linear
from textwright.models.layers.mlp import dropout, make_mlp
from textwright.models.layers.norm import make_norm
from textwright.models.layers.positions import Rotation, SinusoidalPositions, rotation
from textwright.models.probe import Probe
from textwright.models.state import KeyValueState


class PreNormBlock(nn.Module):
    """Normalises what goes into each part; the residual stream itself is never normalised."""

    def __init__(self, attention: Attention, mlp: nn.Module, norms: tuple[nn.Module, nn.Module], drop: nn.Module):
        super().__init__()
        self.attention_norm, self.mlp_norm = norms
        self.attention, self.mlp, self.drop = attention, mlp, drop

    def forward(
        self, x: Tensor, attending: Attending, extension: Extension | OneMore | None = None, probe: Probe | None = None
    ) -> Tensor:
        """[rows, time, width] -> [rows, time, width]"""
        attended = self.attention(self.attention_norm(x), attending, extension, probe)
        drop = self.drop if extension is None else _keep
        x = x + drop(self._at(probe, "attention_out", attended))
        thought = self.mlp(self.mlp_norm(x))
        return x + drop(self._at(probe, "mlp_out", thought))

    def _at(self, probe: Probe | None, site: str, value: Tensor) -> Tensor:
        # The name is made only where it is used: compiled, a block must not depend on which layer it is.
        return value if probe is None else probe.at(f"layer.{self.attention.layer}.{site}", value)


class PostNormBlock(PreNormBlock):
    """Normalises the residual stream after each part."""

    def forward(
        self, x: Tensor, attending: Attending, extension: Extension | OneMore | None = None, probe: Probe | None = None
    ) -> Tensor:
        """[rows, time, width] -> [rows, time, width]"""
        attended = self.attention(x, attending, extension, probe)
        drop = self.drop if extension is None else _keep
        x = self.attention_norm(x + drop(self._at(probe, "attention_out", attended)))
        thought = self.mlp(x)
        return cast(Tensor, self.mlp_norm(x + drop(self._at(probe, "mlp_out", thought))))


def _keep(x: Tensor) -> Tensor:
    """In dropout's place where text is written, whether the model is in training or not."""
    return x


def _at(probe: Probe | None, site: str, value: Tensor) -> Tensor:
    return value if probe is None else probe.at(site, value)


class GPT(LanguageModel):
    """The families gpt1, gpt2 and qwen3. See ``GPTConfig`` for what can differ."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self._compiled_block: Callable[[nn.Module, Tensor, Attending], Tensor] | None = None
        self._recomputes = False
        self.token_embedding = Embedding(config.vocab_size, config.hidden_size)
        if config.position_encoding == "learned":
            self.position_embedding: nn.Module | None = Embedding(config.context_length, config.hidden_size)
        elif config.position_encoding == "sinusoidal":
            self.position_embedding = SinusoidalPositions(config.context_length, config.hidden_size)
        else:
            self.position_embedding = None
        self.embedding_drop = dropout(config.dropout_embedding)
        block = PostNormBlock if config.family == "gpt1" else PreNormBlock
        self.blocks = nn.ModuleList(
            block(
                Attention(config, layer),
                make_mlp(config),
                (make_norm(config), make_norm(config)),
                dropout(config.dropout_residual),
            )
            for layer in range(config.num_layers)
        )
        self.final_norm = nn.Identity() if config.family == "gpt1" else make_norm(config)
        if not config.tie_embeddings:
            self.untied_head = Linear(config.hidden_size, config.vocab_size, bias=False)

    def initialise(self, generator: torch.Generator) -> None:
        """GPT-2's start: small normal weights, smaller still where a part writes into the residual stream.

        Source: Radford et al. 2019, section 2.3, for the 1 / sqrt(number of residual layers).
        """
        scaled = 1.0 if self.config.family == "gpt1" else (2 * self.config.num_layers) ** -0.5
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                into_residual = name.endswith(("attention.out", "mlp.down"))
                of_kind = self.config.embedding_std if isinstance(module, nn.Embedding) else self.config.init_std
                std = of_kind * (scaled if into_residual else 1.0)
                nn.init.normal_(module.weight, std=std, generator=generator)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    @property
    def head_weight(self) -> Float[Tensor, "vocabulary width"]:
        """The output matrix: the token embedding's own where the head is tied."""
        return self.token_embedding.weight if self.config.tie_embeddings else self.untied_head.weight

    def embed(self, batch: Batch) -> Float[Tensor, "rows time width"]:
        """Tokens as vectors, with their positions added where positions are vectors."""
        return cast(Tensor, self.embedding_drop(self._embed(batch.input_ids, self._positions(batch))))

    def run(
        self, embedded: Float[Tensor, "rows time width"], batch: Batch, probe: Probe | None = None
    ) -> Float[Tensor, "rows time width"]:
        """Through all blocks and the final norm."""
        if probe is not None:
            probe.check(self.sites())
        mask, is_causal = causal_or_documents(batch)
        return self._through_blocks(
            embedded, Attending(mask, is_causal, self._turn(self._positions(batch))), None, probe
        )

    def head(self, hidden: Float[Tensor, "*places width"]) -> Float[Tensor, "*places vocabulary"]:
        """Logits for the places given."""
        return F.linear(hidden, self.head_weight)

    def empty_state(self, rows: int, source: Batch | None = None) -> KeyValueState:
        """An empty key-value cache. A GPT reads no source."""
        assert source is None, "a GPT has no encoder"
        return KeyValueState.empty(
            layers=self.config.num_layers,
            rows=rows,
            heads=self.config.num_key_value_heads,
            head_dim=self.config.head_dim,
            context_length=self.context_length,
            device=self.token_embedding.weight.device,
            dtype=self.token_embedding.weight.dtype,
        )

    @torch.no_grad()
    def extend(
        self, ids: Int[Tensor, "rows time"], lengths: Int[Tensor, " rows"], state: State
    ) -> tuple[Float[Tensor, "rows time width"], KeyValueState]:
        """Read more tokens against the cache, and add theirs to it in place."""
        assert isinstance(state, KeyValueState)
        time, starts = ids.shape[1], state.lengths
        ends = starts + lengths
        longest = int(ends.max())
        state.make_room(longest)
        fills_all = bool((lengths == time).all()) and bool((starts == starts[0]).all())
        place = starts[:, None] + torch.arange(time, device=ids.device)  # [rows, time]
        position_ids = place.clamp(max=self.context_length - 1)  # padding may lie beyond the context
        mask = torch.arange(longest, device=ids.device) <= place[:, :, None]  # [rows, time, longest]
        attending = Attending(mask[:, None], False, self._turn(position_ids))
        extension = Extension(state, starts, lengths, longest, int(starts[0]) if fills_all else None)
        hidden = self._through_blocks(self._embed(ids, position_ids), attending, extension, None)
        state.lengths = ends
        return hidden, state

    @torch.no_grad()
    def extend_by_one(self, ids: Int[Tensor, "rows 1"], state: KeyValueState) -> Float[Tensor, "rows 1 width"]:
        """The same for one token in every row, with room for it, without a question to the device.

        So it can be recorded once and replayed, as a CUDA graph. The state's lengths stay: its owner raises them.
        """
        position_ids = state.lengths[:, None]
        mask = torch.arange(state.room, device=ids.device) <= position_ids[:, :, None]  # [rows, 1, room]
        attending = Attending(mask[:, None], False, self._turn(position_ids))
        return self._through_blocks(self._embed(ids, position_ids), attending, OneMore(state), None)

    def compile_for_training(self) -> None:
        """Compile the block, once for all layers: they differ in their tensors only."""
        self._compiled_block = torch.compile(type(self.blocks[0]).forward, dynamic=False)

    def recompute_for_training(self) -> None:
        """Keep the residual stream between the blocks, and compute each block's inside again in the backward pass.

        Source: Chen et al. 2016 (arXiv:1604.06174).
        """
        self._recomputes = True

    def end_training(self) -> None:
        """Undo both."""
        self._compiled_block, self._recomputes = None, False

    def sites(self) -> tuple[str, ...]:
        """What a probe may record or replace, in the order of computation."""
        of_layer = ("attention.pattern", "attention.head_out", "attention_out", "mlp_out", "residual")
        layers = [f"layer.{layer}.{name}" for layer in range(self.config.num_layers) for name in of_layer]
        return ("embedding", *layers, "final_norm")

    def _embed(self, ids: Tensor, position_ids: Tensor) -> Tensor:
        embedded = cast(Tensor, self.token_embedding(ids))
        return embedded if self.position_embedding is None else embedded + self.position_embedding(position_ids)

    def _positions(self, batch: Batch) -> Int[Tensor, "rows time"]:
        if batch.position_ids is not None:
            return batch.position_ids
        return torch.arange(batch.time, device=batch.input_ids.device)[None]

    def _turn(self, position_ids: Tensor) -> Rotation | None:
        if self.config.position_encoding != "rotary":
            return None
        return rotation(position_ids, self.config.head_dim, self.config.rope_theta)

    def _through_blocks(
        self, hidden: Tensor, attending: Attending, extension: Extension | OneMore | None, probe: Probe | None
    ) -> Tensor:
        hidden = _at(probe, "embedding", hidden)
        compiled = self._compiled_block if self.training and extension is None and probe is None else None
        recomputes = self._recomputes and self.training and extension is None and probe is None
        for layer, block in enumerate(self.blocks):
            if recomputes:
                hidden = checkpoint(compiled or type(block).forward, block, hidden, attending, use_reentrant=False)
            elif compiled is not None:
                hidden = compiled(block, hidden, attending)
            else:
                hidden = block(hidden, attending, extension, probe)
            hidden = _at(probe, f"layer.{layer}.residual", hidden)
        return _at(probe, "final_norm", self.final_norm(hidden))
