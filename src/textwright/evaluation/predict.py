"""What a model says to the examples of a task: it writes, or chooses among options by how likely it finds each.

::

    examples ──┬─ without options ──> requests ──scheduler──> texts ────────────┐
               └─ with options ──> prompt + each option ──score──> likeliest ───┴──read_answer──> rows

Rows come as they are done, in any order. What is held of the examples are those that are being worked on.
"""

import itertools
import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from textwright.core.allocator import keep_freed_memory
from textwright.core.errors import InputError
from textwright.core.seeds import hash_u64
from textwright.core.words import counted
from textwright.data.prompt_format import PromptFormat
from textwright.evaluation.sandbox import Sandbox
from textwright.generation.request import Completion, Request, SamplingConfig
from textwright.generation.scheduler import Scheduler
from textwright.generation.scoring import ScoredText, score
from textwright.models.protocols import Decoder
from textwright.tasks.base import Example, Task
from textwright.tokens.tokenizer import Tokenizer

REQUESTS_AT_ONCE = 256
"""Handed to the scheduler, so that those that end are followed by others and memory does not grow with the file."""
STEPS_S = 0.1
"""Of steps that are handed over in one go."""
OPTIONS_AT_ONCE = 512
"""Of texts that are scored in one go; those of an example stay together."""
MAX_KEPT_OPTIONS = 256
"""Different sets of options whose tokens are kept: most examples of a task have the same ones."""

Row = dict[str, Any]


class LongerThanContextError(InputError):
    """An example that the model cannot see whole."""


@dataclass(frozen=True)
class Placed:
    """An example, and its place in its files, which numbers it."""

    place: int
    example: Example
    prompt_ids: Sequence[int] = ()
    """What the model is given, once it was seen that it can be: see ``Predictor.encoded``."""
    suffix: str | None = None
    """What stands after the answer, where the model is told; the example's prompt is then what stands before it."""


