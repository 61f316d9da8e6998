"""GELU in its tanh form, and its gradient, for training on a CPU in float32.

::

    z = 2 sqrt(2 / pi) (x + 0.044715 x^3)        p = 1 / (1 + exp(-z)), which is (1 + tanh(z / 2)) / 2
    forward   out = x p                          backward   grad = grad_out (p + x p (1 - p) dz/dx)

Source: Hendrycks and Gimpel 2016 (arXiv:1606.08415). Threads take pieces of the numbers as they come to them.
"""

import math

import numpy as np

from textwright.kernels.exponential import exponential
from textwright.kernels.numba_intrinsics import (
    Floats,
    atomic_add,
    check_address,
    float_at,
    floats,
    jit,
    jit_entry,
    record_at,
)
from textwright.kernels.training_jobs import GELU

TAKEN = GELU.fields["taken"][1]  # type: ignore[index]
PIECE = 4096
"""Numbers that a thread takes at once."""
FLAT = np.float32(8)
"""From here on the slope is 1, and below its negative 0, but for 1e-19."""
ONE, FACTOR, CUBIC = np.float32(1), np.float32(2 * math.sqrt(2 / math.pi)), np.float32(0.044715)
job_at = record_at(GELU)


@jit
def forward(x: Floats, out: Floats) -> None:
    """GELU of some numbers."""
    for i in range(len(out)):
        v = x[i]
        out[i] = v / (ONE + exponential(-FACTOR * (v + CUBIC * v * v * v)))


@jit
def backward(x: Floats, grad_out: Floats, out: Floats) -> None:
    """The gradient of some numbers, given that of what came out."""
    for i in range(len(out)):
        v = max(min(x[i], FLAT), -FLAT)
        square = v * v
        e = exponential(-FACTOR * v * (ONE + CUBIC * square))
        p = ONE / (ONE + e)
        slope = FACTOR * (ONE + np.float32(3) * CUBIC * square)
        out[i] = grad_out[i] * (p + v * slope * e * p * p)  # 1 - p is e p, which loses no digits


@jit_entry
def do_job(address: int) -> int:
    """A thread's part of a job: pieces, as long as there are some."""
    check_address(address)
    job = job_at(address)
    while True:
        first = PIECE * atomic_add(address + TAKEN, 1)
        if first >= job.count:
            return 0
        count = min(PIECE, job.count - first)
        x, out = floats(float_at(job.x, first), count), floats(float_at(job.out, first), count)
        if job.is_backward:
            backward(x, floats(float_at(job.grad_out, first), count), out)
        else:
            forward(x, out)
