"""Decoding on a CPU with kernels of our own: a ``Decoder`` made of a GPT-2 or Qwen3 model.

One stream is bound by reading the weights, so they are kept as narrow as asked, float32, bfloat16 or int8, and in the
order in which they are read. With float32 weights the key-value cache is float32 too; else it is bfloat16.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from textwright.core.kernel_build import KERNEL_BUILD
from textwright.data.batch import Batch
from textwright.engines.config import DecodingPrecision
from textwright.engines.cpu.cache import SlotCache, SlotMemory
from textwright.engines.cpu.kernels.layout import (
    ACTIVATIONS,
    CACHE_LINE,
    FLOAT32,
    FORWARD,
    HEAD,
    KERNEL_ARGS,
    LANES,
    LOG_SUMS,
    MAX_TOKENS,
    PARTS,
    STAGES,
    TENSORS,
    VALUES_PER_LINE,
    ModelDims,
)
from textwright.engines.cpu.kernels.thread_pool import ThreadPool
from textwright.engines.cpu.kernels.tiles import SUMS
from textwright.engines.cpu.large_pages import LargePages
from textwright.engines.cpu.packing import KINDS, fits, pack_floats, pack_int8
from textwright.engines.cpu.workspace import Workspace
from textwright.engines.engine_thread import ENGINE, T
from textwright.models.gpt.network import GPT
from textwright.models.kv_cache import check_slots
from textwright.models.layers.low_rank import merged_state
from textwright.models.layers.positions import rope_table
from textwright.models.protocols import Cache, Conditioning

BYTES_PER_THREAD = 4 << 20
"""Weights that are worth a thread."""


class CPUDecoder:
    """A GPT made ready for decoding on this machine's processor.

    Attributes:
        precision: of its matrices.
        device: the CPU.
        packed: of int8, the matrices in the order in which they are read, and the scales of their rows.
    """

    can_crop = True
    conditioning: Conditioning | None = None

    def __init__(
        self,
        model: GPT,
        precision: DecodingPrecision = "float32",
        *,
        num_threads: int | None = None,
        packed: Mapping[str, Tensor] | None = None,
    ) -> None:
        """
        Args:
            model: in float32. Embeddings, norms and biases are used where they are: they must not change.
            precision: of the matrices.
            num_threads: when not given, torch's own number, and fewer for a small model.
            packed: another decoder's ``packed``, of the same model, instead of rounding to int8 again; what has another
                shape is not used.
        """
        c = self.config = model.config
        self.precision, self.device = precision, torch.device("cpu")
        self.vocab_size, self.context_length = model.vocab_size, model.context_length
        self.hidden_size = model.hidden_size
        self._kept_alive, self._memory = list[Tensor](), LargePages()
        self._cache_memory = SlotMemory(
            layers=c.num_layers,
            heads=c.num_key_value_heads,
            head_dim=c.head_dim,
            dtype=torch.float32 if precision == "float32" else torch.bfloat16,
        )
        self._prepacked, self.packed = packed or {}, dict[str, Tensor]()
        dims = ModelDims(
            kind=KINDS[precision],
            num_layers=c.num_layers,
            hidden_size=c.hidden_size,
            num_heads=c.num_heads,
            num_key_value_heads=c.num_key_value_heads,
            head_dim=c.head_dim,
            intermediate_size=c.intermediate_size,
            vocab_size=model.vocab_size,
            context_length=model.context_length,
            is_qwen3=c.family == "qwen3",
            activation=ACTIVATIONS.index(c.activation),
            norm_eps=c.norm_eps,
        )
        self._pool = ThreadPool.shared(num_threads or self._suitable_threads(model))
        self._kernel_args = np.zeros(1, KERNEL_ARGS)
        self._args_address = self._kernel_args.ctypes.data
        self._fill_kernel_args(model, dims)
        self._allocate_workspace()
        # The kernels are compiled, or read from the cache, at their first call: here rather than at the first prompt.
        self.logits(self.extend(torch.zeros(1, 1, dtype=torch.int64), [1], self.empty_cache(1), [0]))

    def run(self, work: Callable[[], T]) -> T:
        """On the engine's thread; see there."""
        return ENGINE.run(work)

    def empty_cache(self, num_slots: int, source: Batch | None = None) -> SlotCache:
        """An empty key-value cache."""
        assert source is None, "a GPT has no encoder"
        return SlotCache(self._cache_memory, num_slots=num_slots, context_length=self.context_length)

    def extend(
        self, ids: Int[Tensor, "rows time"], lengths: Sequence[int], cache: Cache, slots: Sequence[int]
    ) -> Float[Tensor, "rows time hidden"]:
        """Read more tokens against the cache, and add theirs to it in place; as ``Decoder.extend``."""
        # In NumPy: a call takes a microsecond, and torch's five.
        given = ids.numpy()
        if all(length == given.shape[1] for length in lengths):
            return self.extend_packed(given.reshape(-1), lengths, cache, slots).view(*ids.shape, self.hidden_size)
        is_read = np.arange(given.shape[1]) < np.array(lengths)[:, None]
        hidden = torch.zeros(*ids.shape, self.hidden_size)
        hidden[torch.from_numpy(is_read)] = self.extend_packed(given[is_read], lengths, cache, slots)
        return hidden

    def extend_packed(
        self,
        ids: Int[np.ndarray, " tokens"],
        lengths: Sequence[int],
        cache: Cache,
        slots: Sequence[int],
        num_places: Sequence[int] | None = None,
    ) -> Float[Tensor, "places hidden"]:
        """Read more tokens of texts that stand one after the other; as ``PackedDecoder.extend_packed``."""
        assert isinstance(cache, SlotCache)
        check_slots(slots, cache.num_slots)
        starts = [cache.length(slot) for slot in slots]
        ends = [start + length for start, length in zip(starts, lengths, strict=True)]
        for slot, end in zip(slots, ends, strict=True):
            cache.reserve(slot, end)
        num_tokens = len(ids)
        if num_tokens == len(slots):  # a step of one token each, the most frequent
            tokens, wanted = np.array([ids, slots, starts]), None
        else:
            ends_here, each = np.cumsum(lengths), np.arange(num_tokens)
            position = each + np.repeat(np.array(ends) - ends_here, lengths)
            tokens = np.stack([ids, np.repeat(slots, lengths), position])
            wanted = None if num_places is None else each[each >= np.repeat(ends_here - num_places, lengths)]
        found = torch.empty(num_tokens if wanted is None else len(wanted), self.hidden_size)
        args = self._kernel_args[0]
        with self._pool.lock:
            args["keys"], args["values"], args["capacities"] = cache.addresses
            args["num_slots"] = cache.num_slots
            at_once = _equal_parts(num_tokens)
            for first in range(0, num_tokens, at_once):
                count = min(at_once, num_tokens - first)
                self._tokens[:, :count] = tokens[:, first : first + count]
                before, num_wanted = first, count
                if wanted is not None:
                    before, until = np.searchsorted(wanted, (first, first + count))
                    num_wanted = until - before
                    self._wanted[:num_wanted] = wanted[before:until] - first
                args["count"], args["num_wanted"], args["hidden"] = count, num_wanted, found[before:].data_ptr()
                self._run_kernel(FORWARD)
        for slot, end in zip(slots, ends, strict=True):
            cache.set_length(slot, end)
        return found

    def logits(self, hidden: Float[Tensor, "*places width"]) -> Float[Tensor, "*places vocabulary"]:
        """Logits for the places given."""
        flat = hidden.reshape(-1, self.hidden_size).contiguous()
        logits = torch.empty(len(flat), self.vocab_size)
        args = self._kernel_args[0]
        with self._pool.lock:
            at_once = _equal_parts(len(flat))
            for first in range(0, len(flat), at_once):
                part = flat[first : first + at_once]
                args["count"], args["hidden"] = len(part), part.data_ptr()
                args["logits"] = logits[first:].data_ptr()
                self._run_kernel(HEAD)
        return logits.view(*hidden.shape[:-1], self.vocab_size)

    def log_sums(self, logits: Float[Tensor, "rows tokens"]) -> Float[Tensor, " rows"]:
        """The logarithm of the sum of e to the power of a row's logits; as ``SumsLogits.log_sums``."""
        if logits.dtype != torch.float32 or logits.device != self.device or logits.stride(1) != 1:
            return logits.logsumexp(dim=1)
        sums, args = torch.empty(len(logits)), self._kernel_args[0]
        with self._pool.lock:
            args["num_logits"], args["logits_stride"] = logits.shape[1], logits.stride(0)
            args["count"], args["logits"], args["log_sums"] = len(logits), logits.data_ptr(), sums.data_ptr()
            self._run_kernel(LOG_SUMS)
        return sums

    def _run_kernel(self, kernel: int) -> None:
        """Do the job that the arguments say; the caller holds the pool's lock."""
        self._kernel_args[0]["kernel"] = kernel
        self._taken.fill(0)
        self._pool.run(self._args_address)
        if KERNEL_BUILD.checks_bounds:
            self._workspace.check_guards()

    def _suitable_threads(self, model: GPT) -> int:
        """A core reads a few megabytes sooner alone than it agrees with others on who reads what."""
        bytes_each = VALUES_PER_LINE[FLOAT32] * 4 / VALUES_PER_LINE[KINDS[self.precision]]
        size = bytes_each * sum(parameter.numel() for parameter in model.parameters())
        return max(1, min(torch.get_num_threads(), int(size / BYTES_PER_THREAD)))

    def _layer_weights(self, prefix: str, block: nn.Module) -> list[int]:
        """A row of the table."""
        found = dict.fromkeys(TENSORS, 0)
        for name, tensor in _tensors(block):
            if tensor.ndim == 2:
                found |= zip((name + part for part in PARTS), self._packed_matrix(prefix + name, tensor), strict=True)
            else:
                found[name] = self._keep_alive(tensor.detach().float())
        return [found[name] for name in TENSORS]

    def _packed_matrix(self, name: str, weight: Tensor) -> list[int]:
        """Where a matrix is, in its precision: its panels, the scales of its rows, and its outliers."""
        if self.precision != "int8":
            panels, *rest = pack_floats(weight.detach(), self.precision)
            return [self._keep_alive(tensor) for tensor in (self._memory.copy(panels), *rest)]
        names = (name, f"{name}_scales")
        packed = [self._prepacked[key] for key in names if key in self._prepacked]
        if not fits(packed, weight.shape):
            panels, scales = pack_int8(weight.detach())
            packed = [self._memory.copy(panels), scales]
        self.packed |= zip(names, packed, strict=True)
        return [*(self._keep_alive(tensor) for tensor in packed), 0]

    def _keep_alive(self, tensor: Tensor, *, in_lines: bool = True) -> int:
        """Keep a tensor where it is, or where the kernels can read it: whole lines at addresses that begin one; number
        by number they read anywhere."""
        held = tensor.contiguous()
        if in_lines and held.data_ptr() % CACHE_LINE:
            held = held.clone()
        self._kept_alive.append(held)
        return held.data_ptr()

    def _fill_kernel_args(self, model: GPT, dims: ModelDims) -> None:
        """What is the same in every job."""
        args = self._kernel_args[0]
        for name, value in dims._asdict().items():
            args[name] = value
        addresses = [self._layer_weights(f"{n}.", block) for n, block in enumerate(model.blocks)]
        scales = [block.get_submodule("attention").scale for block in model.blocks]
        self._weight_table, self._attention_scales = np.array(addresses, np.int64), np.array(scales, np.float32)
        args["weight_table"] = self._weight_table.ctypes.data
        args["attention_scales"] = self._attention_scales.ctypes.data
        args["token_embedding"] = self._keep_alive(model.token_embedding.weight.detach().float(), in_lines=False)
        for part, address in zip(PARTS, self._packed_matrix("head", model.head_weight), strict=True):
            args[f"head{part}"] = address
        args["final_norm"] = self._keep_alive(model.final_norm.get_parameter("weight").detach().float())
        if self.config.family == "qwen3":
            table = rope_table(torch.arange(self.context_length)[None], self.config.head_dim, self.config.rope_theta)
            half = self.config.head_dim // 2
            args["cosines"], args["sines"] = (self._keep_alive(part[0, 0, :, :half]) for part in table)
        else:
            assert model.position_embedding is not None
            positions = model.position_embedding.state_dict(keep_vars=True).get("weight")
            if positions is None:
                positions = model.position_embedding.get_buffer("weight")
            args["position_embedding"] = self._keep_alive(positions.detach().float(), in_lines=False)
            args["final_norm_bias"] = self._keep_alive(model.final_norm.get_parameter("bias").detach().float())

    def _allocate_workspace(self) -> None:
        """Working memory."""
        c, args, threads = self.config, self._kernel_args[0], self._pool.num_threads
        attention_size = c.num_heads * c.head_dim
        lines = -(-max(c.hidden_size, c.intermediate_size, attention_size) // VALUES_PER_LINE[KINDS[self.precision]])
        head_size = -(-c.head_dim // (2 * LANES)) * 2 * LANES
        self._tokens = np.zeros((3, MAX_TOKENS), np.int64)
        args["token_ids"], args["slots"], args["positions"] = (line.ctypes.data for line in self._tokens)
        self._wanted, self._taken = np.zeros(MAX_TOKENS, np.int64), np.zeros(c.num_layers * STAGES, np.int64)
        args["wanted"], args["taken"] = self._wanted.ctypes.data, self._taken.ctypes.data
        args["max_scores"], args["head_size"] = self.context_length + LANES, head_size
        sizes = {
            "residual": MAX_TOKENS * c.hidden_size,
            "normed": MAX_TOKENS * c.hidden_size,
            "qkv": MAX_TOKENS * (attention_size + 2 * c.num_key_value_heads * c.head_dim),
            "attention_out": MAX_TOKENS * attention_size,
            "up": MAX_TOKENS * c.intermediate_size,
            "gate": MAX_TOKENS * c.intermediate_size if c.family == "qwen3" else 0,
            # A line of bfloat16 takes two as floats, and one of int8 four, where the weights are decoded first.
            "packed_inputs": MAX_TOKENS * lines * VALUES_PER_LINE[KINDS[self.precision]],
            "blocks": MAX_TOKENS * 2 * lines,
            "sums": threads * SUMS,
            "scores": threads * (self.context_length + LANES),
            "zeros": LANES,
            "query": threads * head_size,
            "head_out": threads * head_size,
        }
        self._workspace = Workspace(sizes, guarded=KERNEL_BUILD.checks_bounds)
        for name, address in self._workspace.addresses.items():
            args[name] = address


def _equal_parts(count: int) -> int:
    """How many of so many tokens are read at once: a short rest would take more time each."""
    num_parts = max(1, -(-count // MAX_TOKENS))
    return max(1, -(-count // num_parts))


def _tensors(block: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """A block's tensors by the names of ``TENSORS``, adapters of low rank folded in."""
    for name, tensor in merged_state(block).items():
        *_, place, what = name.split(".")
        yield (place if what == "weight" else f"{place}_bias"), tensor
