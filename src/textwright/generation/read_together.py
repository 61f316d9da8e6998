"""What several clients want read, in as few calls as possible."""

import itertools
from collections.abc import Sequence as Several

import numpy as np
import torch
from torch import Tensor

from textwright.generation.decoding import Read
from textwright.models.protocols import Cache, Decoder, PackedDecoder

MAX_PADDED, FEW_TOKENS = 1.25, 256
"""Prompts are read together where filled up to one length they are at most so many times as long, or few."""


def read_together(decoder: Decoder, cache: Cache, *groups: Several[Read]) -> list[Tensor]:
    """Read into slots, in as few calls as can be; the last hidden states of each read, [num_places, hidden].

    Args:
        decoder: reads. One that has to fill reads up to one length is given those that are about equally long.
        cache: gets them.
        groups: what has much the same length, the steps of texts that run and the prompts of those that begin.
    """
    if isinstance(decoder, PackedDecoder):
        return _extend_packed(decoder, cache, list(itertools.chain.from_iterable(groups)))
    return [hidden for reads in groups for hidden in _read_padded(decoder, cache, reads)]


def _extend_packed(decoder: PackedDecoder, cache: Cache, reads: Several[Read]) -> list[Tensor]:
    if not reads:
        return []
    lengths = [len(read.ids) for read in reads]
    ids = np.fromiter(itertools.chain.from_iterable(read.ids for read in reads), np.int64, sum(lengths))
    num_places = [read.num_places for read in reads]
    hidden = decoder.extend_packed(ids, lengths, cache, [read.slot for read in reads], num_places)
    return list(torch.split(hidden, num_places))


def _read_padded(decoder: Decoder, cache: Cache, reads: Several[Read]) -> list[Tensor]:
    found: list[Tensor] = []
    if len(reads) == 1:
        return _extend(decoder, cache, reads)
    first = 0
    while first < len(reads):
        last, total = first, 0
        while last < len(reads):
            longest = max(len(read.ids) for read in reads[first : last + 1])
            total += len(reads[last].ids)
            if last > first and longest * (last + 1 - first) > max(FEW_TOKENS, MAX_PADDED * total):
                break
            last += 1
        found += _extend(decoder, cache, reads[first:last])
        first = last
    return found


def _extend(decoder: Decoder, cache: Cache, reads: Several[Read]) -> list[Tensor]:
    lengths = [len(read.ids) for read in reads]
    longest = max(lengths)
    ids = torch.tensor(
        [[*read.ids, *[read.ids[0]] * (longest - len(read.ids))] for read in reads], device=decoder.device
    )
    hidden = decoder.extend(ids, lengths, cache, [read.slot for read in reads])
    return [
        hidden[row, length - read.num_places : length]
        for row, (read, length) in enumerate(zip(reads, lengths, strict=True))
    ]
