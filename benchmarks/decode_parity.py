"""Whether the kernels write what torch would: long greedy texts, each place then looked at by the torch model.

    python benchmarks/decode_parity.py [MODEL] [--prompts 20] [--new-tokens 900] [--json]

Without MODEL, GPT-2's shape with random weights, made so that logits differ by several nats. A text is written by the
kernels in float32, all prompts side by side, and read by torch in one piece; where torch's likeliest token is another
one, the two are as good as tied, or it is an error. Texts are torch's own as long as no place differs.
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import torch

from textwright.bench.writing_job import WritingJob
from textwright.checkpoint.model_folder import load_model
from textwright.core.device import processor_name
from textwright.data.batch import Batch
from textwright.engines.cpu.decoder import CPUDecoder
from textwright.models.gpt.network import GPT

TIED = 1e-3
PROMPT_TOKENS = 64


def main() -> None:
    """Write, read, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--prompts", type=int, default=20)
    parser.add_argument("--new-tokens", type=int, default=900)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        job = WritingJob("gpt2", PROMPT_TOKENS, arguments.new_tokens, (arguments.prompts,), 2, folder)
        if arguments.model is None:
            job.write_weights()
        model = cast(GPT, load_model(Path(arguments.model or folder)).eval())
    if arguments.model is None:
        model.token_embedding.weight.data *= 6
    generator = torch.Generator().manual_seed(0)
    prompts = torch.randint(model.vocab_size, (arguments.prompts, PROMPT_TOKENS), generator=generator)
    found = compare(model, prompts, arguments.new_tokens) | {"processor": processor_name()}
    print(json.dumps(found) if arguments.json else "\n".join(f"{name}: {value}" for name, value in found.items()))


@torch.inference_mode()
def compare(model: GPT, prompts: torch.Tensor, new_tokens: int) -> dict[str, float]:
    """Count the places where torch's likeliest token is another one, tied and not, and the logits' differences."""
    decoder = CPUDecoder(model)
    count, cache = len(prompts), decoder.empty_cache(len(prompts))
    hidden = decoder.extend(prompts, [prompts.shape[1]] * count, cache, range(count))
    logits = decoder.logits(hidden[:, -1])
    ids, ours = [logits.argmax(dim=1)], [logits]
    while len(ids) < new_tokens:
        logits = decoder.logits(decoder.extend(ids[-1][:, None], [1] * count, cache, range(count))[:, 0])
        ids.append(logits.argmax(dim=1))
        ours.append(logits)
    texts, same_texts, places, tied, wrong, largest, spread = torch.stack(ids, dim=1), 0, 0, 0, 0, 0.0, 0.0
    for row, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
        batch = Batch.for_inputs(torch.cat([prompt, text[:-1]])[None])
        hidden = model.hidden_states(model.embed(batch), batch)[0, len(prompt) - 1 :]
        theirs = model.logits(hidden)
        best = theirs.topk(2).values
        differs, is_tied = theirs.argmax(dim=1) != text, best[:, 0] - best[:, 1] <= TIED
        places += len(text)
        tied += int((differs & is_tied).sum())
        wrong += int((differs & ~is_tied).sum())
        same_texts += not bool(differs.any())
        largest = max(
            largest, *(float((step[row] - line).abs().max()) for step, line in zip(ours, theirs, strict=True))
        )
        spread = float(theirs.std())
    return {
        "prompts": len(prompts),
        "places": places,
        "other_token_where_tied": tied,
        "other_token_elsewhere": wrong,
        "same_texts": same_texts,
        "largest_difference_of_logits": largest,
        "spread_of_logits": spread,
    }


if __name__ == "__main__":
    main()
