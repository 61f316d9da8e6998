"""``textwright generate``: continue prompts."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from cyclopts import Parameter
from pydantic import Field, model_validator

from textwright.core.config import Config, changed
from textwright.core.console import Console, command_line, stderr_console, stdout_console
from textwright.core.errors import InputError, check_is_text
from textwright.core.result import Result
from textwright.core.user_paths import read_text
from textwright.engines.config import EngineConfig
from textwright.generation.request import CONSTRAINT, Completion, SamplingConfig

if TYPE_CHECKING:
    from textwright.api.model import Model
    from textwright.generation.speculative import Speculation


class SpeculationOptions(Config):
    """How to guess ahead."""

    draft: str | None = None
    """A smaller model with the same tokenizer, to guess ahead: the same text, sooner."""
    prompt_lookup: Annotated[bool, Parameter(negative="")] = False
    """Guess ahead from what the text itself says, without a model."""
    num_speculative_tokens: int | None = Field(default=None, ge=1, le=64)
    """Tokens guessed at a time, at most; 3 when not given. A draft model stops where it is not sure."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.draft is not None and self.prompt_lookup:
            raise ValueError("--draft and --prompt-lookup; expected one of them")
        if self.num_speculative_tokens is not None and self.draft is None and not self.prompt_lookup:
            raise ValueError("--num-speculative-tokens without --draft or --prompt-lookup; add one of them")
        return self

    def make(self, model: "Model", engine: EngineConfig, device: str) -> "Speculation | None":
        """What guesses for a model; None where that was not asked for."""
        if self.draft is None and not self.prompt_lookup:
            return None
        from textwright.api import load

        drafter = load(self.draft, device=device) if self.draft is not None else None
        given = {} if self.num_speculative_tokens is None else {"num_speculative_tokens": self.num_speculative_tokens}
        return model.speculation(drafter, engine=engine, **given)


