"""CTranslate2 in int8."""

from textwright.bench.peers.generate import ctranslate2_float32
from textwright.bench.writing_job import Write, WritingJob

SETTINGS = "Generator.generate_batch, int8, beam_size 1"
PACKAGES = ctranslate2_float32.PACKAGES


def prepare(job: WritingJob) -> Write:
    """Convert, load and write."""
    return ctranslate2_float32.prepare(job, "int8")
