"""``textwright generate``: continue prompts."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from pydantic import BeforeValidator, Field

from textwright.core.config import read_config
from textwright.core.console import command_line, stderr_console, stdout_console
from textwright.core.errors import InputError, check_is_text
from textwright.core.user_paths import read_text
from textwright.generation.request import CONSTRAINT, Bias, Completion, EngineConfig, SamplingConfig

if TYPE_CHECKING:
    from textwright.api.model import Model


def read_biases(given: str | dict[int, float]) -> dict[int, float]:
    """Biases by token id, from a text such as ``262=1.5,50256=-100``; what is read already stays."""
    if not isinstance(given, str):
        return given
    try:
        pairs = [pair.split("=") for pair in given.split(",")]
        return {int(token_id): float(bias) for token_id, bias in pairs}
    except ValueError:
        raise ValueError("ID=BIAS,ID=BIAS, for example 262=1.5,50256=-100") from None


class Options(SamplingConfig):
    """``SamplingConfig`` as options: a command line has no dictionaries with numbers for keys."""

    logit_bias: Annotated[
        dict[int, Bias],
        BeforeValidator(read_biases),
        Parameter(accepts_keys=False, n_tokens=1, show_default=False),
    ] = Field(default_factory=dict)
    """ID=BIAS,ID=BIAS: added to the logits of these tokens; -100 as good as bans a token, 100 as good as forces it."""


def generate(
    model: str | None = None,
    prompts: Annotated[tuple[str, ...], Parameter(show_default=False)] = (),
    /,
    *,
    prompts_file: Path | None = None,
    sampling: Annotated[Options | None, Parameter(name="*")] = None,
    engine: Annotated[EngineConfig | None, Parameter(name="*")] = None,
    draft: str | None = None,
    prompt_lookup: Annotated[bool, Parameter(negative="")] = False,
    num_speculative_tokens: int | None = None,
    models: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="", show_default=False)] = (),
    weights: Annotated[tuple[float, ...], Parameter(consume_multiple=True, negative="", show_default=False)] = (),
    device: str = "auto",
    json: bool = False,
) -> None:
    """Continue prompts.

    Parameters
    ----------
    model
        A model folder, or a Hugging Face name (with the hub extra). Not with --models.
    prompts
        Texts to continue; an empty one ('') starts a document.
    prompts_file
        A file with a prompt on each line, instead.
    sampling
        How to choose tokens.
    engine
        What computes.
    draft
        A smaller model with the same tokenizer, to guess ahead: the same text, sooner.
    prompt_lookup
        Guess ahead from what the text itself says, without a model.
    num_speculative_tokens
        Tokens guessed at a time, at most; 3 when not given. A draft model stops where it is not sure.
    models
        Several models with the same tokenizer, whose probabilities are mixed.
    weights
        How much each of --models counts; all the same when not given.
    device
        auto, cpu or cuda.
    json
        Print one JSON object on standard output.
    """
    if models and model is not None:
        prompts = (model, *prompts)
    folders = models or ((model,) if model is not None else ())
    if not folders:
        example = command_line("generate", "runs/NAME/model", "Once upon a time")
        raise InputError("no model", fix=f"for example: {example}")
    chosen = _with_schema_read(sampling or read_config(SamplingConfig, {}, "the command line"))
    texts = _texts(prompts, prompts_file, folders[0])
    _check_speculation(draft, prompt_lookup, num_speculative_tokens, models)
    _check_weights(models, weights)

    computing = engine or EngineConfig()
    with stderr_console().announced(f"loading {', '.join(folders)} ..."):
        from textwright.api import load

        loaded = [load(folder, device=device) for folder in folders]
    speculation = None
    if draft is not None or prompt_lookup:
        drafter = load(draft, device=device) if draft is not None else None
        given = {} if num_speculative_tokens is None else {"num_speculative_tokens": num_speculative_tokens}
        speculation = loaded[0].speculation(drafter, engine=computing, **given)
    shares = [weight / weights[0] for weight in weights] or [1.0] * len(loaded)
    stream = Stream(texts[0]) if not json and len(texts) * chosen.n == 1 else None
    loaded[0].decoder(computing)  # made ready before the clock starts
    begun_s = time.perf_counter()
    completions = loaded[0].complete(
        texts,
        on_text=stream.push if stream else None,
        engine=computing,
        speculation=speculation,
        mixed_with=dict(zip(loaded[1:], shares[1:], strict=True)),
        **chosen.model_dump(),
    )
    seconds = time.perf_counter() - begun_s
    tokens_per_s = sum(completion.num_tokens for completion in completions) / seconds

    if json:
        found: dict[str, Any] = {
            "completions": [_as_json(completion, loaded[0]) for completion in completions],
            "tokens_per_s": tokens_per_s,
        }
        if speculation is not None:
            found["acceptance_rate"] = speculation.acceptance_rate
        stdout_console().write_json(found)
        return
    if stream is not None:
        stream.close()
    else:
        _show_texts(completions)
    if chosen.top_logprobs is not None:
        for completion in completions:
            _show_report(completion, loaded[0])
    _show_notes(completions, chosen, loaded[0].network.context_length)
    accepted = f", {speculation.acceptance_rate:.0%} of the guessed ones accepted" if speculation is not None else ""
    num_tokens = sum(completion.num_tokens for completion in completions)
    stderr_console().print(f"{num_tokens:,} tokens, {tokens_per_s:,.1f} tokens/s{accepted}")


class Stream:
    """A prompt and its text on standard output as it grows; nothing before there is some, so that an error is alone."""

    def __init__(self, prompt: str) -> None:
        self._prompt, self._out = prompt, stdout_console()

    def push(self, _: int, text: str) -> None:
        """The next piece of the text."""
        self._out.write(self._prompt + text)
        self._prompt = ""

    def close(self) -> None:
        """The end of the text, which can be empty."""
        self._out.write(self._prompt + "\n")


def _show_texts(completions: Sequence[Completion]) -> None:
    out = stdout_console()
    for index, completion in enumerate(completions):
        out.write(f"{'' if index == 0 else chr(10)}--- {index + 1} (log-probability {completion.logprob:,.2f})\n")
        out.write(f"{completion.prompt}{completion.text}\n")


def _show_notes(completions: Sequence[Completion], chosen: SamplingConfig, context_length: int) -> None:
    """What a person should know of them, on standard error."""
    screen = stderr_console()
    if any(completion.context_shifted for completion in completions):
        screen.print(f"note: the text outgrew the context of {context_length:,} tokens; its beginning was forgotten")
    unmet = sum(
        completion.finish_reason == "length" or completion.stop_reason == CONSTRAINT for completion in completions
    )
    if chosen.constrained_by is not None and unmet:
        screen.print(f"note: {unmet} of {len(completions)} completions ended before the constraint was met")


def read_prompts(path: Path) -> list[str]:
    """The lines of a file, empty ones left out."""
    return [line for line in read_text(path).splitlines() if line.strip()]


def _with_schema_read(sampling: SamplingConfig) -> SamplingConfig:
    """A JSON schema that is the name of a file is the file's text."""
    path = sampling.json_schema
    if path is None or not path.endswith(".json"):
        return sampling
    return sampling.model_copy(update={"json_schema": read_text(Path(path))})


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


