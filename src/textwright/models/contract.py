"""What a model, and every decoder made of one, promises: checks that say how far apart two ways to one result end.

A difference is that of the two numbers that are farthest apart, over the largest of what was expected; NaN where a
number is none. ``textwright doctor`` checks them on the device at hand, and the tests for every family.
"""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from textwright.data.batch import Batch
from textwright.models.language_model import LanguageModel
from textwright.models.protocols import Decoder

ROWS, TIME = 3, 12
"""Of the texts that are read."""
SMALL = 1e-3
"""Of the largest gradient: what is smaller in all of a parameter counts as this."""


def random_ids(vocab_size: int, rows: int = ROWS, time: int = TIME, seed: int = 0) -> Tensor:
    """Ids that depend on the seed alone: int64, [rows, time], on the CPU."""
    return torch.randint(0, vocab_size, (rows, time), generator=torch.Generator().manual_seed(seed))


def difference(found: Tensor, expected: Tensor, least: float = 0.0) -> float:
    """How far apart they are.

    Args:
        found: any numbers.
        expected: as many.
        least: what the largest of those expected counts as where it is smaller.
    """
    found, expected = found.double().cpu(), expected.double().cpu()
    return float((found - expected).abs().max() / max(float(expected.abs().max()), least))


@torch.no_grad()
def logits_of(model: LanguageModel, ids: Tensor) -> Tensor:
    """[rows, time, vocabulary], each text read at once."""
    batch = Batch.for_inputs(ids.to(model.device))
    return model.logits(model.hidden_states(model.embed(batch), batch))


def as_float64(model: LanguageModel) -> LanguageModel:
    """A copy on the CPU that computes in float64: what others are held to."""
    return copy.deepcopy(model).cpu().double()


def sees_what_comes(model: LanguageModel) -> float:
    """How much the logits of the first half of a text change with the second half."""
    ids = random_ids(model.vocab_size)
    changed = ids.clone()
    changed[:, TIME // 2 :] = (changed[:, TIME // 2 :] + 1) % model.vocab_size
    one, other = (logits_of(model, given)[:, : TIME // 2] for given in (ids, changed))
    return difference(one, other)


@torch.no_grad()
def differs_in_pieces(decoder: Decoder, expected: Tensor, chunks: Sequence[int] = (5, 1, 6)) -> float:
    """How far the logits of texts that are read in pieces are from those of texts that are read at once.

    Args:
        decoder: reads ``random_ids``.
        expected: their logits.
        chunks: tokens of each piece, ``TIME`` in all.
    """
    ids, cache, found, start = random_ids(decoder.vocab_size).to(decoder.device), decoder.empty_cache(ROWS), [], 0
    for size in chunks:
        hidden = decoder.extend(ids[:, start : start + size], [size] * ROWS, cache, list(range(ROWS)))
        found.append(decoder.logits(hidden).double().cpu())
        start += size
    is_whole = [cache.length(slot) for slot in range(ROWS)] == [TIME] * ROWS
    return difference(torch.cat(found, dim=1), expected) if is_whole else float("nan")


@torch.no_grad()
def differs_in_company(decoder: Decoder, expected: Tensor) -> float:
    """How far the logits of texts that join, fork and leave are from those of each alone.

    Args:
        decoder: reads ``random_ids``.
        expected: their logits.
    """
    ids, cache = random_ids(decoder.vocab_size).to(decoder.device), decoder.empty_cache(ROWS + 1)
    decoder.extend(ids[:2, :6], [6, 2], cache, [3, 0])
    decoder.extend(ids[2:, :4], [4], cache, [1])
    cache.fork(1, 2)
    held = [(1, 2), (2, 4), (2, 4), (0, 6)]  # of each slot: which row, how much of it
    if [cache.length(slot) for slot in range(ROWS + 1)] != [read for _, read in held]:
        return float("nan")
    following = torch.stack([ids[row, read] for row, read in held])[:, None]
    slots = [3, 2, 0]
    hidden = decoder.extend(following[slots], [1] * 3, cache, slots)
    found = [decoder.logits(hidden)[:, 0]]
    wanted = [torch.stack([expected[held[slot]] for slot in slots])]
    cache.crop(3, 0)
    found.append(decoder.logits(decoder.extend(ids[:1, :3], [3], cache, [3]))[0])
    wanted.append(expected[0, :3])
    found.append(decoder.logits(decoder.extend(following[1:2], [1], cache, [1]))[0])
    wanted.append(expected[2, 4:5])
    if decoder.can_crop:
        for slot in range(ROWS + 1):
            cache.crop(slot, 1)
        again = torch.stack([ids[row, 1] for row, _ in held])[:, None]
        found.append(decoder.logits(decoder.extend(again, [1] * (ROWS + 1), cache, list(range(ROWS + 1))))[:, 0])
        wanted.append(torch.stack([expected[row, 1] for row, _ in held]))
    return difference(torch.cat([part.double().cpu() for part in found]), torch.cat([w.double() for w in wanted]))


def learns_otherwise(model: LanguageModel, reference: LanguageModel, rows: int, time: int) -> float:
    """How far the loss and its gradients are from a reference's.

    Args:
        model: in float32.
        reference: the same in float64, on the CPU.
        rows: of the batch that both learn from.
        time: tokens of each.
    """
    ids = random_ids(model.vocab_size, rows, time + 1, seed=1)
    mine, true = Batch.from_ids(ids.to(model.device)), Batch.from_ids(ids)
    hidden = model.hidden_states(model.embed(mine), mine)
    logits = reference.logits(reference.hidden_states(reference.embed(true), true))
    losses = (
        (model, model.loss(hidden, mine.target_ids, mine.loss_weight)),
        (reference, F.cross_entropy(logits.flatten(0, 1), true.target_ids.flatten(), reduction="sum")),
    )
    found = [_gradients(one, loss) for one, loss in losses]
    # Some gradients are zero but for rounding, as those of the biases of keys are.
    least = SMALL * max(float(gradient.abs().max()) for gradient in found[1])
    of_loss = difference(losses[0][1].detach(), losses[1][1].detach())
    return max(of_loss, *(difference(mine, exact, least) for mine, exact in zip(*found, strict=True)))


def _gradients(model: LanguageModel, loss: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(model.parameters())))
