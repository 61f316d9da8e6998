"""Looking into a model while it runs, and changing what it computes."""

from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

from textwright.core.errors import unknown_name


class Probe:
    """Records or replaces what a model computes at named sites.

    A model lists its sites with ``sites()``: ``embedding``, ``layer.3.attention.pattern``, ``final_norm``, ...
    With a probe the plain reference attention runs, since a fused one never holds its pattern.

    Args:
        record: sites whose tensors are kept in ``recorded``.
        replace: site -> function from the tensor computed there to the one to go on with.
    """

    def __init__(self, record: Iterable[str] = (), replace: Mapping[str, Callable[[Tensor], Tensor]] | None = None):
        self.record = frozenset(record)
        self.replace = dict(replace or {})
        self.recorded: dict[str, Tensor] = {}

    def check(self, sites: Iterable[str]) -> None:
        """Raises InputError for a site that the model does not have, with the nearest one it has."""
        known = set(sites)
        for name in (*self.record, *self.replace):
            if name not in known:
                raise unknown_name("site", name, known)

    def at(self, site: str, value: Tensor) -> Tensor:
        """Called by the model at each site: returns what to go on with."""
        if site in self.replace:
            value = self.replace[site](value)
        if site in self.record:
            self.recorded[site] = value
        return value