def _check_speculation(
    draft: str | None, prompt_lookup: bool, num_speculative_tokens: int | None, models: Sequence[str]
) -> None:
    if draft is not None and prompt_lookup:
        raise InputError("--draft and --prompt-lookup", expected="one of them")
    if num_speculative_tokens is not None and draft is None and not prompt_lookup:
        raise InputError("--num-speculative-tokens without --draft or --prompt-lookup", fix="add one of them")
    if num_speculative_tokens is not None and not 1 <= num_speculative_tokens <= 64:
        raise InputError(f"--num-speculative-tokens {num_speculative_tokens}", expected="1 to 64")
    if models and draft is not None:
        raise InputError("--draft with --models", fix="use --prompt-lookup, or one model")


def _check_weights(models: Sequence[str], weights: Sequence[float]) -> None:
    if weights and len(weights) != len(models):
        raise InputError(f"{len(weights)} weights for {len(models)} models", fix="give --weights one number a model")
    if not all(0 < weight < float("inf") for weight in weights):
        raise InputError(f"--weights {' '.join(map(str, weights))}", expected="positive numbers")


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


def _show_report(completion: Completion, model: "Model") -> None:
    out = stdout_console()
    out.write(f"\n{'token':16} {'p':>7} {'drawn with':>10} {'rank':>6} {'nats':>6}  likeliest\n")
    for report in completion.reports:
        others = "  ".join(f"{model.tokenizer.decode([o.token_id])!r} {o.p:.3f}" for o in report.top_logprobs)
        text = repr(model.tokenizer.decode([report.token_id]))
        out.write(
            f"{text:16} {report.p:7.4f} {report.filtered_p:10.4f} {report.rank:6,} {report.entropy_nats:6.2f}  "
            f"{others}\n"
        )
