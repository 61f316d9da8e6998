"""Hugging Face's GPT-2 and AdamW as its Trainer runs them, with nothing chosen."""

from collections.abc import Callable
from typing import Any

import torch

from textwright.bench.job import VOCABULARY, Job

SETTINGS = "GPT2LMHeadModel, float32, fused AdamW, clipping at 1.0: Trainer's defaults"


def prepare(job: Job) -> Callable[[], None]:
    """One step: forward, backward, clip, update."""
    model = make_model(job)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.1, fused=True)

    def step() -> None:
        ids = job.batch()[:, :-1]
        model(input_ids=ids, labels=ids).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        model.zero_grad()

    return step


def make_model(job: Job) -> Any:
    """The model in training, without dropout, as ours is."""
    from transformers import GPT2Config, GPT2LMHeadModel

    size = job.model
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=size.hidden_size,
        n_layer=size.num_layers,
        n_head=size.num_heads,
        n_positions=max(1024, job.sequence_length),
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )
    config.loss_type = "ForCausalLM"
    return GPT2LMHeadModel(config).train().to(job.device)
