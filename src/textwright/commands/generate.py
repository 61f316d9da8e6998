"""``textwright generate``: continue prompts."""

import json as json_format
import sys
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from pydantic import BeforeValidator, Field

from textwright.core.config import read_config
from textwright.core.errors import InputError
from textwright.core.progress import console
from textwright.generation.request import Bias, SamplingConfig


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
    model: str,
    prompts: Annotated[tuple[str, ...], Parameter(show_default=False)] = (),
    /,
    *,
    prompts_file: Path | None = None,
    sampling: Annotated[Options | None, Parameter(name="*")] = None,
    device: str = "auto",
    json: bool = False,
) -> None:
    """Continue prompts.

    Parameters
    ----------
    model
        A model folder, or a Hugging Face name (with the hub extra).
    prompts
        Texts to continue; an empty one ('') starts a document.
    prompts_file
        A file with a prompt on each line, instead.
    sampling
        How to choose tokens.
    device
        auto, cpu or cuda.
    json
        Print one JSON object on standard output.
    """
    chosen = sampling or read_config(SamplingConfig, {}, "the command line")
    texts = list(prompts)
    if prompts_file is not None:
        if texts:
            raise InputError("prompts and --prompts-file", expected="one of them")
        texts = read_prompts(prompts_file)
    if not texts:
        raise InputError("no prompt", fix=f"for example: textwright generate {model} 'Once upon a time'")

    from textwright.api import load

    loaded = load(model, device=device)
    streams = not json and len(texts) * chosen.num_samples == 1
    if streams:
        sys.stdout.write(texts[0])
        sys.stdout.flush()
    begun_s = time.perf_counter()
    completions = loaded.complete(texts, on_text=_show if streams else None, **chosen.model_dump())
    seconds = time.perf_counter() - begun_s
    tokens_per_s = sum(completion.num_tokens for completion in completions) / seconds

    if json:
        rows = [
            {
                "prompt": completion.prompt,
                "text": completion.text,
                "finish_reason": completion.finish_reason,
                "num_tokens": completion.num_tokens,
                "window_slid": completion.window_slid,
            }
            for completion in completions
        ]
        print(json_format.dumps({"completions": rows, "tokens_per_s": tokens_per_s}, ensure_ascii=False))
        return
    if streams:
        print()
    else:
        for index, completion in enumerate(completions):
            print(f"{'' if index == 0 else chr(10)}--- {index + 1}")
            print(completion.prompt + completion.text)
    screen = console()
    if any(completion.window_slid for completion in completions):
        context = loaded.network.context_length
        screen.print(f"note: the text outgrew the context of {context:,} tokens; its beginning was forgotten")
    screen.print(f"{sum(completion.num_tokens for completion in completions):,} tokens, {tokens_per_s:,.1f} tokens/s")


def read_prompts(path: Path) -> list[str]:
    """The lines of a file, empty ones left out."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise InputError(f"there is no file {path}", fix="check the path") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 at byte {error.start:,}", expected="UTF-8 text") from None
    return [line for line in lines if line.strip()]


def _show(_: int, text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
