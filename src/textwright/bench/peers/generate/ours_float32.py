"""Our decoder for a CPU, with the weights as they are."""

from pathlib import Path
from typing import cast

import torch

from textwright.bench.writing_job import Ids, Write, WritingJob
from textwright.checkpoint.model_folder import load_model
from textwright.generation.cpu_decoder import CPUDecoder
from textwright.generation.loop import decode_one_token, prefill
from textwright.generation.request import DecodingPrecision
from textwright.models.gpt.network import GPT
from textwright.models.protocols import Decoder

SETTINGS = "CPUDecoder, float32"
PACKAGES = ()


def prepare(job: WritingJob, precision: DecodingPrecision = "float32") -> Write:
    """The steps of ``generate`` that compute: read the prompts, then one token a row, again and again."""
    torch.set_num_threads(job.threads)
    model = cast(GPT, load_model(Path(job.folder)).eval())
    return by_decoder(CPUDecoder(model, precision, num_threads=job.threads))


def by_decoder(decoder: Decoder) -> Write:
    """Greedy decoding by any decoder."""

    @torch.inference_mode()
    def write(prompts: Ids, num_tokens: int) -> Ids:
        with decoder.at_work():
            logits, state = prefill(decoder, prompts)
            steps = [logits.argmax(dim=1).tolist()]
            while len(steps) < num_tokens:
                logits, state = decode_one_token(decoder, steps[-1], state)
                steps.append(logits.argmax(dim=1).tolist())
        return [list(row) for row in zip(*steps, strict=True)]

    return write
