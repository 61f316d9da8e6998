"""From logits to a token: the likeliest, or one drawn with a random number that is handed in."""

import math
from collections.abc import Sequence as Several

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textwright.core.errors import InputError
from textwright.generation.processors.catalog import SamplingPipeline, apply_processors
from textwright.generation.sequence import Sequence
from textwright.generation.token_logprobs import token_logprobs
from textwright.models.protocols import Decoder, SumsLogits


def argmax(logits: Float[Tensor, "rows vocabulary"]) -> Int[Tensor, " rows"]:
    """The token with the greatest logit in each row.

    Raises:
        InputError: the greatest is not a number.
    """
    if logits.device.type == "cpu":  # NumPy's takes a seventh of the time
        ids = torch.from_numpy(logits.numpy().argmax(axis=-1))
        best = logits.gather(-1, ids[..., None])
    else:
        best, ids = logits.max(dim=-1)
    _check_finite(best)
    return ids


def sample_categorical(
    probabilities: Float[Tensor, "rows vocabulary"], uniforms: Several[float]
) -> Int[Tensor, " rows"]:
    """A token of each row, by inverting the cumulative sum of the probabilities::

        0 ───────── a ───────── b ─ c ─── d ─ 1        a uniform number falls on one token's stretch
                        ^ b

    Args:
        probabilities: up to a factor; at least one is above zero.
        uniforms: a number in [0, 1) for each row.

    Raises:
        InputError: a probability is not a number.
    """
    # In float64: 50,000 additions in float32 would cost the rarest tokens their stretch.
    sums = probabilities.double().cumsum(dim=-1)
    totals = sums[:, -1:]
    _check_finite(totals)
    targets = totals * torch.tensor(uniforms, dtype=torch.float64, device=sums.device)[:, None]
    # right: the first sum above the target, so that a token without a stretch is never hit.
    return torch.searchsorted(sums, targets, right=True)[:, 0]


def choose_tokens(
    logits: Float[Tensor, "rows vocabulary"], sequences: Several[Sequence]
) -> tuple[Int[Tensor, " rows"], Float[Tensor, "rows vocabulary"]]:
    """The next token of each sequence, by its own settings; and the logits after its processors."""
    together: dict[SamplingPipeline, list[int]] = {}
    for index, sequence in enumerate(sequences):
        together.setdefault(sequence.pipeline, []).append(index)
    if len(together) == 1:
        return _choose(logits, sequences, sequences[0].pipeline)
    ids, filtered = torch.empty(len(logits), dtype=torch.int64, device=logits.device), torch.empty_like(logits)
    for pipeline, indices in together.items():
        ids[indices], filtered[indices] = _choose(logits[indices], [sequences[index] for index in indices], pipeline)
    return ids, filtered


def _choose(logits: Tensor, sequences: Several[Sequence], pipeline: SamplingPipeline) -> tuple[Tensor, Tensor]:
    filtered = logits
    if pipeline.processors:
        filtered = apply_processors(logits, pipeline.processors, [sequence.history for sequence in sequences])
    if not pipeline.draws:
        return argmax(filtered), filtered
    return sample_categorical(filtered.softmax(dim=-1), [sequence.uniform() for sequence in sequences]), filtered


def append_tokens(
    sequences: Several[Sequence],
    ids: Int[Tensor, " rows"],
    logits: Float[Tensor, "rows vocabulary"],
    filtered: Float[Tensor, "rows vocabulary"],
    decoder: Decoder,
) -> None:
    """Give each sequence its chosen token, with its log-probability as the model saw it and the report asked for.

    Args:
        sequences: one may come several times; what comes after its end is left out.
        ids: chosen.
        logits: as the model saw them.
        filtered: after the processors.
        decoder: made the logits.
    """
    if isinstance(decoder, SumsLogits):
        found = logits.gather(1, ids[:, None])[:, 0] - decoder.log_sums(logits)
    else:
        found = logits.log_softmax(dim=1).gather(1, ids[:, None])[:, 0]
    logprobs = found.tolist()
    reports = {
        index: token_logprobs(logits[index : index + 1], filtered[index : index + 1], ids[index : index + 1], wanted)[0]
        for index, sequence in enumerate(sequences)
        if (wanted := sequence.pipeline.top_logprobs) is not None
    }
    for index, (sequence, token_id) in enumerate(zip(sequences, ids.tolist(), strict=True)):
        if sequence.is_open:
            sequence.append(token_id, logprobs[index], reports.get(index))


def _check_finite(numbers: Tensor) -> None:
    if not all(map(math.isfinite, numbers.flatten().tolist())):
        raise InputError(
            "the model's logits are not finite",
            fix="its weights are damaged, or too large for this precision: try float32",
        )
