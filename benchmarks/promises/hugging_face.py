"""transformers' ``generate``, with scaled dot-product attention as is its default."""

from collections.abc import Sequence
from importlib.metadata import version as version_of
from typing import Any

from promises.job import FEW, NUM_BEAMS, PENALTY, SEED, TEMPERATURE, TOP_K, Ids, Job, outcome, same, what_is_counted

PACKAGES = ("torch", "transformers")
PRECISIONS = ("float32", "bfloat16")
BATCHES = True


def version() -> str:
    """Of the packages."""
    return f"transformers {version_of('transformers')}, torch {version_of('torch')}"


def prepare(job: Job, precision: str) -> "HuggingFace":
    """Load the model."""
    return HuggingFace(job, precision)


class HuggingFace:
    """A GPT2LMHeadModel."""

    def __init__(self, job: Job, precision: str) -> None:
        from transformers import AutoTokenizer

        self.job, self.precision = job, precision
        self.model, self.tokenizer = self._load(job.model), AutoTokenizer.from_pretrained(job.model)

    def _load(self, folder: str) -> Any:
        import torch
        from transformers import GPT2LMHeadModel

        return GPT2LMHeadModel.from_pretrained(folder, dtype=getattr(torch, self.precision)).eval()

    def _generate(self, prompts: Ids, **settings: Any) -> Any:
        """One batch, filled up on the left."""
        import torch

        longest = max(map(len, prompts))
        ids = torch.tensor([[self.job.eos_id] * (longest - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        usual = {"do_sample": False, "max_new_tokens": self.job.new_tokens, "pad_token_id": self.job.eos_id}
        return self.model.generate(ids, attention_mask=mask, **usual | settings)

    def _write(self, prompts: Ids, **settings: Any) -> Ids:
        found = self._generate(prompts, **settings)
        return [self.job.before_end(row) for row in found[:, max(map(len, prompts)) :].tolist()]

    def write(self, prompts: Ids, *, together: bool, threads: int = 2, seed: int | None = None) -> Ids:
        """See ``worker.Program``."""
        import torch

        torch.set_num_threads(threads)
        drawing = {} if seed is None else {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
        written: Ids = []
        for group in [prompts] if together else [[prompt] for prompt in prompts]:
            if seed is not None:
                torch.manual_seed(seed)
            written += self._write(group, **drawing)
        torch.set_num_threads(2)
        return written

    def with_draft(self, prompts: Ids) -> Ids:
        """``assistant_model``."""
        draft = self._load(self.job.draft)
        return [self._write([prompt], assistant_model=draft)[0] for prompt in prompts]

    def with_lookup(self, prompts: Ids) -> Ids:
        """``prompt_lookup_num_tokens``."""
        return [self._write([prompt], prompt_lookup_num_tokens=3)[0] for prompt in prompts]

    def beams(self) -> dict[str, list[Ids]]:
        """The best texts of every prompt, with ends that are rare and with ends that are not."""
        return {"rare": self._beams([]), "frequent": self._beams(self.job.end_ids)}

    def _beams(self, ends: Sequence[int]) -> list[Ids]:
        settings = {
            "num_beams": NUM_BEAMS,
            "num_return_sequences": NUM_BEAMS,
            "max_new_tokens": self.job.beam_new_tokens,
            "length_penalty": 1.0,
            "early_stopping": False,
            "eos_token_id": [self.job.eos_id, *ends],
        }
        found = []
        for prompt in self.job.prompts[:FEW]:
            rows = self._generate([prompt], **settings)[:, len(prompt) :].tolist()
            found.append([self.job.before_end(row, *ends) for row in rows])
        return found

    def stop(self) -> str:
        """``stop_strings``."""
        texts = []
        for prompt, stop, _ in self.job.stops:
            found = self._generate([prompt], stop_strings=[stop], tokenizer=self.tokenizer)
            texts.append(self.tokenizer.decode(found[0, len(prompt) :]))
        found_at = [before + stop for _, stop, before in self.job.stops]
        ended = [text[: len(before)] for text, before in zip(texts, found_at, strict=True)]
        cut = same(texts, [before for _, _, before in self.job.stops])
        return f"found {same(ended, found_at)}, cut {cut}"

    def logprobs(self) -> dict[str, Any]:
        """``output_scores`` and ``compute_transition_scores``, as documented; ``output_logits`` has the model's."""
        import torch

        found: dict[str, Any] = {"prompts": [], "ids": [], "reported": [], "beside": "logits by output_logits"}
        for prompt in self.job.prompts[:4]:
            torch.manual_seed(SEED)
            out = self._generate(
                [prompt],
                do_sample=True,
                temperature=TEMPERATURE,
                top_k=TOP_K,
                output_scores=True,
                return_dict_in_generate=True,
            )
            scores = self.model.compute_transition_scores(out.sequences, out.scores, normalize_logits=True)
            found["prompts"].append(prompt)
            found["ids"].append(out.sequences[0, len(prompt) :].tolist())
            found["reported"].append(scores[0].tolist())
        return found

    def penalty(self) -> str:
        """``repetition_penalty``."""
        first = [
            self._write([ids], repetition_penalty=PENALTY, max_new_tokens=1)[0][0] for ids, _ in self.job.repeating
        ]
        free = [self._write([ids])[0] for ids, _ in self.job.repeating]
        penalised = [self._write([ids], repetition_penalty=PENALTY)[0] for ids, _ in self.job.repeating]
        return what_is_counted(self.job, first, free, penalised)

    def seed(self) -> str:
        """``torch.manual_seed`` before each call."""
        runs = [self.write(self.job.prompts[:FEW], together=False, seed=SEED) for _ in range(2)]
        return same(*runs)

    def long_prompt(self) -> str:
        """A prompt that is longer than the context."""
        return f"{len(self._write([self.job.long_text], max_new_tokens=8)[0])} tokens written, nothing said"

    def long_text(self) -> str:
        """A prompt that leaves room for fewer tokens than are asked for."""
        prompt = self.job.long_text[: self.job.context - 4]
        return f"{len(self._write([prompt], max_new_tokens=16)[0])} of 16 tokens written, nothing said"

    def long_score(self) -> str:
        """Log-probabilities from logits: of a text that fits the context, and of one that does not."""
        import torch

        said = []
        for ids in (self.job.long_text[: self.job.context], self.job.long_text):
            try:
                with torch.inference_mode():
                    logits = self.model(torch.tensor([ids])).logits
                said.append(f"{logits.shape[1] - 1:,} of {len(ids) - 1:,}")
            except Exception as error:
                said.append(outcome(error))
        return "; ".join(said)