class Predictor:
    """Puts examples of one task to one model.

    Args:
        decoder: writes, and scores.
        tokenizer: the model's.
        task: says how an answer is read.
        sampling: how texts are written; options are chosen without chance.
        sandbox: where answers that are programs are run; None where they are none.
        prompt_format: how the model is asked for what stands between two texts, if it has learned that.
    """

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: Tokenizer,
        task: Task,
        sampling: SamplingConfig,
        sandbox: Sandbox | None = None,
        prompt_format: PromptFormat | None = None,
    ) -> None:
        self._decoder, self._tokenizer, self._task, self._sampling = decoder, tokenizer, task, sampling
        self._sandbox = sandbox
        self._reads_source = decoder.conditioning == "source_ids"
        self._prompt_format = prompt_format or PromptFormat()
        self._fills_in = not self._reads_source and self._prompt_format.sentinels(tokenizer) is not None
        self._option_ids: dict[tuple[str, ...], list[list[int]]] = {}

    def encoded(self, placed: Placed) -> Placed:
        """An example that can be put to the model whole, with its prompt as tokens; one that has them is as it was.

        Raises:
            LongerThanContextError: it is longer than the context.
            InputError: one of its options is the beginning of another.
        """
        if placed.prompt_ids:
            return placed
        if self._fills_in and placed.example.prefix_suffix is not None:
            prefix, suffix = placed.example.prefix_suffix
            placed = replace(placed, example=replace(placed.example, prompt=prefix), suffix=suffix)
        example, context = placed.example, self._decoder.context_length
        ids = self._prompt_ids(placed)
        if example.options:
            longest = max(map(len, self._ids_of_options(placed)))
            num_new, beside = longest, f"an option of {longest:,}"
            fix = "leave such examples out with --skip-long"
        else:
            # The last token that is written is not read again.
            num_new = self._sampling.max_new_tokens
            beside = "a new one" if num_new == 1 else f"{num_new:,} new ones"
            fix = "leave such examples out with --skip-long, or ask for fewer with --max-new-tokens"
        if len(ids) + num_new > context + 1:
            raise LongerThanContextError(
                f"a prompt of {counted(len(ids), 'token')}, and {beside}",
                where=name_of(placed),
                expected=f"together at most {context + 1:,}: the model sees {context:,}, and never the last one",
                fix=fix,
            )
        return replace(placed, prompt_ids=array("I", ids))

    def rows(self, examples: Iterable[Placed]) -> Iterator[Row]:
        """A row for each example, as it is done.

        Raises:
            InputError: see ``encoded``; and what the scheduler refuses.
        """
        ready = map(self.encoded, examples)
        for has_options, some in itertools.groupby(ready, key=lambda placed: bool(placed.example.options)):
            if has_options:
                yield from self._choose(some)
            else:
                yield from self._write(some)

    def _write(self, examples: Iterable[Placed]) -> Iterator[Row]:
        keep_freed_memory()
        scheduler = Scheduler(self._decoder, self._tokenizer)
        waiting: dict[int, tuple[Placed, list[Completion | None]]] = {}
        rest, is_over = iter(examples), False
        while not is_over or scheduler.has_work:
            while not is_over and len(waiting) < REQUESTS_AT_ONCE:
                placed = next(rest, None)
                is_over = placed is None
                if placed is not None:
                    texts: list[Completion | None] = [None] * self._sampling.n
                    waiting[scheduler.add(self._request(placed))] = placed, texts
            for event in scheduler.step(min_seconds=STEPS_S) if scheduler.has_work else ():
                if event.completion is None:
                    continue
                placed, texts = waiting[event.request_id]
                texts[event.sample] = event.completion
                if None not in texts:
                    del waiting[event.request_id]
                    yield self._written(placed, [text for text in texts if text is not None])

    def _request(self, placed: Placed) -> Request:
        sampling = self._sampling
        if sampling.temperature > 0:
            # Of its own, or all examples with one prompt would get one text.
            seed = hash_u64("example", sampling.seed, placed.place) >> 1
            sampling = sampling.model_copy(update={"seed": seed})
        if self._reads_source:
            return Request("", sampling, source=placed.example.source or placed.example.prompt)
        return Request(list(placed.prompt_ids), sampling)

    def _written(self, placed: Placed, texts: list[Completion]) -> Row:
        answers = [self._task.read_answer(text.text, placed.example) for text in texts]
        row = row_of(placed) | {
            "prediction": answers[0].prediction,
            "text": texts[0].text,
            "text_logprob": texts[0].logprob,
            "num_tokens": texts[0].num_tokens,
            "finish_reason": texts[0].finish_reason,
        }
        if len(texts) > 1:
            row["predictions"] = [answer.prediction for answer in answers]
        if self._sandbox is not None:
            ran = [self._sandbox.run(program_of(placed.example, answer.prediction)) for answer in answers]
            row |= {"passed": [one.has_passed for one in ran], "outcomes": [one.outcome for one in ran]}
        return row | dict(answers[0].details)

    def _choose(self, examples: Iterable[Placed]) -> Iterator[Row]:
        held, num_texts = list[Placed](), 0
        for placed in examples:
            if held and num_texts + len(placed.example.options) > OPTIONS_AT_ONCE:
                yield from self._chosen(held)
                held, num_texts = [], 0
            held.append(placed)
            num_texts += len(placed.example.options)
        if held:
            yield from self._chosen(held)

    def _chosen(self, examples: list[Placed]) -> Iterator[Row]:
        texts = [text for placed in examples for text in self._option_texts(placed)]
        found = score(self._decoder, texts)
        for placed in examples:
            options = placed.example.options
            logprobs = [float(one.logprobs.double().sum()) for one in itertools.islice(found, len(options))]
            best = int(np.argmax(logprobs))
            answer = self._task.read_answer(options[best], placed.example)
            names = [self._task.read_answer(option, placed.example).prediction for option in options]
            yield (
                row_of(placed)
                | {
                    "prediction": answer.prediction,
                    "text_logprob": logprobs[best],
                    "probabilities": dict(zip(names, probabilities(logprobs), strict=True)),
                }
                | dict(answer.details)
            )

    def _option_texts(self, placed: Placed) -> list[ScoredText]:
        """The prompt with each option, cut into tokens as pairs are that are learned."""
        given = placed.prompt_ids
        return [ScoredText([*given, *ids], len(given)) for ids in self._ids_of_options(placed)]

    def _ids_of_options(self, placed: Placed) -> list[list[int]]:
        """The tokens of each option, made once for all examples that have the same ones."""
        options = placed.example.options
        if options not in self._option_ids:
            _check_options(options, name_of(placed))
            if len(self._option_ids) >= MAX_KEPT_OPTIONS:
                self._option_ids.clear()
            self._option_ids[options] = [self._tokenizer.encode(option) for option in options]
        return self._option_ids[options]

    def _prompt_ids(self, placed: Placed) -> list[int]:
        prompt = placed.example.prompt
        if self._reads_source:
            return list(self._tokenizer.before_text)
        if placed.suffix is not None:
            return self._prompt_format.ids(prompt, self._tokenizer, suffix=placed.suffix)
        return [*self._tokenizer.begin_ids, *self._tokenizer.encode(prompt)] or [self._tokenizer.end_id]


def name_of(placed: Placed) -> str:
    """An example in messages."""
    name = placed.example.id
    return f"example {placed.place + 1}" + (f" ({name})" if name and name != str(placed.place) else "")


def row_of(placed: Placed) -> Row:
    """What is known of an example before anything is said to it; as predictions' files have it."""
    example = placed.example
    row: Row = {"id": example.id or str(placed.place), "place": placed.place}
    if example.document:
        row["document"] = example.document
    row |= {"prompt": example.prompt, "references": list(example.references)}
    if placed.suffix is not None:
        row["suffix"] = placed.suffix
    if example.source:
        row["source"] = example.source
    return row | dict(example.details)


def program_of(example: Example, answer: str) -> str:
    """The whole program that an answer makes, with its tests."""
    details = example.details
    return f"{details['before']}{answer}{details['after']}{details['tests']}"


def probabilities(logprobs: list[float]) -> list[float]:
    """Of options, from the log-probabilities of their texts: what each is beside the others."""
    largest = max(logprobs)
    shares = [math.exp(one - largest) for one in logprobs]
    return [share / sum(shares) for share in shares]


def _check_options(options: tuple[str, ...], where: str) -> None:
    """See that no option begins with another: the longer one could never be the likelier."""
    for one, other in itertools.pairwise(sorted(options)):
        if other.startswith(one):
            twice = "comes twice" if one == other else f"is the beginning of the option {other.strip()!r}"
            raise InputError(
                f"the option {one.strip()!r} {twice}",
                where=where,
                expected="options of which none begins another: the longer one is never likelier",
                fix="end each with a mark, such as a full stop",
            )