class MixtureOptions(Config):
    """Several models as one."""

    models: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="", show_default=False)] = ()
    """Several models with the same tokenizer, whose probabilities are mixed."""
    weights: Annotated[tuple[float, ...], Parameter(consume_multiple=True, negative="", show_default=False)] = ()
    """How much each of --models counts; all the same when not given."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.weights and len(self.weights) != len(self.models):
            raise ValueError(
                f"{len(self.weights)} weights for {len(self.models)} models; give --weights one number a model"
            )
        if not all(weight > 0 for weight in self.weights):
            raise ValueError(f"--weights {' '.join(map(str, self.weights))}; expected positive numbers")
        return self

    @property
    def shares(self) -> list[float]:
        """How much each model counts beside the first."""
        return [weight / self.weights[0] for weight in self.weights] or [1.0] * len(self.models)


class PromptOptions(Config):
    """How prompts are read."""

    special_tokens: bool = False
    """Read special tokens that are written in the prompts, such as <|im_start|>, as what they are."""
    suffix: str | None = None
    """What stands after a text that is to be filled in, and the prompt before it. For models that learned it, as with
    finetune --fim."""
    control: str | None = None
    """What the text is to be, such as a genre or keywords: a value of the field that stood before the texts that the
    model learned, as with finetune --control."""

    def check(self, model: "Model", prompt: str) -> None:
        """See that a model can be asked so. Raises InputError."""
        if self.suffix is not None or self.control is not None:
            model.prompt_format.ids(prompt, model.tokenizer, suffix=self.suffix, control=self.control)


@dataclass(frozen=True)
class Generated(Result):
    """The completions."""

    completions: list[Completion]
    model: "Model"
    sampling: SamplingConfig
    seconds: float
    acceptance_rate: float | None
    """Of what was guessed ahead."""
    was_streamed: bool
    """Whether a person has seen the text already."""
    suffix: str | None = None
    """What stands after what was filled in."""

    @property
    def num_tokens(self) -> int:
        return sum(completion.num_tokens for completion in self.completions)

    @property
    def tokens_per_s(self) -> float:
        return self.num_tokens / self.seconds

    def as_json(self) -> dict[str, Any]:
        completions = [_as_json(completion, self.model) for completion in self.completions]
        if self.suffix is not None:
            completions = [row | {"suffix": self.suffix} for row in completions]
        found: dict[str, Any] = {"completions": completions, "tokens_per_s": self.tokens_per_s}
        return found if self.acceptance_rate is None else found | {"acceptance_rate": self.acceptance_rate}

    def show(self) -> None:
        out = stdout_console()
        notes = stderr_console()
        if not self.was_streamed:
            _show_texts(self.completions, out, self.suffix or "")
        if self.sampling.top_logprobs is not None:
            for completion in self.completions:
                _show_report(completion, self.model, out)
        self._show_notes(notes)
        rate = self.acceptance_rate
        accepted = f", {rate:.0%} of the guessed ones accepted" if rate is not None else ""
        notes.print(f"{self.num_tokens:,} tokens, {self.tokens_per_s:,.1f} tokens/s{accepted}")

    def _show_notes(self, notes: Console) -> None:
        if any(completion.context_shifted for completion in self.completions):
            length = self.model.network.context_length
            notes.print(f"note: the text outgrew the context of {length:,} tokens; its beginning was forgotten")
        unmet = sum(one.finish_reason == "length" or one.stop_reason == CONSTRAINT for one in self.completions)
        if self.sampling.constrained_by is not None and unmet:
            notes.print(f"note: {unmet} of {len(self.completions)} completions ended before the constraint was met")


def generate(
    model: str | None = None,
    prompts: Annotated[tuple[str, ...], Parameter(show_default=False)] = (),
    /,
    *,
    prompts_file: Path | None = None,
    sampling: Annotated[SamplingConfig | None, Parameter(name="*")] = None,
    engine: Annotated[EngineConfig | None, Parameter(name="*")] = None,
    speculation: Annotated[SpeculationOptions | None, Parameter(name="*")] = None,
    mixture: Annotated[MixtureOptions | None, Parameter(name="*")] = None,
    reading: Annotated[PromptOptions | None, Parameter(name="*")] = None,
    adapter: Path | None = None,
    device: str = "auto",
    live: Console | None = None,
) -> Generated:
    """Continue prompts.

    Parameters
    ----------
    model
        A model folder, or a Hugging Face name (with the hub extra). Not with --models.
    prompts
        Texts to continue; an empty one ('') starts a document.
    prompts_file
        A file with a prompt on each line, instead.
    live
        Where a single text goes as it is written.
    """
    sampling = _with_schema_read(sampling or SamplingConfig())
    engine, speculation = engine or EngineConfig(), speculation or SpeculationOptions()
    mixture, reading = mixture or MixtureOptions(), reading or PromptOptions()
    folders, texts = _folders_and_texts(model, prompts, prompts_file, mixture)
    _check_go_together(mixture, speculation, adapter)
    with stderr_console().announced(f"loading {', '.join(folders)} ..."):
        from textwright.api import load

        first, *others = [load(folder, adapter=adapter, device=device) for folder in folders]
    reading.check(first, texts[0])  # before anything is made ready
    guessing = speculation.make(first, engine, device)
    is_streamed = live is not None and len(texts) * sampling.n == 1
    stream = Stream(texts[0], live, reading.suffix or "") if live is not None and is_streamed else None
    first.decoder(engine)  # made ready before the clock starts
    begun_s = time.perf_counter()
    completions = first.complete(
        texts,
        on_text=stream.push if stream else None,
        engine=engine,
        speculation=guessing,
        mixed_with=dict(zip(others, mixture.shares[1:], strict=True)),
        **reading.model_dump(),
        **sampling.model_dump(),
    )
    seconds = time.perf_counter() - begun_s
    if stream is not None:
        stream.close()
    accepted = guessing.acceptance_rate if guessing is not None else None
    return Generated(completions, first, sampling, seconds, accepted, stream is not None, reading.suffix)


def _check_go_together(mixture: MixtureOptions, speculation: SpeculationOptions, adapter: Path | None) -> None:
    """What is for one model is not for several."""
    if mixture.models and speculation.draft is not None:
        raise InputError("--draft with --models", fix="use --prompt-lookup, or one model")
    if mixture.models and adapter is not None:
        raise InputError("--adapter with --models", expected="it with one model")


def _folders_and_texts(
    model: str | None, prompts: Sequence[str], prompts_file: Path | None, mixture: MixtureOptions
) -> tuple[tuple[str, ...], list[str]]:
    """The models, and what they continue: with --models the first word is a prompt too."""
    if mixture.models and model is not None:
        prompts = (model, *prompts)
    folders = mixture.models or ((model,) if model is not None else ())
    if not folders:
        example = command_line("generate", "runs/NAME/model", "Once upon a time")
        raise InputError("no model", fix=f"for example: {example}")
    return folders, _texts(prompts, prompts_file, folders[0])


class Stream:
    """A prompt, its text as it grows, and what stands after it; nothing before there is some, so that an error is
    alone."""

    def __init__(self, prompt: str, out: Console, suffix: str = "") -> None:
        self._prompt, self._out, self._suffix = prompt, out, suffix

    def push(self, _: int, text: str) -> None:
        """The next piece of the text."""
        self._out.write(self._prompt + text)
        self._prompt = ""

    def close(self) -> None:
        """The end of the text, which can be empty."""
        self._out.write(f"{self._prompt}{self._suffix}\n")


def _show_texts(completions: Sequence[Completion], out: Console, suffix: str) -> None:
    for index, completion in enumerate(completions):
        out.write(f"{'' if index == 0 else chr(10)}--- {index + 1} (log-probability {completion.logprob:,.2f})\n")
        out.write(f"{completion.prompt}{completion.text}{suffix}\n")


def read_prompts(path: Path) -> list[str]:
    """The lines of a file, empty ones left out."""
    return [line for line in read_text(path).splitlines() if line.strip()]


def _with_schema_read(sampling: SamplingConfig) -> SamplingConfig:
    """A JSON schema that is the name of a file is the file's text."""
    path = sampling.json_schema
    if path is None or not path.endswith(".json"):
        return sampling
    return changed(sampling, {"json_schema": read_text(Path(path))}, path)


