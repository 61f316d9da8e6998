"""Ours: ``generate`` and ``score`` with the CPU's kernels, or with the torch model itself."""

from collections.abc import Sequence
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, Literal, cast

from promises.job import FEW, NUM_BEAMS, PENALTY, SEED, TEMPERATURE, TOP_K, Ids, Job, outcome, same, what_is_counted

PACKAGES = ("torch", "numba", "pydantic")
PRECISIONS = ("float32", "bfloat16", "int8", "torch")
BATCHES = True


def version() -> str:
    """Of the package."""
    return f"textwright {version_of('textwright')}, torch {version_of('torch')}"


def prepare(job: Job, precision: Literal["float32", "bfloat16", "int8", "torch"]) -> "Textwright":
    """Load the model."""
    return Textwright(job, precision)


class Textwright:
    """A model with its tokenizer, of which decoders are made."""

    def __init__(self, job: Job, precision: Literal["float32", "bfloat16", "int8", "torch"]) -> None:
        from textwright.checkpoint.model_folder import load_folder

        self.job, self.precision = job, precision
        self.model, self.tokenizer = load_folder(Path(job.model))
        self.model.eval()
        self.decoder = self._decoder(self.model, 2)

    def _decoder(self, model: Any, threads: int) -> Any:
        import torch

        from textwright.engines.cpu.decoder import CPUDecoder

        torch.set_num_threads(threads)
        return model if self.precision == "torch" else CPUDecoder(model, self.precision, num_threads=threads)

    def _completions(self, prompts: Ids, *, decoder: Any = None, speculation: Any = None, **sampling: Any) -> list[Any]:
        from textwright.generation.generate import generate
        from textwright.generation.request import Request, SamplingConfig

        usual = {"temperature": 0, "max_new_tokens": self.job.new_tokens}
        config = SamplingConfig(**cast("dict[str, Any]", usual | sampling))
        requests = [Request(prompt, config) for prompt in prompts]
        return generate(decoder or self.decoder, self.tokenizer, requests, config, speculation=speculation)

    def _write(self, prompts: Ids, **settings: Any) -> Ids:
        return [self.job.before_end(one.token_ids) for one in self._completions(prompts, **settings)]

    def write(self, prompts: Ids, *, together: bool, threads: int = 2, seed: int | None = None) -> Ids:
        """See ``worker.Program``."""
        decoder = self.decoder if threads == 2 else self._decoder(self.model, threads)
        drawing = {} if seed is None else {"temperature": 1.0, "seed": seed}
        groups = [prompts] if together else [[prompt] for prompt in prompts]
        written = [ids for group in groups for ids in self._write(group, decoder=decoder, **drawing)]
        self._set_threads(2)
        return written

    def _set_threads(self, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)

    def with_draft(self, prompts: Ids) -> Ids:
        """A draft model."""
        from textwright.checkpoint.model_folder import load_model
        from textwright.generation.speculative import ModelDrafter

        draft = self._decoder(load_model(Path(self.job.draft)).eval(), 2)
        return self._guessed(prompts, ModelDrafter(draft, self.tokenizer.vocab_size))

    def with_lookup(self, prompts: Ids) -> Ids:
        """Prompt lookup."""
        from textwright.generation.speculative import PromptLookup

        return self._guessed(prompts, PromptLookup())

    def _guessed(self, prompts: Ids, drafter: Any) -> Ids:
        from textwright.generation.speculative import Speculation

        speculation = Speculation(drafter)
        written = [self._write([prompt], speculation=speculation)[0] for prompt in prompts]
        assert speculation.accepted, "no guess was accepted, so nothing was tried"
        return written

    def beams(self) -> dict[str, list[Ids]]:
        """The best texts of every prompt, with ends that are rare and with ends that are not."""
        return {"rare": self._beams([]), "frequent": self._beams(self.job.end_ids)}

    def _beams(self, ends: Sequence[int]) -> list[Ids]:
        settings = {"num_beams": NUM_BEAMS, "n": NUM_BEAMS, "max_new_tokens": self.job.beam_new_tokens}
        found = []
        for prompt in self.job.prompts[:FEW]:
            best = self._completions([prompt], **settings, stop_token_ids=tuple(ends))
            found.append([self.job.before_end(one.token_ids, *ends) for one in best])
        return found

    def stop(self) -> str:
        """``stop``."""
        ones = [self._completions([prompt], stop=(stop,))[0] for prompt, stop, _ in self.job.stops]
        found = same([one.stop_reason for one in ones], [stop for _, stop, _ in self.job.stops])
        return f"found {found}, cut {same([one.text for one in ones], [before for _, _, before in self.job.stops])}"

    def logprobs(self) -> dict[str, Any]:
        """``top_logprobs``: the model's; ``filtered_p`` stands beside it."""
        import math

        found: dict[str, Any] = {"prompts": [], "ids": [], "reported": [], "beside": "what it was drawn with"}
        for prompt in self.job.prompts[:4]:
            (one,) = self._completions([prompt], temperature=TEMPERATURE, top_k=TOP_K, seed=SEED, top_logprobs=0)
            found["prompts"].append(prompt)
            found["ids"].append(list(one.token_ids))
            found["reported"].append([math.log(report.p) for report in one.reports])
        return found

    def penalty(self) -> str:
        """``repetition_penalty``."""
        prompts = [ids for ids, _ in self.job.repeating]
        first = [ids[0] for ids in self._write(prompts, repetition_penalty=PENALTY, max_new_tokens=1)]
        return what_is_counted(self.job, first, self._write(prompts), self._write(prompts, repetition_penalty=PENALTY))

    def seed(self) -> str:
        """``seed``."""
        runs = [self.write(self.job.prompts[:FEW], together=False, seed=SEED) for _ in range(2)]
        return same(*runs)

    def long_prompt(self) -> str:
        """A prompt that is longer than the context."""
        (one,) = self._completions([self.job.long_text], max_new_tokens=8)
        return f"{one.num_tokens} tokens written, context_shifted={one.context_shifted}"

    def long_text(self) -> str:
        """A prompt that leaves room for fewer tokens than are asked for."""
        (one,) = self._completions([self.job.long_text[: self.job.context - 4]], max_new_tokens=16)
        return f"{one.num_tokens} of 16 tokens written, context_shifted={one.context_shifted}"

    def long_score(self) -> str:
        """``score``: of a text that fits the context, and of one that does not."""
        from textwright.generation.scoring import ScoredText, score

        said = []
        for ids in (self.job.long_text[: self.job.context], self.job.long_text):
            try:
                (found,) = score(self.decoder, [ScoredText(ids)])
                said.append(f"{len(found.logprobs):,} of {len(ids) - 1:,}")
            except Exception as error:
                said.append(outcome(error))
        return "; ".join(said)
