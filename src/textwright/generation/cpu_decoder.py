"""Decoding on a CPU with kernels of our own: a ``Decoder`` made of a GPT-2 or modern model.

::

    few new tokens, or int8     -> kernels.step   --.
                                                     +-- one KeyValueState, float32
    a long prompt               -> the torch model --'

One stream is bound by reading the weights, so they are kept as narrow as asked: float32, bfloat16 or int8. A long
prompt in float32 or bfloat16 goes through torch's matrix products, one row at a time, so that no row's numbers depend
on another's.
"""

import copy
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from textwright.core.device import has_fast_bfloat16
from textwright.generation.kernels.dots import BFLOAT16, BLOCK, FLOAT32, INT8
from textwright.generation.kernels.layout import ACTIVATIONS, HEAD, STEP, TENSORS, Shape
from textwright.generation.kernels.team import Team, aligned
from textwright.models.gpt import GPT
from textwright.models.language_model import State
from textwright.models.layers.positions import rotation
from textwright.models.state import KeyValueState

DecodingPrecision = Literal["float32", "bfloat16", "int8"]
KINDS: dict[DecodingPrecision, int] = {"float32": FLOAT32, "bfloat16": BFLOAT16, "int8": INT8}
MOST_TOKENS = 256
"""Read at once by the kernels."""
LONG = 8
"""New tokens of a row from which torch's matrix products are faster."""


