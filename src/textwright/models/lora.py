"""Adapters of low rank (LoRA): added to a network in place, and folded into its matrices again.

::

    add_lora      blocks.0.attention.qkv.weight  stays as it is, under its name, and beside it are
                  blocks.0.attention.qkv.lora.query.lora_a  and  ....lora_b
    merge_lora    blocks.0.attention.qkv.weight  is the sum, and the others are gone

Source: Hu et al. 2021 (arXiv:2106.09685).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from textwright.core.errors import InputError, unknown_name
from textwright.core.seeds import hash_u64
from textwright.models.layers.low_rank import LoraLinear, LowRank, lora_layers
from textwright.models.layers.low_rank import lora_state as lora_state
from textwright.models.lora_config import ALL
from textwright.models.lora_config import LoraConfig as LoraConfig
from textwright.models.network import Network

PARTS = {"qkv": ("query", "key", "value")}
"""What the matrices are called that are stacked in a layer, by the last part of its name."""
WHOLE = "whole"
"""And what all of a matrix is called within its layer."""


class Rows(NamedTuple):
    """Rows of a layer's matrix."""

    layer: str
    """The layer's name, such as ``blocks.0.attention.qkv``."""
    part: str
    """``whole``, or which of the matrices that are stacked in it: ``query``."""
    start: int
    stop: int

    @property
    def target(self) -> str:
        """What a ``LoraConfig`` calls them."""
        return self.layer.rpartition(".")[2] if self.part == WHOLE else self.part


def add_lora(network: Network, config: LoraConfig, seed: int = 0) -> list[str]:
    """Add products of low rank to a network, in place. What it computes stays the same until they are trained.

    Args:
        network: without any yet.
        config: how, and to what.
        seed: of the A matrices.

    Returns:
        The names of the new weights. That only these are trained is a parameter plan: see ``training.strategies``.

    Raises:
        InputError: a target that the network does not have, the same matrix meant twice, or the network has some.
    """
    meant = check_targets(network, config)
    generator = torch.Generator().manual_seed(hash_u64("lora", seed) % 2**63)
    values = config.model_dump(include={"rank", "alpha", "rank_stabilised", "dropout"})
    for rows in meant:
        pair = add_low_rank(network, rows, **values)
        pair.init_weights(generator)
        pair.to(network.device)
    return list(lora_state(network))


def check_targets(network: Network, config: LoraConfig) -> list[Rows]:
    """The rows of layers that would get a product, in a network that is not changed.

    Raises:
        InputError: as ``add_lora``.
    """
    meant = _rows_meant(network, config.targets)
    check_has_no_lora(network)
    return meant


def add_low_rank(
    network: Network, rows: Rows, *, rank: int, alpha: float, rank_stabilised: bool, dropout: float
) -> LowRank:
    """Add one product of zeros, on the CPU, to rows of a layer of a network.

    Args:
        network: changed in place.
        rows: which.
        rank: see ``LoraConfig``.
        alpha: likewise.
        rank_stabilised: likewise.
        dropout: likewise; all products of a layer have that of the first.
    """
    layer = network.get_submodule(rows.layer)
    if not isinstance(layer, LoraLinear):
        assert isinstance(layer, nn.Linear), rows.layer
        layer = LoraLinear(layer, dropout)
        _put(network, rows.layer, layer)
    pair = LowRank(layer.in_features, rows.start, rows.stop, rank=rank, alpha=alpha, rank_stabilised=rank_stabilised)
    layer.lora[rows.part] = pair
    return pair


def merge_lora(network: Network) -> None:
    """Fold all products into the matrices that they are added to, in place: the network is a plain one again.

    It computes the same, but for rounding. One without any stays as it is.
    """
    for name, layer in list(lora_layers(network)):
        _put(network, name, layer.merged())


def check_has_no_lora(network: Network) -> None:
    """See that a network is a plain one.

    Raises:
        InputError: it has products of low rank already.
    """
    found = next(lora_layers(network), None)
    if found is not None:
        raise InputError(f"the network has an adapter already, at {found[0]}", fix="fold it in first: merge_lora")


def adaptable_rows(network: Network) -> dict[str, list[Rows]]:
    """What can be adapted in a network, by the names of targets: the matrices between hidden states.

    The whole of a layer's matrix is called as the layer is; matrices stacked in one have names of their own.
    """
    found: dict[str, list[Rows]] = {}
    for weight, splits in network.hidden_matrices().items():
        layer = weight.removesuffix(".weight")
        in_layer, start = [Rows(layer, WHOLE, 0, sum(splits))], 0
        parts = PARTS.get(in_layer[0].target, ())
        for part, size in zip(parts, splits, strict=True) if len(parts) == len(splits) else ():
            in_layer.append(Rows(layer, part, start, start + size))
            start += size
        for rows in in_layer:
            found.setdefault(rows.target, []).append(rows)
    return found


def _rows_meant(network: Network, targets: Sequence[str]) -> list[Rows]:
    """The rows that targets name."""
    known = adaptable_rows(network)
    if not known:
        family = network.config.family
        raise InputError(f"an adapter for a {family} model", expected="one with linear layers between hidden states")
    for target in targets:
        if target != ALL and target not in known:
            raise unknown_name("target", target, [*known, ALL])
    parts = {part for names in PARTS.values() for part in names}
    wanted = [name for name in known if name in targets or (ALL in targets and name not in parts)]
    for whole, names in PARTS.items():
        twice = [name for name in names if name in wanted and whole in wanted]
        if twice:
            raise InputError(
                f"the targets {' '.join(targets)}: {twice[0]} is a part of {whole}",
                expected="each matrix once",
                fix=f"leave {twice[0]} out",
            )
    return [rows for name in wanted for rows in known[name]]


def _put(network: Network, name: str, layer: nn.Linear) -> None:
    """Let a network have a layer in the place of the one that has this name."""
    parent, _, last = name.rpartition(".")
    network.get_submodule(parent).register_module(last, layer)
