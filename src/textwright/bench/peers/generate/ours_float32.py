"""Our decoder for a CPU, with the weights as they are."""

from pathlib import Path
from typing import cast

import torch

from textwright.bench.writing_job import Ids, Write, WritingJob
from textwright.checkpoint.model_folder import load_model
from textwright.engines.config import DecodingPrecision
from textwright.engines.cpu.decoder import CPUDecoder
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
    def decode(prompts: Ids, num_tokens: int) -> Ids:
        count, longest = len(prompts), max(map(len, prompts))
        cache, every, one = decoder.empty_cache(count), list(range(count)), [1] * count
        ids = torch.tensor([[*ids, *[0] * (longest - len(ids))] for ids in prompts], device=decoder.device)
        hidden = decoder.extend(ids, [len(ids) for ids in prompts], cache, every)
        last = hidden[torch.arange(count), torch.tensor([len(ids) - 1 for ids in prompts])]
        steps = [decoder.logits(last).float().argmax(dim=1)]
        while len(steps) < num_tokens:
            hidden = decoder.extend(steps[-1][:, None], one, cache, every)
            steps.append(decoder.logits(hidden[:, 0]).float().argmax(dim=1))
        found: Ids = torch.stack(steps, dim=1).tolist()
        return found

    return lambda prompts, num_tokens: decoder.run(lambda: decode(prompts, num_tokens))
