"""What several clients want read, in as few calls as possible."""

from collections.abc import Sequence as Several

import torch
from torch import Tensor

from textwright.generation.decoding import Read
from textwright.models.protocols import Cache, Decoder

MAX_PADDED, FEW_TOKENS = 1.25, 256
"""Prompts are read together where filled up to one length they are at most so many times as long, or few."""


def read_together(decoder: Decoder, cache: Cache, reads: Several[Read]) -> list[Tensor]:
    """Read into slots, in as few calls as padding allows; the last hidden states of each, [num_places, hidden]."""
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
