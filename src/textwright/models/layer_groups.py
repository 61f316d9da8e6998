"""The parts of a network that are trained or frozen as one, from the bottom up, as plain values. Torch-free."""

from collections.abc import Container, Iterable, Sequence
from typing import Literal, NamedTuple

GroupKind = Literal["embedding", "block", "final_norm", "head"]


class LayerGroup(NamedTuple):
    """A part of a network: its embeddings, one of its blocks, its final norm, or a head of its own."""

    name: str
    """As people call it: ``block 3``."""
    kind: GroupKind
    """What it is, by which callers tell the parts of any family."""
    prefixes: tuple[str, ...]
    """What the names of its weights begin with: ``blocks.3.``. At least one weight begins with each."""
    weights: tuple[str, ...]
    """The names of its weights, as the network has them."""


def lowest_trained(groups: Sequence[LayerGroup], trained: Container[str]) -> int:
    """The place of the lowest part of which a weight is trained; their number where none is.

    Args:
        groups: of a network, from the bottom up.
        trained: the names of weights that are.
    """
    places = (place for place, group in enumerate(groups) if any(weight in trained for weight in group.weights))
    return next(places, len(groups))


def group_layers(
    parts: Iterable[tuple[str, GroupKind, tuple[str, ...]]], weights: Iterable[str]
) -> tuple[LayerGroup, ...]:
    """Sort a network's weights into its parts.

    Args:
        parts: the name, the kind and the prefixes of each, from the bottom up. What has no weight is left out.
        weights: the names of all weights.

    Raises:
        ValueError: a weight is in no part, or in several.
    """
    names = list(weights)
    found = []
    for name, kind, prefixes in parts:
        used = tuple(prefix for prefix in prefixes if any(weight.startswith(prefix) for weight in names))
        if used:
            found.append(LayerGroup(name, kind, used, tuple(weight for weight in names if weight.startswith(used))))
    in_groups = sorted(weight for group in found for weight in group.weights)
    if in_groups != sorted(names):
        amiss = sorted(set(in_groups) ^ set(names)) or [one for one in names if in_groups.count(one) > 1]
        raise ValueError(f"not in exactly one part of the network: {', '.join(amiss)}")
    return tuple(found)
