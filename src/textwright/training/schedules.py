"""The learning rate over a run, as a fraction of its highest value. Torch-free."""

import math
from collections.abc import Sequence


def learning_rate_fraction(
    step: int,
    *,
    steps: int,
    schedule: str,
    warmup_steps: int,
    decay_fraction: float,
    min_lr_ratio: float,
    lengths: Sequence[tuple[int, int]] = (),
) -> float:
    """The fraction (0 to 1) of the highest learning rate for one step.

    ::

        cosine   /--.__            wsd    /--------.
                /      '--.__            /          '.
               warm-up       '-         warm-up       decay

    Args:
        step: the step about to be done, from 0.
        steps: all steps of the run.
        schedule: ``cosine`` or ``wsd`` (warm-up, stable, decay).
        warmup_steps: steps of the rise; the first step already moves.
        decay_fraction: the last part of the steps over which ``wsd`` falls.
        min_lr_ratio: where the fall would end, at step ``steps``.
        lengths: of a run whose number of steps was changed on the way, see ``place_in_schedule``.

    Source: cosine, Loshchilov and Hutter 2017 (arXiv:1608.03983), eq. 5; wsd, Hu et al. 2024 (arXiv:2404.06395), eq. 1.
    """
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    place = place_in_schedule(step, lengths) * steps if lengths else step
    if schedule == "cosine":
        done = max(0.0, place - warmup_steps) / max(1, steps - warmup_steps)
        fall = 0.5 * (1 - math.cos(math.pi * done))
    else:
        assert schedule == "wsd", schedule
        decay_steps = decay_fraction * steps
        fall = max(0.0, place - (steps - decay_steps)) / decay_steps if decay_steps else 0.0
    return 1.0 - (1.0 - min_lr_ratio) * min(1.0, fall)


def place_in_schedule(step: int, lengths: Sequence[tuple[int, int]]) -> float:
    """How much of its schedule, 0 to 1, a run has behind it whose number of steps was changed on the way.

    What is left of the schedule at a change is stretched over the steps that are left then, so that the learning rate
    never jumps and its fall is always whole.

    Args:
        step: the step about to be done.
        lengths: (from this step on, the run was to end at this one), in order; the first begins at 0.
    """
    place = 0.0
    ends = [*(start for start, _ in lengths[1:]), step]
    for (start, num_steps), end in zip(lengths, ends, strict=True):
        place += (1.0 - place) * (min(end, num_steps) - start) / max(1, num_steps - start)
    return place
