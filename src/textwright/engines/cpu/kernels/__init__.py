"""Compiled code for decoding on a CPU."""

COMPILING = (
    "preparing the kernels for this processor, once: a quarter of a minute, on older processors up to three minutes"
)


def are_compiled() -> bool:
    """Whether they are in the cache."""
    from textwright.engines.cpu.kernels.thread_pool import do_jobs

    return do_jobs.is_kept