def _texts(prompts: Sequence[str], prompts_file: Path | None, model: str) -> list[str]:
    texts = list(prompts)
    if prompts_file is not None:
        if texts:
            raise InputError("prompts and --prompts-file", expected="one of them")
        texts = read_prompts(prompts_file)
    if not texts:
        raise InputError("no prompt", fix=f"for example: {command_line('generate', model, 'Once upon a time')}")
    check_is_text(*texts)
    return texts


def _as_json(completion: Completion, model: "Model") -> dict[str, Any]:
    row: dict[str, Any] = {
        "prompt": completion.prompt,
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "stop_reason": completion.stop_reason,
        "num_tokens": completion.num_tokens,
        "context_shifted": completion.context_shifted,
        "logprob": completion.logprob,
    }
    if completion.reports:
        row["tokens"] = [_with_texts(asdict(report), model) for report in completion.reports]
    return row


def _with_texts(report: dict[str, Any], model: "Model") -> dict[str, Any]:
    """A report whose tokens have their texts beside their ids."""
    alternatives = [{**other, "text": model.tokenizer.decode([other["token_id"]])} for other in report["top_logprobs"]]
    return {**report, "text": model.tokenizer.decode([report["token_id"]]), "top_logprobs": alternatives}


def _show_report(completion: Completion, model: "Model", out: Console) -> None:
    out.write(f"\n{'token':16} {'p':>7} {'drawn with':>10} {'rank':>6} {'nats':>6}  likeliest\n")
    for report in completion.reports:
        others = "  ".join(f"{model.tokenizer.decode([o.token_id])!r} {o.p:.3f}" for o in report.top_logprobs)
        text = repr(model.tokenizer.decode([report.token_id]))
        out.write(
            f"{text:16} {report.p:7.4f} {report.filtered_p:10.4f} {report.rank:6,} {report.entropy_nats:6.2f}  "
            f"{others}\n"
        )
