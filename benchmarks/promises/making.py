"""The model, its tokenizer and the prompts that all programs are given: small, and always the same."""

import random
from pathlib import Path

import torch

from promises.job import PENALTY, Ids, Job
from textwright.checkpoint.model_folder import save_model
from textwright.data.batch import Batch
from textwright.models.catalog import build
from textwright.models.gpt.config import GPTConfig
from textwright.models.gpt.network import GPT
from textwright.tokens import Tokenizer
from textwright.tokens.make import make_tokenizer

CONTEXT = 1280
"""Beyond 1,024, which one program cuts at; and a multiple of 256, which another one rounds up to."""
NUM_PROMPTS, NEW_TOKENS, BEAM_NEW_TOKENS = 32, 32, 12
NUM_STOPS, NUM_REPEATING = 8, 8
DRAFT_NOISE = 0.1
"""Of the standard deviation of each of the draft model's weights."""


def make_job(folder: Path) -> Job:
    """Write both models, and choose the prompts.

    Args:
        folder: there already, and empty.
    """
    torch.manual_seed(0)
    generator = random.Random(0)
    tokenizer = make_tokenizer("bpe:1024", lambda: iter([_made_up_text(random.Random(1))]))
    # Wide enough that a model without training writes texts that differ, and not one word again and again.
    config = GPTConfig(
        vocab_size=tokenizer.vocab_size,
        context_length=CONTEXT,
        num_layers=3,
        num_heads=4,
        hidden_size=128,
        init_std=0.1,
        embedding_std=0.3,
        tie_embeddings=False,
    )
    model = build(config)
    assert isinstance(model, GPT)
    model.eval()
    save_model(model, tokenizer, folder / "model")

    def texts(count: int, length: int = 0) -> Ids:
        lengths = [length or generator.randint(8, 40) for _ in range(count)]
        return [[generator.randrange(tokenizer.vocab_size - 1) for _ in range(length)] for length in lengths]

    prompts = texts(NUM_PROMPTS)
    job = Job(
        model=str(folder / "model"),
        draft=str(folder / "draft"),
        context=CONTEXT,
        eos_id=tokenizer.end_id,
        new_tokens=NEW_TOKENS,
        prompts=prompts,
        stops=_find_stops(model, tokenizer, prompts),
        repeating=_find_repeating(model, texts(1024, length=32)),
        beam_new_tokens=BEAM_NEW_TOKENS,
        end_ids=sorted(generator.sample(range(tokenizer.vocab_size - 1), tokenizer.vocab_size // 10)),
        long_text=tokenizer.encode(_made_up_text(generator))[: CONTEXT + 20],
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter += DRAFT_NOISE * parameter.std() * torch.randn(parameter.shape)
    save_model(model, tokenizer, folder / "draft")
    return job


def _made_up_text(generator: random.Random) -> str:
    syllables = [consonant + vowel for consonant in "bdfghklmnprstvz" for vowel in "aeiou"]
    words = ["".join(generator.choices(syllables, k=generator.randint(1, 3))) for _ in range(600)]
    return " ".join(generator.choices(words, k=30_000))


@torch.inference_mode()
def last_logits(model: GPT, ids: Ids) -> torch.Tensor:
    """The logits after texts of one length, by torch in float32, [texts, vocabulary]."""
    batch = Batch.for_inputs(torch.tensor(ids))
    return model.logits(model.hidden_states(model.embed(batch), batch)[:, -1])


def _find_stops(model: GPT, tokenizer: Tokenizer, prompts: Ids) -> list[tuple[list[int], str, str]]:
    """In greedy texts: from within a token to within the next one, where both are of ASCII characters."""
    found = []
    for prompt in prompts:
        ids = list(prompt)
        for _ in range(NEW_TOKENS):
            ids.append(int(last_logits(model, [ids]).argmax()))
        parts = [tokenizer.token_bytes[token_id] for token_id in ids[len(prompt) :]]
        for place in range(4, len(parts) - 1):
            before, both = b"".join(parts[:place]), parts[place] + parts[place + 1]
            stop = both[len(parts[place]) - 2 : len(parts[place]) + 2].decode(errors="replace")
            is_within = min(map(len, parts[place : place + 2])) > 2 and both.isascii()
            text = tokenizer.decode(ids[len(prompt) :])
            expected = tokenizer.decode(ids[len(prompt) : len(prompt) + place]) + parts[place][:-2].decode(
                errors="replace"
            )
            if is_within and before.isascii() and text.index(stop) == len(expected):
                found.append((prompt, stop, expected))
                break
    assert len(found) >= NUM_STOPS, f"{len(found)} texts with a stop text that spans tokens"
    return found[:NUM_STOPS]


def _find_repeating(model: GPT, prompts: Ids) -> list[tuple[list[int], int]]:
    """Prompts that hold the likeliest next token, which the penalty makes another one."""
    found = []
    for prompt, logits in zip(prompts, last_logits(model, prompts), strict=True):
        likeliest = int(logits.argmax())
        seen = torch.tensor(sorted(set(prompt)))
        penalised = logits.clone()
        penalised[seen] = torch.where(logits[seen] < 0, logits[seen] * PENALTY, logits[seen] / PENALTY)
        if likeliest in prompt and int(penalised.argmax()) != likeliest:
            found.append((prompt, likeliest))
    assert len(found) >= NUM_REPEATING, f"{len(found)} prompts that hold their next token"
    return found[:NUM_REPEATING]
