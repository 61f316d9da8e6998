"""Who we are among the processes that train together."""

from dataclasses import dataclass


@dataclass(frozen=True)
class World:
    """This process's place: ``rank`` of ``size``."""

    rank: int = 0
    size: int = 1


def world() -> World:
    """The place torch.distributed gives this process; alone when it is not initialised."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        return World(dist.get_rank(), dist.get_world_size())
    return World()