class CPUDecoder:
    """A GPT made ready for decoding on this machine's processor.

    Attributes:
        precision: of its matrices.
        device: the CPU.
    """

    can_rewind = True

    def __init__(self, model: GPT, precision: DecodingPrecision = "float32", *, num_threads: int | None = None) -> None:
        """
        Args:
            model: in float32. Its tensors are used where they are: they must stay, and must not change.
            precision: of the matrices.
            num_threads: torch's own number when not given.
        """
        c = self.config = model.config
        self.precision, self.device = precision, torch.device("cpu")
        self.vocab_size, self.context_length, self.width = model.vocab_size, model.context_length, model.width
        self._reader = _reader(model, precision)
        self._model = model
        self._held: list[Tensor] = []
        self._lock = threading.Lock()  # the team has one job at a time
        shape = Shape(
            kind=KINDS[precision],
            num_layers=c.num_layers,
            width=c.width,
            num_heads=c.num_heads,
            num_key_heads=c.num_key_value_heads,
            head_width=c.head_width,
            mlp_width=c.mlp_width,
            is_modern=c.family == "modern",
            activation=ACTIVATIONS.index(c.activation),
            epsilon=c.norm_epsilon,
        )
        table = np.array([self._addresses(block) for block in model.blocks], np.int64)
        scales = np.array([block.get_submodule("attention").scale for block in model.blocks], np.float32)
        self._threads = num_threads or torch.get_num_threads()
        self._team = Team(shape, table, scales, self._threads)
        self._make_room(self._threads)
        self._describe(model)
        # The kernels are compiled, or read from the cache, at their first call: here rather than at the first prompt.
        one = torch.ones(1, dtype=torch.int64)
        self.head(self.extend(torch.zeros(1, 1, dtype=torch.int64), one, self.empty_state(1))[0])

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """torch on one thread: its others would spin on the cores that the kernels' threads wait on."""
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def empty_state(self, rows: int, source: None = None) -> KeyValueState:
        """An empty key-value cache."""
        assert source is None, "a GPT has no encoder"
        return self._model.empty_state(rows)

    @torch.inference_mode()
    def extend(
        self, ids: Int[Tensor, "rows time"], lengths: Int[Tensor, " rows"], state: State
    ) -> tuple[Float[Tensor, "rows time width"], KeyValueState]:
        """Read more tokens against the cache, and add theirs to it in place; as ``LanguageModel.extend``."""
        assert isinstance(state, KeyValueState)
        counts, starts = lengths.tolist(), state.lengths.tolist()
        state.make_room(max((start + count for start, count in zip(starts, counts, strict=True)), default=0))
        hidden = torch.zeros(*ids.shape, self.width)
        few: list[tuple[int, int]] = []
        for row, count in enumerate(counts):
            if self._reader is not None and count > LONG:
                self._read_long(row, ids[row : row + 1, :count], state, hidden)
            else:
                few.extend((row, time) for time in range(count))
        with self._lock:
            self._read_few(few, ids, starts, state, hidden)
        state.lengths = state.lengths + lengths
        return hidden, state

    @torch.inference_mode()
    def head(self, hidden: Float[Tensor, "*places width"]) -> Float[Tensor, "*places vocabulary"]:
        """Logits for the places given."""
        flat = hidden.reshape(-1, self.width).contiguous()
        logits = torch.empty(len(flat), self.vocab_size)
        job = self._team.job[0]
        with self._lock:
            for first in range(0, len(flat), MOST_TOKENS):
                part = flat[first : first + MOST_TOKENS]
                job["count"], job["hidden"] = len(part), part.data_ptr()
                job["logits"] = logits[first:].data_ptr()
                self._team.run(HEAD)
        return logits.view(*hidden.shape[:-1], self.vocab_size)

    def _read_long(self, row: int, ids: Tensor, state: KeyValueState, hidden: Tensor) -> None:
        """One row by the torch model, into the same cache."""
        assert self._reader is not None
        here = slice(row, row + 1)
        alone = KeyValueState(state.keys[:, here], state.values[:, here], state.lengths[here], self.context_length)
        count, before = ids.shape[1], torch.get_num_threads()
        torch.set_num_threads(self._threads)
        hidden[row, :count] = self._reader.extend(ids, torch.tensor([count]), alone)[0][0].float()
        torch.set_num_threads(before)

    def _read_few(
        self,
        tokens: Sequence[tuple[int, int]],
        ids: Tensor,
        starts: Sequence[int],
        state: KeyValueState,
        hidden: Tensor,
    ) -> None:
        """Tokens, each as (row, place among the new ones), by the kernels."""
        job, given = self._team.job[0], ids.tolist()
        job["keys"], job["values"] = state.keys.data_ptr(), state.values.data_ptr()
        job["layer_stride"], job["row_stride"], job["head_stride"] = state.keys.stride()[:3]
        for first in range(0, len(tokens), MOST_TOKENS):
            part = tokens[first : first + MOST_TOKENS]
            count = len(part)
            self._tokens[:, :count] = [
                [given[row][time] for row, time in part],
                [row for row, _ in part],
                [starts[row] + time for row, time in part],
            ]
            found = torch.empty(count, self.width)
            job["count"], job["hidden"] = count, found.data_ptr()
            self._team.run(STEP)
            rows, times = zip(*part, strict=True)
            hidden[list(rows), list(times)] = found

    def _addresses(self, block: nn.Module) -> list[int]:
        """A row of the table."""
        found = dict.fromkeys(TENSORS, 0)
        for name, tensor in _tensors(block):
            if tensor.ndim == 2:
                found[name], found[f"{name}_scales"] = self._matrix(tensor)
            else:
                found[name] = self._hold(tensor.detach().float())
        return [found[name] for name in TENSORS]

    def _matrix(self, weight: Tensor) -> tuple[int, int]:
        """Where a matrix is, in its precision, and where the scales of its rows are."""
        weight = weight.detach().float()
        if self.precision == "float32":
            return self._hold(weight), 0
        if self.precision == "bfloat16":
            return self._hold(weight.bfloat16()), 0
        rounded, scales = quantise_rows(weight)
        return self._hold(rounded), self._hold(scales)

    def _hold(self, tensor: Tensor) -> int:
        held = tensor.contiguous()
        self._held.append(held)
        return held.data_ptr()

    def _describe(self, model: GPT) -> None:
        """What is the same in every job."""
        job = self._team.job[0]
        job["embedding"] = self._hold(model.token_embedding.weight.detach().float())
        job["head"], job["head_scales"] = self._matrix(model.head_weight)
        job["vocab_size"] = model.vocab_size
        job["final_norm"] = self._hold(model.final_norm.get_parameter("weight").detach().float())
        if self.config.family == "modern":
            turn = rotation(torch.arange(self.context_length)[None], self.config.head_width, self.config.rotary_base)
            half = self.config.head_width // 2
            job["cosines"], job["sines"] = (self._hold(part[0, 0, :, :half]) for part in turn)
        else:
            assert model.position_embedding is not None
            positions = model.position_embedding.state_dict(keep_vars=True).get("weight")
            if positions is None:
                positions = model.position_embedding.get_buffer("weight")
            job["positions"] = self._hold(positions.detach().float())
            job["final_norm_bias"] = self._hold(model.final_norm.get_parameter("bias").detach().float())

    def _make_room(self, threads: int) -> None:
        """Working memory."""
        c, job = self.config, self._team.job[0]
        attended = c.num_heads * c.head_width
        widest = max(c.width, c.mlp_width, attended) + BLOCK
        self._tokens = np.zeros((3, MOST_TOKENS), np.int64)
        job["tokens"], job["rows"], job["places"] = (line.ctypes.data for line in self._tokens)
        job["room"] = self.context_length + 16
        sizes = {
            "x": MOST_TOKENS * c.width,
            "normed": MOST_TOKENS * c.width,
            "qkv": MOST_TOKENS * (attended + 2 * c.num_key_value_heads * c.head_width),
            "attended": MOST_TOKENS * attended,
            "mid": MOST_TOKENS * c.mlp_width,
            "gate": MOST_TOKENS * c.mlp_width if c.family == "modern" else 0,
            "bytes": MOST_TOKENS * widest // 4,
            "byte_scales": MOST_TOKENS * widest // BLOCK,
            "byte_offsets": MOST_TOKENS,
            "sums": 16 * threads,
            "scores": threads * (self.context_length + 16),
        }
        self._room = aligned(sum(-(-size // 16) * 16 for size in sizes.values()), np.float32)
        start = 0
        for name, size in sizes.items():
            job[name] = self._room[start:].ctypes.data
            start += -(-size // 16) * 16


def quantise_rows(weight: Float[Tensor, "rows columns"]) -> tuple[Tensor, Tensor]:
    """A matrix as int8 with a scale for each row: weight is about scale x (byte - 128).

    Returns:
        Bytes, uint8 [rows, columns rounded up to a multiple of 64]; scales, float32 [rows].
    """
    scales = weight.abs().amax(dim=1) / 127
    rounded = (weight / scales.clamp(min=torch.finfo(torch.float32).tiny)[:, None]).round_() + 128
    return nn.functional.pad(rounded, (0, -weight.shape[1] % BLOCK), value=128).to(torch.uint8), scales


def _tensors(block: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """A block's tensors by the names of ``TENSORS``."""
    for name, tensor in block.named_parameters():
        *_, place, what = name.split(".")
        yield (place if what == "weight" else f"{place}_bias"), tensor


def _reader(model: GPT, precision: DecodingPrecision) -> GPT | None:
    """The torch model that reads long prompts; none where the kernels do."""
    if precision == "int8":
        return None
    if precision == "bfloat16" and has_fast_bfloat16(torch.device("cpu")):
        return copy.deepcopy(model).bfloat16()
    return model
