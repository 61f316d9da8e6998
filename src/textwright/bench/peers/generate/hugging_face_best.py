"""The same with the best settings known for it.

A static cache with torch.compile was tried: no difference beyond the noise of a CPU, for 20 s of compiling.
"""

import torch

from textwright.bench.peers.generate.hugging_face import by_generate, load
from textwright.bench.writing_job import Write, WritingJob

SETTINGS = "GPT2LMHeadModel.generate, bfloat16, greedy"
PACKAGES = ("transformers",)


def prepare(job: WritingJob) -> Write:
    """Greedy decoding as ``generate`` does it."""
    return by_generate(load(job, torch.bfloat16))
