"""Decoding on an NVIDIA GPU: a GPT whose step of one token a slot is captured once, as a CUDA graph, and replayed.

::

    slots      0   1   2   3      rows of a step are the first slots, as many as a power of two
    ids        a   -   b   -      an idle slot's token means nothing, and is written to a spare slot

    one token each      the first time in this cache: as the model does it; the second: captured; from then on: replayed
    anything else       as the model does it

A step of GPT-2 launches some two hundred small kernels; replayed, they no longer wait for Python. A capture is bound
to the memory of a cache, so it lasts until the cache grows, which it does by doubling; who joins or leaves is no
matter.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textwright.data.batch import Batch
from textwright.models.gpt.network import GPT
from textwright.models.kv_cache import KVCache, check_slots
from textwright.models.protocols import Cache, Conditioning, T

MAX_CAPTURES = 4
"""Kept: each holds the memory of a step."""

Step = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Ids [rows, 1], the rows' lengths and the slots they are written to; hidden states [rows, 1, hidden], of one cache."""


class CudaGraphDecoder:
    """A GPT made ready for decoding on its device.

    Args:
        model: in evaluation mode; it computes in the precision that its weights are in.
        capture: makes a replayed step of a plain one; CUDA graphs on a GPU, and nothing elsewhere.
    """

    can_crop = True
    conditioning: Conditioning | None = None

    def __init__(self, model: GPT, capture: Callable[[Step, int, torch.device], Step] | None = None) -> None:
        self._model = model
        self.vocab_size, self.context_length = model.vocab_size, model.context_length
        self.hidden_size = model.hidden_size
        self.device = model.device
        self._capture = capture or capture_cuda_graph
        self._steps: dict[tuple[int, int, int, int], Step | None] = {}

    def run(self, work: Callable[[], T]) -> T:
        """Here and now."""
        return work()

    def empty_cache(self, num_slots: int, source: Batch | None = None) -> KVCache:
        """An empty key-value cache, with a slot to spare for what idle slots write."""
        return self._model.empty_cache(num_slots, source, num_spare=1)

    @torch.inference_mode()
    def extend(
        self, ids: Int[Tensor, "rows time"], lengths: Sequence[int], cache: Cache, slots: Sequence[int]
    ) -> Float[Tensor, "rows time hidden"]:
        """Read more tokens; see ``Decoder.extend``."""
        assert isinstance(cache, KVCache)
        if ids.shape[1] != 1:
            return self._model.extend(ids, lengths, cache, slots)
        check_slots(slots, cache.num_slots)
        cache.reserve(max(cache.length(slot) for slot in slots) + 1)
        num_rows = min(cache.num_slots, 1 << max(slots).bit_length())
        targets, held = [cache.num_slots] * num_rows, [0] * num_rows
        for slot in slots:
            targets[slot], held[slot] = slot, cache.length(slot)
        rows = torch.tensor(list(slots), device=self.device)
        every = ids.new_zeros((num_rows, 1)).index_copy_(0, rows, ids)
        told = (torch.tensor(numbers, device=self.device) for numbers in (held, targets))
        hidden = self._step(cache, num_rows)(every, *told)
        for slot in slots:
            cache.set_length(slot, cache.length(slot) + 1)
        return hidden[rows]

    def logits(self, hidden: Float[Tensor, "*places hidden"]) -> Float[Tensor, "*places vocabulary"]:
        """Logits for the places given."""
        return self._model.logits(hidden)

    def _step(self, cache: KVCache, num_rows: int) -> Step:
        """The step for a cache: plain the first time it is seen, captured the second."""

        def plain(ids: Tensor, lengths: Tensor, targets: Tensor) -> Tensor:
            return self._model.decode_step(ids, lengths, targets, cache)

        key = cache.keys.data_ptr(), cache.values.data_ptr(), cache.capacity, num_rows
        if key not in self._steps:
            while len(self._steps) >= MAX_CAPTURES:
                del self._steps[next(iter(self._steps))]
            self._steps[key] = None
            return plain
        captured = self._steps[key]
        if captured is None:
            captured = self._steps[key] = self._capture(plain, num_rows, self.device)
        return captured


def capture_cuda_graph(step: Step, num_rows: int, device: torch.device) -> Step:
    """The step as a CUDA graph: its inputs are copied to where they were when it was captured.

    It is captured at the first call, with that call's inputs: so what warming up writes to the cache is right.
    """
    ids = torch.zeros(num_rows, 1, dtype=torch.int64, device=device)
    lengths, targets = (torch.zeros(num_rows, dtype=torch.int64, device=device) for _ in range(2))
    graph: torch.cuda.CUDAGraph | None = None
    out = torch.empty(0)

    def replay(new_ids: Tensor, new_lengths: Tensor, new_targets: Tensor) -> Tensor:
        nonlocal graph, out
        ids.copy_(new_ids)
        lengths.copy_(new_lengths)
        targets.copy_(new_targets)
        if graph is None:
            stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(stream):
                step(ids, lengths, targets)  # libraries set themselves up at their first call, not to be captured
            torch.cuda.current_stream(device).wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                out = step(ids, lengths, targets)
        graph.replay()
        return out.clone()

    return replay
