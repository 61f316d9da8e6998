"""Hugging Face's generate with nothing chosen."""

from typing import Any

import torch

from textwright.bench.writing_job import Ids, Write, WritingJob

SETTINGS = "GPT2LMHeadModel.generate, float32, greedy: its defaults"
PACKAGES = ("transformers",)


def prepare(job: WritingJob) -> Write:
    """Greedy decoding as ``generate`` does it."""
    return by_generate(load(job, torch.float32))


def load(job: WritingJob, dtype: torch.dtype) -> Any:
    """The model in evaluation mode."""
    from transformers import GPT2LMHeadModel

    torch.set_num_threads(job.threads)
    return GPT2LMHeadModel.from_pretrained(job.folder, dtype=dtype).eval()


def by_generate(model: Any, **settings: Any) -> Write:
    """``generate`` with settings beside those that make it greedy."""

    def write(prompts: Ids, num_tokens: int) -> Ids:
        ids = torch.tensor(prompts, device=model.device)
        found = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=num_tokens,
            do_sample=False,
            pad_token_id=0,
            **settings,
        )
        written: Ids = found[:, ids.shape[1] :].tolist()
        return written

    return write
