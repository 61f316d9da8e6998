"""Who we are among the processes that train together, and what they say to each other."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

BUCKET = 1 << 24
"""Numbers that go over the wire at once; a tensor that is larger goes alone."""


@dataclass(frozen=True)
class World:
    """This process's place: ``rank`` of ``size``. Every rank must ask the same questions in the same order."""

    rank: int = 0
    size: int = 1

    def gather(self, value: Any) -> list[Any]:
        """The plain values, as JSON has them, of all ranks in their order."""
        if self.size == 1:
            return [value]
        import torch
        import torch.distributed as dist

        said = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8).to(_device())
        lengths = [torch.zeros(1, dtype=torch.int64, device=said.device) for _ in range(self.size)]
        dist.all_gather(lengths, torch.tensor([len(said)], device=said.device))
        longest = max(int(length) for length in lengths)
        found = [torch.zeros(longest, dtype=torch.uint8, device=said.device) for _ in range(self.size)]
        dist.all_gather(found, torch.nn.functional.pad(said, (0, longest - len(said))))
        heard = [row[: int(length)].cpu().numpy().tobytes() for row, length in zip(found, lengths, strict=True)]
        return [json.loads(raw) for raw in heard]

    def from_first(self, value: Any) -> Any:
        """The first rank's plain value; what others give is not looked at."""
        return self.gather(value if self.rank == 0 else None)[0]

    def add(self, tensors: Sequence["Tensor"]) -> None:
        """Put into each tensor the sum of all ranks' ones, in place and in their type."""
        if self.size > 1:
            import torch.distributed as dist

            for flat in _flattened(tensors):
                dist.all_reduce(flat)

    def copy_from_first(self, tensors: Sequence["Tensor"]) -> None:
        """Put the first rank's values into each tensor, in place."""
        if self.size > 1:
            import torch.distributed as dist

            for flat in _flattened(tensors):
                dist.broadcast(flat, src=0)


def world() -> World:
    """The place torch.distributed gives this process; alone when it is not initialised."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        return World(dist.get_rank(), dist.get_world_size())
    return World()


def _device() -> "torch.device":
    """Where the backend wants its tensors."""
    import torch
    import torch.distributed as dist

    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


def _flattened(tensors: Sequence["Tensor"]) -> Iterator["Tensor"]:
    """Flat tensors, each of one type, to be changed in place; afterwards their values are in ``tensors``."""
    import torch

    for bucket in _buckets(tensors):
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in bucket])
        yield flat
        parts = torch.split(flat, [tensor.numel() for tensor in bucket])
        with torch.no_grad():
            for tensor, part in zip(bucket, parts, strict=True):
                tensor.copy_(part.view(tensor.shape))


def _buckets(tensors: Sequence["Tensor"]) -> Iterator[list["Tensor"]]:
    bucket: list[Tensor] = []
    for tensor in tensors:
        is_full = bucket and sum(held.numel() for held in bucket) + tensor.numel() > BUCKET
        if is_full or (bucket and bucket[0].dtype != tensor.dtype):
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket
