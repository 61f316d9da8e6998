"""The gradients of products of low rank by a kernel of our own, for training on a CPU in float32."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from textwright.kernels.torch_threads import TrainingKernel, suit
from textwright.kernels.training_jobs import LOW_RANK, LOW_RANK_BLOCK, LOW_RANK_WORK

KERNEL = TrainingKernel("textwright.kernels.training_low_rank", LOW_RANK)

WIDTHS, RANK = 32, 8
"""What comes in and goes out has a multiple of so many numbers; of a higher rank torch's own products are as fast."""
LEAST = 1 << 20
"""Numbers that come in and go out: of fewer torch's own are as fast, as they take less to call."""


def suits(grad_out: Tensor, x: Tensor, rank: int) -> bool:
    """Whether the kernel is the faster for such gradients."""
    is_whole = x.shape[-1] % WIDTHS == 0 == grad_out.shape[-1] % WIDTHS
    return rank <= RANK and is_whole and x.numel() + grad_out.numel() >= LEAST and suit(x)


def low_rank_gradients(
    grad_out: Float[Tensor, "tokens out"],
    x: Float[Tensor, "tokens in"],
    a: Float[Tensor, "rank in"],
    b: Float[Tensor, "out rank"],
) -> tuple[Float[Tensor, "rank in"], Float[Tensor, "out rank"]]:
    """(grad_out B)' x, and grad_out' (x A').

    Args:
        grad_out: of x A' B', float32, on a CPU.
        x: float32.
        a: float32.
        b: float32.
    """
    # An operator's first call loads torch's compiler, which takes a second or two.
    of_a, of_b = (_gradients if torch.compiler.is_compiling() else _compute)(grad_out, x, a, b)
    return of_a[: len(a)], of_b[: len(a)].T


def _compute(grad_out: Tensor, x: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Of A and of B', [8, in] and [8, out]."""
    (rank, ins), outs = a.shape, len(b)
    grad_out, x = grad_out.contiguous(), x.contiguous()
    a, b = (F.pad(matrix, (0, 0, 0, RANK - rank)).contiguous() for matrix in (a, b.T))
    num_threads = max(1, min(torch.get_num_threads(), len(x) // LOW_RANK_BLOCK))
    sums = x.new_empty(num_threads, RANK * (ins + outs))
    work = x.new_empty(num_threads * LOW_RANK_WORK)
    told = {"shares": num_threads, "tokens": len(x), "ins": ins, "outs": outs}
    tensors = {"x": x, "grad_out": grad_out, "a": a, "b": b, "sums": sums, "work": work}
    told |= {name: tensor.data_ptr() for name, tensor in tensors.items()}
    KERNEL.do(told, num_threads)
    total = sums.sum(0)
    return total[: RANK * ins].view(RANK, ins), total[RANK * ins :].clone().view(RANK, outs)


# An operator of its own is one node to torch.compile.
_gradients = torch.library.custom_op("textwright::low_rank_gradients", _compute, mutates_args=())


@_gradients.register_fake
def _shapes(grad_out: Tensor, x: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG001
    return x.new_empty(RANK, a.shape[1]), x.new_empty(RANK, len(b))
