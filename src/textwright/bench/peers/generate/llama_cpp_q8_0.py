"""llama.cpp in Q8_0."""

from textwright.bench.peers.generate import llama_cpp_f32
from textwright.bench.writing_job import Write, WritingJob

SETTINGS = llama_cpp_f32.SETTINGS.replace("F32", "Q8_0")
PACKAGES = llama_cpp_f32.PACKAGES


def prepare(job: WritingJob) -> Write:
    """Write the GGUF file, load it and write."""
    return llama_cpp_f32.prepare(job, "Q8_0")
