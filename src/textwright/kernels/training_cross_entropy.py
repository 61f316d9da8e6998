"""Cross-entropy and its gradient from logits, for training on a CPU in float32.

::

    loss = weight (log sum exp z - z[target])        dz = weight (softmax(z) - one_hot(target))        z: a position's

The gradient takes the logits' place. A position's stay in the cache between the three times that they are needed, so
memory is read once and written once. Threads take positions as they come to them.
"""

import math

import numpy as np

from textwright.kernels.exponential import exponential
from textwright.kernels.numba_intrinsics import (
    Floats,
    atomic_add,
    check_address,
    check_index,
    floats,
    ints,
    jit,
    jit_entry,
    record_at,
    row_of,
)
from textwright.kernels.reductions import max_value
from textwright.kernels.training_jobs import CROSS_ENTROPY

TAKEN = CROSS_ENTROPY.fields["taken"][1]  # type: ignore[index]
ZERO, LEAST = np.float32(0), np.float32(-60)
"""What is so far below the largest logit counts as nothing beside its 1; as small a gradient would only slow what is
multiplied with it."""
job_at = record_at(CROSS_ENTROPY)


@jit
def exponentials(z: Floats, most: float) -> float:
    """In place of each number e to its difference from the largest; returns their sum."""
    total = ZERO
    for i in range(len(z)):
        below = z[i] - most
        e = ZERO if below < LEAST else exponential(below)
        # What is no number must show, and the exponential may take it for one.
        e = below if below != below else e
        z[i] = e
        total += e
    return total  # type: ignore[return-value]


@jit
def to_gradient(z: Floats, target: int, weight: float) -> float:
    """In place of a position's logits their gradient; returns the loss."""
    check_index(target, len(z))
    most, right = max_value(z), z[target]
    total = exponentials(z, most)
    factor = weight / total
    for i in range(len(z)):
        z[i] *= factor
    z[target] -= weight
    return weight * (np.float32(math.log(total)) + (most - right))


@jit_entry
def do_job(address: int) -> int:
    """A thread's part of a job: positions, as long as there are some."""
    check_address(address)
    job = job_at(address)
    targets, weights = ints(job.targets, job.positions), floats(job.weights, job.positions)
    losses = floats(job.losses, job.positions)
    while True:
        position = atomic_add(address + TAKEN, 1)
        if position >= job.positions:
            return 0
        logits = row_of(job.logits, position, job.vocabulary)
        losses[position] = to_gradient(logits, targets[position], weights[position])
