"""Our decoder for a CPU, with its matrices in bfloat16."""

from textwright.bench.peers.generate import ours_float32
from textwright.bench.writing_job import Write, WritingJob

SETTINGS = "CPUDecoder, bfloat16"
PACKAGES = ()


def prepare(job: WritingJob) -> Write:
    """The steps of ``generate`` that compute."""
    return ours_float32.prepare(job, "bfloat16")
