"""Decoding on a CPU with kernels of our own: a ``Decoder`` made of a GPT-2 or Qwen3 model.

One stream is bound by reading the weights, so they are kept as narrow as asked, float32, bfloat16 or int8, and in the
order in which they are read. With float32 weights the key-value cache is float32 too; else it is bfloat16.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from textwright.data.batch import Batch
from textwright.engines.config import DecodingPrecision
from textwright.engines.cpu.cache import SlotCache
from textwright.engines.cpu.kernels.gemm import SUMS
from textwright.engines.cpu.kernels.gemm_microkernels import FLOAT32, NUMBERS_IN_A_LINE
from textwright.engines.cpu.kernels.layout import ACTIVATIONS, HEAD, KERNEL_ARGS, PARTS, STEP, TENSORS, ModelDims
from textwright.engines.cpu.kernels.llvm_ir import LANES, LINE
from textwright.engines.cpu.kernels.thread_pool import ThreadPool, aligned
from textwright.engines.cpu.packing import KINDS, fits, pack_floats, pack_int8
from textwright.engines.engine_thread import ENGINE, T
from textwright.models.gpt.network import GPT
from textwright.models.kv_cache import check_slots
from textwright.models.layers.positions import rope_table
from textwright.models.protocols import Cache, Conditioning

MOST_TOKENS = 256
"""Read at once by the kernels."""
BYTES_FOR_A_THREAD = 4 << 20
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
        self._held: list[Tensor] = []
        self._given, self.packed = packed or {}, dict[str, Tensor]()
        dims = ModelDims(
            kind=KINDS[precision],
            num_layers=c.num_layers,
            width=c.hidden_size,
            num_heads=c.num_heads,
            num_key_heads=c.num_key_value_heads,
            head_width=c.head_dim,
            mlp_width=c.intermediate_size,
            is_modern=c.family == "qwen3",
            activation=ACTIVATIONS.index(c.activation),
            epsilon=c.norm_eps,
        )
        self._pool = ThreadPool.shared(num_threads or self._suitable_threads(model))
        self._job = np.zeros(1, KERNEL_ARGS)
        self._job_address = self._job.ctypes.data
        self._describe(model, dims)
        self._make_room()
        # The kernels are compiled, or read from the cache, at their first call: here rather than at the first prompt.
        self.logits(self.extend(torch.zeros(1, 1, dtype=torch.int64), [1], self.empty_cache(1), [0]))

    def run(self, work: Callable[[], T]) -> T:
        """On the engine's thread; see there."""
        return ENGINE.run(work)

    def empty_cache(self, num_slots: int, source: Batch | None = None) -> SlotCache:
        """An empty key-value cache."""
        assert source is None, "a GPT has no encoder"
        return SlotCache(
            layers=self.config.num_layers,
            num_slots=num_slots,
            heads=self.config.num_key_value_heads,
            head_dim=self.config.head_dim,
            context_length=self.context_length,
            dtype=torch.float32 if self.precision == "float32" else torch.bfloat16,
        )

    @torch.inference_mode()
    def extend(
        self, ids: Int[Tensor, "rows time"], lengths: Sequence[int], cache: Cache, slots: Sequence[int]
    ) -> Float[Tensor, "rows time hidden"]:
        """Read more tokens against the cache, and add theirs to it in place; as ``Decoder.extend``."""
        assert isinstance(cache, SlotCache)
        check_slots(slots, cache.num_slots)
        starts = [cache.length(slot) for slot in slots]
        for slot, start, length in zip(slots, starts, lengths, strict=True):
            cache.reserve(slot, start + length)
        # In NumPy: a call takes a microsecond, and torch's five.
        row, time = np.nonzero(np.arange(ids.shape[1]) < np.array(lengths)[:, None])
        tokens = np.stack([ids.numpy()[row, time], np.array(slots)[row], np.array(starts)[row] + time])
        found = torch.empty(len(row), self.hidden_size)
        job = self._job[0]
        with self._pool.lock:
            job["keys"], job["values"], job["capacities"] = (line.ctypes.data for line in cache.table)
            job["num_slots"] = cache.num_slots
            for first in range(0, len(row), MOST_TOKENS):
                count = min(MOST_TOKENS, len(row) - first)
                self._tokens[:, :count] = tokens[:, first : first + count]
                job["count"], job["hidden"] = count, found[first:].data_ptr()
                self._run(STEP)
        for slot, start, length in zip(slots, starts, lengths, strict=True):
            cache.set_length(slot, start + length)
        if len(row) == ids.numel():
            return found.view(*ids.shape, self.hidden_size)
        hidden = torch.zeros(*ids.shape, self.hidden_size)
        hidden[row, time] = found
        return hidden

    @torch.inference_mode()
    def logits(self, hidden: Float[Tensor, "*places width"]) -> Float[Tensor, "*places vocabulary"]:
        """Logits for the places given."""
        flat = hidden.reshape(-1, self.hidden_size).contiguous()
        logits = torch.empty(len(flat), self.vocab_size)
        job = self._job[0]
        with self._pool.lock:
            for first in range(0, len(flat), MOST_TOKENS):
                part = flat[first : first + MOST_TOKENS]
                job["count"], job["hidden"] = len(part), part.data_ptr()
                job["logits"] = logits[first:].data_ptr()
                self._run(HEAD)
        return logits.view(*hidden.shape[:-1], self.vocab_size)

    def _run(self, what: int) -> None:
        """Do the job as it is described; the pool is locked."""
        self._job[0]["what"] = what
        self._pool.run(self._job_address)

    def _suitable_threads(self, model: GPT) -> int:
        """A core reads a few megabytes sooner alone than it agrees with others on who reads what."""
        bytes_each = NUMBERS_IN_A_LINE[FLOAT32] * 4 / NUMBERS_IN_A_LINE[KINDS[self.precision]]
        size = bytes_each * sum(parameter.numel() for parameter in model.parameters())
        return max(1, min(torch.get_num_threads(), int(size / BYTES_FOR_A_THREAD)))

    def _addresses(self, prefix: str, block: nn.Module) -> list[int]:
        """A row of the table."""
        found = dict.fromkeys(TENSORS, 0)
        for name, tensor in _tensors(block):
            if tensor.ndim == 2:
                found |= zip((name + part for part in PARTS), self._matrix(prefix + name, tensor), strict=True)
            else:
                found[name] = self._hold(tensor.detach().float())
        return [found[name] for name in TENSORS]

    def _matrix(self, name: str, weight: Tensor) -> list[int]:
        """Where a matrix is, in its precision: its panels, the scales of its rows, and its outliers."""
        if self.precision != "int8":
            return [self._hold(tensor) for tensor in pack_floats(weight.detach(), self.precision)]
        names = (name, f"{name}_scales")
        packed = [self._given[key] for key in names if key in self._given]
        if not fits(packed, weight.shape):
            packed = [*pack_int8(weight.detach())]
        self.packed |= zip(names, packed, strict=True)
        return [*(self._hold(tensor) for tensor in packed), 0]

    def _hold(self, tensor: Tensor) -> int:
        """Keep a tensor where it is, or where the kernels can read it: whole lines at addresses that begin one."""
        held = tensor.contiguous()
        if held.data_ptr() % LINE:
            held = held.clone()
        self._held.append(held)
        return held.data_ptr()

    def _describe(self, model: GPT, dims: ModelDims) -> None:
        """What is the same in every job."""
        job = self._job[0]
        for name, value in dims._asdict().items():
            job[name] = value
        self._table = np.array([self._addresses(f"{n}.", block) for n, block in enumerate(model.blocks)], np.int64)
        self._scales = np.array([block.get_submodule("attention").scale for block in model.blocks], np.float32)
        job["weight_table"], job["attention_scales"] = self._table.ctypes.data, self._scales.ctypes.data
        job["embedding"] = self._hold(model.token_embedding.weight.detach().float())
        for part, address in zip(PARTS, self._matrix("head", model.head_weight), strict=True):
            job[f"head{part}"] = address
        job["vocab_size"] = model.vocab_size
        job["final_norm"] = self._hold(model.final_norm.get_parameter("weight").detach().float())
        if self.config.family == "qwen3":
            table = rope_table(torch.arange(self.context_length)[None], self.config.head_dim, self.config.rope_theta)
            half = self.config.head_dim // 2
            job["cosines"], job["sines"] = (self._hold(part[0, 0, :, :half]) for part in table)
        else:
            assert model.position_embedding is not None
            positions = model.position_embedding.state_dict(keep_vars=True).get("weight")
            if positions is None:
                positions = model.position_embedding.get_buffer("weight")
            job["positions"] = self._hold(positions.detach().float())
            job["final_norm_bias"] = self._hold(model.final_norm.get_parameter("bias").detach().float())

    def _make_room(self) -> None:
        """Working memory."""
        c, job, threads = self.config, self._job[0], self._pool.num_threads
        attended = c.num_heads * c.head_dim
        lines = -(-max(c.hidden_size, c.intermediate_size, attended) // NUMBERS_IN_A_LINE[KINDS[self.precision]])
        key_width = -(-c.head_dim // (2 * LANES)) * 2 * LANES
        self._tokens = np.zeros((3, MOST_TOKENS), np.int64)
        job["tokens"], job["slots"], job["places"] = (line.ctypes.data for line in self._tokens)
        job["room"], job["query_bytes"] = self.context_length + LANES, 4 * key_width
        sizes = {
            "x": MOST_TOKENS * c.hidden_size,
            "normed": MOST_TOKENS * c.hidden_size,
            "qkv": MOST_TOKENS * (attended + 2 * c.num_key_value_heads * c.head_dim),
            "attended": MOST_TOKENS * attended,
            "mid": MOST_TOKENS * c.intermediate_size,
            "gate": MOST_TOKENS * c.intermediate_size if c.family == "qwen3" else 0,
            "inputs": MOST_TOKENS * lines * LANES,
            "blocks": MOST_TOKENS * 2 * lines,
            "sums": threads * SUMS,
            "scores": threads * (self.context_length + LANES),
            "zeros": LANES,
            "queries": threads * key_width,
            "mixed": threads * key_width,
        }
        self._room = aligned(sum(-(-size // 16) * 16 for size in sizes.values()), np.float32)
        start = 0
        for name, size in sizes.items():
            job[name] = self._room[start:].ctypes.data
            start += -(-size // 16) * 16


def _tensors(block: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """A block's tensors by the names of ``TENSORS``."""
    for name, tensor in block.named_parameters():
        *_, place, what = name.split(".")
        yield (place if what == "weight" else f"{place}_bias"), tensor
