"""CTranslate2's Generator, with a model that its own converter has made."""

import json
from importlib.metadata import version as version_of
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from promises.job import (
    FEW,
    NOT_OFFERED,
    NUM_BEAMS,
    PENALTY,
    SEED,
    TEMPERATURE,
    TOP_K,
    Ids,
    Job,
    outcome,
    same,
    what_is_counted,
)

PACKAGES = ("ctranslate2", "transformers", "torch")
PRECISIONS = ("float32", "int8")
BATCHES = True


def version() -> str:
    """Of the package."""
    return f"ctranslate2 {version_of('ctranslate2')}"


def prepare(job: Job, precision: str) -> "CTranslate2":
    """Convert the model."""
    return CTranslate2(job, precision)


class CTranslate2:
    """A converted model, of which generators are made."""

    def __init__(self, job: Job, precision: str) -> None:
        from ctranslate2.converters import TransformersConverter
        from transformers import AutoTokenizer

        self.job, self.precision = job, precision
        tokenizer = AutoTokenizer.from_pretrained(job.model)
        self._tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        self._folder = TemporaryDirectory(dir=Path(job.model).parent)
        TransformersConverter(job.model).convert(self._folder.name, quantization=precision, force=True)
        # The tokenizer has no unknown token, which the converter writes as null and Generator refuses.
        config = Path(self._folder.name) / "config.json"
        values = json.loads(config.read_text(encoding="utf-8"))
        config.write_text(json.dumps(values | {"unk_token": tokenizer.eos_token}), encoding="utf-8")

    def _generator(self, threads: int = 2) -> Any:
        import ctranslate2

        return ctranslate2.Generator(
            self._folder.name, compute_type=self.precision, inter_threads=1, intra_threads=threads
        )

    def _generate(self, generator: Any, prompts: Ids, **settings: Any) -> Any:
        usual = {"beam_size": 1, "max_length": self.job.new_tokens, "include_prompt_in_result": False}
        return generator.generate_batch([self._words(prompt) for prompt in prompts], **usual | settings)

    def _words(self, ids: list[int]) -> list[str]:
        return [self._tokens[token_id] for token_id in ids]

    def _write(self, generator: Any, prompts: Ids, **settings: Any) -> Ids:
        found = self._generate(generator, prompts, **settings)
        return [self.job.before_end(row.sequences_ids[0]) for row in found]

    def write(self, prompts: Ids, *, together: bool, threads: int = 2, seed: int | None = None) -> Ids:
        """See ``worker.Program``. A seed is set before a new Generator: an older one's threads do not take it."""
        import ctranslate2

        if seed is None:
            generator = self._generator(threads)
            if together:
                return self._write(generator, prompts)
            return [self._write(generator, [prompt])[0] for prompt in prompts]
        written: Ids = []
        for group in [prompts] if together else [[prompt] for prompt in prompts]:
            ctranslate2.set_random_seed(seed)
            written += self._write(self._generator(threads), group, sampling_topk=0, sampling_temperature=1)
        return written

    def with_draft(self, _: Ids) -> None:
        """Not offered."""

    def with_lookup(self, _: Ids) -> None:
        """Not offered."""

    def beams(self) -> dict[str, list[Ids]]:
        """The best texts of every prompt, with ends that are rare and with ends that are not."""
        found, generator = {}, self._generator()
        for name, ends in (("rare", []), ("frequent", self.job.end_ids)):
            settings = {
                "beam_size": NUM_BEAMS,
                "num_hypotheses": NUM_BEAMS,
                "max_length": self.job.beam_new_tokens,
                "length_penalty": 1,
                "end_token": [self.job.eos_id, *ends],
            }
            few = self.job.prompts[:FEW]
            texts = [self._generate(generator, [prompt], **settings)[0].sequences_ids for prompt in few]
            found[name] = [[self.job.before_end(ids, *ends) for ids in best] for best in texts]
        return found

    def stop(self) -> str:
        """End tokens are all that ends a text."""
        return f"{NOT_OFFERED}: end tokens only"

    def logprobs(self) -> dict[str, Any]:
        """``return_scores``: of a whole text, over its length where ``length_penalty`` is not 0."""
        found: dict[str, Any] = {"prompts": [], "ids": [], "reported": []}
        settings = {"sampling_temperature": TEMPERATURE, "sampling_topk": TOP_K, "return_scores": True}
        for prompt in self.job.prompts[:4]:
            (row,) = self._generate(
                self._generator(), [prompt], **settings, length_penalty=0, end_token=[], min_length=self.job.new_tokens
            )
            found["prompts"].append(prompt)
            found["ids"].append(row.sequences_ids[0])
            found["reported"].append(row.scores[0])
        return found

    def penalty(self) -> str:
        """``repetition_penalty``, where the prompt is returned with the text and where it is not."""
        generator, said = self._generator(), []
        for returned in (True, False):

            def write(ids: list[int], count: int, returned: bool = returned, **settings: Any) -> list[int]:
                # Where the prompt is returned, max_length counts it too, but for its first token.
                most, given = (count + len(ids) - 1, len(ids)) if returned else (count, 0)
                written = self._write(generator, [ids], include_prompt_in_result=returned, max_length=most, **settings)
                return written[0][given:]

            repeating = [ids for ids, _ in self.job.repeating]
            first = [write(ids, 1, repetition_penalty=PENALTY)[0] for ids in repeating]
            free = [write(ids, self.job.new_tokens) for ids in repeating]
            penalised = [write(ids, self.job.new_tokens, repetition_penalty=PENALTY) for ids in repeating]
            how = "returned" if returned else "not returned"
            said.append(f"{what_is_counted(self.job, first, free, penalised)} (prompt {how})")
        return "; ".join(said)

    def seed(self) -> str:
        """``set_random_seed`` before each call, of one Generator and of a new one each time."""
        import ctranslate2

        new = [self.write(self.job.prompts[:FEW], together=False, seed=SEED) for _ in range(2)]
        generator, runs = self._generator(), list[Ids]()
        for _ in range(2):
            texts: Ids = []
            for prompt in self.job.prompts[:FEW]:
                ctranslate2.set_random_seed(SEED)
                texts += self._write(generator, [prompt], sampling_topk=0, sampling_temperature=1)
            runs.append(texts)
        return f"{same(*new)} (new Generator); {same(*runs)} (same Generator)"

    def long_prompt(self) -> str:
        """A prompt that is longer than the context."""
        written = self._write(self._generator(), [self.job.long_text], max_length=8)[0]
        return f"{len(written)} tokens written, nothing said"

    def long_text(self) -> str:
        """A prompt that leaves room for fewer tokens than are asked for."""
        written = self._write(self._generator(), [self.job.long_text[: self.job.context - 4]], max_length=16)[0]
        return f"{len(written)} of 16 tokens written, nothing said"

    def long_score(self) -> str:
        """``score_batch``: of a text that fits the context, and of one that does not."""
        said = []
        for ids in (self.job.long_text[: self.job.context], self.job.long_text):
            try:
                (row,) = self._generator().score_batch([self._words(ids)])
                said.append(f"{len(row.log_probs):,} of {len(ids) - 1:,}")
            except Exception as error:
                said.append(outcome(error))
        return "; ".join(said)
