"""Decoding on an NVIDIA GPU: a GPT whose step of one token a row is recorded once, as a CUDA graph, and replayed.

::

    one token a row, room for it    first time in this cache: as the model does it
                                    second time: recorded            from then on: replayed
    anything else                   as the model does it

A step of GPT-2 launches some two hundred small kernels; replayed, they no longer wait for Python. A recording is bound
to the memory of a cache, so it lasts until rows come or go or the cache grows, which it does by doubling.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textwright.models.gpt.network import GPT
from textwright.models.kv_cache import KVCache
from textwright.models.protocols import DecodeState

MOST_RECORDINGS = 4
"""Kept: each holds the memory of a step."""

Step = Callable[[Tensor, Tensor], Tensor]
"""Ids [rows, 1] and the rows' lengths to hidden states [rows, 1, width], for one cache."""


class GraphDecoder:
    """A GPT made ready for decoding on its device.

    Args:
        model: in evaluation mode; it computes in the precision that its weights are in.
        record: makes a replayed step of a plain one; CUDA graphs on a GPU, and nothing elsewhere.
    """

    can_crop = True

    def __init__(self, model: GPT, record: Callable[[Step, int, torch.device], Step] | None = None) -> None:
        self._model = model
        self.vocab_size, self.context_length = model.vocab_size, model.context_length
        self.hidden_size = model.hidden_size
        self.device = model.device
        self._record = record or record_cuda_graph
        self._steps: dict[tuple[int, int, torch.Size], Step | None] = {}

    def at_work(self) -> AbstractContextManager[None]:
        """The model's own."""
        return self._model.at_work()

    def empty_cache(self, rows: int, source: None = None) -> KVCache:
        """An empty key-value cache."""
        return self._model.empty_cache(rows, source)

    @torch.inference_mode()
    def extend(
        self, ids: Int[Tensor, "rows time"], lengths: Int[Tensor, " rows"], state: DecodeState
    ) -> tuple[Float[Tensor, "rows time width"], KVCache]:
        """Read more tokens; see ``Decoder.extend``."""
        assert isinstance(state, KVCache)
        if ids.shape[1] != 1 or not len(ids) or not bool((lengths == 1).all()):
            return self._model.extend(ids, lengths, state)
        state.reserve(int(state.lengths.max()) + 1)
        hidden = self._step(state)(ids, state.lengths)
        state.lengths = state.lengths + 1
        return hidden, state

    def logits(self, hidden: Float[Tensor, "*places width"]) -> Float[Tensor, "*places vocabulary"]:
        """Logits for the places given."""
        return self._model.logits(hidden)

    def _step(self, state: KVCache) -> Step:
        """The step for a cache: plain the first time it is seen, recorded the second."""
        model, cache = self._model, KVCache(state.keys, state.values, state.lengths, self.context_length)

        def plain(ids: Tensor, lengths: Tensor) -> Tensor:
            cache.lengths = lengths
            return model.decode_step(ids, cache)

        key = state.keys.data_ptr(), state.values.data_ptr(), state.keys.shape
        if key not in self._steps:
            while len(self._steps) >= MOST_RECORDINGS:
                del self._steps[next(iter(self._steps))]
            self._steps[key] = None
            return plain
        recorded = self._steps[key]
        if recorded is None:
            recorded = self._steps[key] = self._record(plain, state.keys.shape[1], self.device)
        return recorded


def record_cuda_graph(step: Step, rows: int, device: torch.device) -> Step:
    """The step as a CUDA graph: its inputs are copied to where they were when it was recorded.

    It is recorded at the first call, with that call's inputs: so what warming up writes to the cache is right.
    """
    ids = torch.zeros(rows, 1, dtype=torch.int64, device=device)
    lengths = torch.zeros(rows, dtype=torch.int64, device=device)
    graph: torch.cuda.CUDAGraph | None = None
    out = torch.empty(0)

    def replay(new_ids: Tensor, new_lengths: Tensor) -> Tensor:
        nonlocal graph, out
        ids.copy_(new_ids)
        lengths.copy_(new_lengths)
        if graph is None:
            stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(stream):
                step(ids, lengths)  # libraries set themselves up at their first call, which cannot be recorded
            torch.cuda.current_stream(device).wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                out = step(ids, lengths)
        graph.replay()
        return out.clone()

    return replay
