"""Between PEFT's matrices and our products of low rank: what they are called, and which rows of ours they are.

::

    GPT-2   transformer.h.0.attn.c_attn    is   blocks.0.attention.qkv, whole
    Qwen3   model.layers.0.self_attn.q_proj     blocks.0.attention.qkv, query

    query and value of GPT-2, each with an A and a B of its own, are one pair there:

        A  |A query|        B  |B query     0   |
           |A value|           |   0        0   |
                               |   0     B value|

    and one pair for queries, keys and values is three pairs of Qwen3, that share their A.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from itertools import chain
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from textwright.models.catalog import adapter_of
from textwright.models.layers.low_rank import LowRank, lora_layers
from textwright.models.lora import Rows, adaptable_rows
from textwright.models.network import Network


class Pair(NamedTuple):
    """A product of low rank as PEFT has it: scale x B A is added to a matrix, [out, in]."""

    a: Float[Tensor, "rank in"]
    b: Float[Tensor, "out rank"]
    alpha: float
    """The scale is this over the rank, or over its square root."""


def foreign_modules(network: Network) -> dict[str, Rows]:
    """What PEFT can adapt of a network, by the names of modules in transformers, and which rows of ours that is."""
    adapter, found = adapter_of(network.config), dict[str, Rows]()
    by_layer: dict[str, list[Rows]] = {}
    for rows in chain.from_iterable(adaptable_rows(network).values()):
        by_layer.setdefault(rows.layer, []).append(rows)
    for layer, (whole, *parts) in by_layer.items():
        shape = network.get_parameter(f"{layer}.weight").shape
        names = adapter.to_hf({f"{layer}.weight": torch.empty(1, 1).expand(shape)}, network.config)
        assert len(names) in (1, len(parts)), names
        modules = [name.removesuffix(".weight") for name in names]
        found |= zip(modules, [whole] if len(names) == 1 else parts, strict=True)
    return found


def to_pairs(network: Network) -> dict[str, Pair]:
    """A network's products as PEFT has them, by the names of its modules."""
    layers, found = dict(lora_layers(network)), dict[str, Pair]()
    for module, rows in foreign_modules(network).items():
        if rows.layer in layers:
            products = [one for one in layers[rows.layer].low_rank() if one.start < rows.stop and rows.start < one.stop]
            if products:
                found[module] = _joined(products, rows)
    return found


def _joined(products: list[LowRank], rows: Rows) -> Pair:
    """Products as one, of these rows."""
    first = products[0]
    if len(products) == 1 and (first.start, first.stop) == (rows.start, rows.stop):
        return Pair(first.lora_a.detach(), first.lora_b.detach(), first.alpha)
    a = torch.cat([one.lora_a.detach() for one in products])
    b, column = a.new_zeros(rows.stop - rows.start, len(a)), 0
    for one in products:
        start, stop = max(one.start, rows.start), min(one.stop, rows.stop)
        part = one.lora_b.detach()[start - one.start : stop - one.start]
        b[start - rows.start : stop - rows.start, column : column + one.rank] = part * (one.scale / first.scale)
        column += one.rank
    return Pair(a, b, first.alpha * len(a) / first.rank if not first.rank_stabilised else first.scale * len(a) ** 0.5)


def peft_values(pairs: Mapping[str, Pair], modules: Collection[str]) -> dict[str, Any]:
    """What an ``adapter_config.json`` says of ranks, and of what is adapted.

    Args:
        pairs: by the names of modules.
        modules: all that could have been adapted.
    """
    shapes = {name: (len(pair.a), pair.alpha) for name, pair in pairs.items()}
    ((rank, alpha), _), *_ = Counter(shapes.values()).most_common()
    ranks: dict[str, int] = {}
    alphas: dict[str, float] = {}
    for other in sorted(set(shapes.values()) - {(rank, alpha)}):
        for name in _shortest({name for name, shape in shapes.items() if shape == other}, pairs):
            ranks |= {name: other[0]} if other[0] != rank else {}
            alphas |= {name: _plain(other[1])} if other[1] != alpha else {}
    return {
        "r": rank,
        "lora_alpha": _plain(alpha),
        "target_modules": _shortest(pairs, modules),
        "rank_pattern": ranks,
        "alpha_pattern": alphas,
    }


def ends_with(module: str, name: str) -> bool:
    """Whether a module is meant by a name: by all of its own, or by its last words."""
    return module == name or module.endswith(f".{name}")


def _shortest(chosen: Collection[str], modules: Collection[str]) -> list[str]:
    """The shortest ends of names by which PEFT finds the chosen ones of all modules, and no other."""
    found = set[str]()
    for module in chosen:
        words = module.split(".")
        ends = (".".join(words[-length:]) for length in range(1, len(words) + 1))
        found.add(next(end for end in ends if all(one in chosen for one in modules if ends_with(one, end))))
    return sorted(found)


def _plain(number: float) -> float:
    """PEFT's own alphas are whole numbers."""
    return int(number) if number == int(number) else number
