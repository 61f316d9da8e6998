"""Which build of the kernels this process compiles: the fast one, or one that checks bounds."""

import sys


class KernelBuild:
    """What holds for all kernels of a process; each build has a folder of its own among what is kept compiled."""

    checks_bounds = False


KERNEL_BUILD = KernelBuild()


def check_bounds() -> None:
    """Have kernels check what they are told; called before they are imported.

    An index beyond its array, a token, slot or position that is not there and memory that is not there are an
    IndexError then, and what is written beyond a piece of working memory is found after each job.
    """
    assert "textwright.kernels.numba_intrinsics" not in sys.modules, "the kernels are imported already"
    KERNEL_BUILD.checks_bounds = True
