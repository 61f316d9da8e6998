"""What is given in Python: texts as a file gives them, and whatever is none is told in one line.

::

    fit        a text, or texts, pairs, rows, paths ----> Example: see ``given_examples``
    evaluate, embed                texts            ----> str
    complete   texts, token ids, requests           ----> str | list[int] | Request
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from textwright.api.given_examples import check_is_list, given_text
from textwright.core.errors import InputError, check_is_text
from textwright.core.kinds import describe, is_number, wrong_kind
from textwright.data.prompt_format import PromptFormat
from textwright.generation.request import Request, SamplingConfig
from textwright.tokens import Tokenizer


def given_texts(texts: Any, name: str = "texts") -> Iterator[str]:
    """Texts as a file gives them, one after the other.

    Args:
        texts: as many as you like; one is held at a time.
        name: what they were given as.

    Raises:
        InputError: it is no list of texts.
    """
    if isinstance(texts, str):
        raise InputError("one text instead of a list of texts", fix="put it into a list: [text]")
    check_is_list(texts, name, "a list of texts")
    return (given_text(text, f"{name}[{number}]") for number, text in enumerate(texts))


def given_prompts(prompts: Any, special: SamplingConfig | None = None) -> list[str | list[int] | Request]:
    """Prompts: texts, token ids, and requests.

    Args:
        prompts: as they were given.
        special: where special tokens in texts are to be read as what they are, the settings of these.

    Raises:
        InputError: it is no list of these.
    """
    if isinstance(prompts, str):
        raise InputError("one text instead of a list of prompts", fix="put it into a list: [prompt]")
    check_is_list(prompts, "prompts", "a list of prompts")
    found: list[str | list[int] | Request] = []
    for number, prompt in enumerate(prompts):
        where = f"prompts[{number}]"
        found.append(_request(prompt, where) if isinstance(prompt, Request) else _prompt(prompt, where))
    if special is None:
        return found
    return [Request(one, special, special_tokens=True) if isinstance(one, str) else one for one in found]


def formatted(
    prompts: Sequence[str | list[int] | Request],
    sampling: SamplingConfig,
    prompt_format: PromptFormat,
    tokenizer: Tokenizer,
    *,
    suffix: str | None,
    control: str | None,
) -> list[str | list[int] | Request]:
    """Prompts laid out as the model learned them, as requests; where nothing is asked for, as they are.

    Args:
        prompts: as ``given_prompts`` gives them.
        sampling: of those that are no requests.
        prompt_format: the model's.
        tokenizer: the model's.
        suffix: what stands after what is to be filled in.
        control: what the text is to be.

    Raises:
        InputError: token ids, which are laid out already; or as ``PromptFormat.ids``.
    """
    if suffix is None and control is None:
        return list(prompts)
    found = list[str | list[int] | Request]()
    for number, prompt in enumerate(prompts):
        request = prompt if isinstance(prompt, Request) else Request(prompt, sampling)
        text, asked = request.prompt, {"suffix": suffix, "control": control}
        if not isinstance(text, str):
            given = " and ".join(name for name, value in asked.items() if value is not None)
            raise InputError(f"{given} with token ids", where=f"prompts[{number}]", expected="a text")
        ids = prompt_format.ids(text, tokenizer, suffix=suffix, control=control, special_tokens=request.special_tokens)
        found.append(replace(request, prompt=ids, shown=text))
    return found


def given_ids(ids: Any, *, context_length: int, vocab_size: int) -> Int[Tensor, "batch time"]:
    """Rows of token ids as a tensor.

    Args:
        ids: as they were given.
        context_length: of the model.
        vocab_size: of the model.

    Raises:
        InputError: they are no whole numbers, rows of different lengths, or what the model cannot take.
    """
    try:
        found = torch.as_tensor(ids)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise wrong_kind("ids", ids, "whole numbers, batch x time, in rows of one length") from None
    if found.numel() and (found.is_floating_point() or found.is_complex() or found.dtype == torch.bool):
        raise InputError(f"ids of {found.dtype}", expected="whole numbers")
    found = found.long()
    if found.ndim != 2:
        raise InputError(f"ids of {found.ndim} dimensions", expected="batch x time", fix="use [ids] for one row")
    if not found.numel():
        raise InputError("no ids", expected="rows with at least one id each")
    if found.shape[1] > context_length:
        raise InputError(f"{found.shape[1]} ids in a row", expected=f"at most {context_length}")
    if not 0 <= int(found.min()) <= int(found.max()) < vocab_size:
        raise InputError("an id outside the vocabulary", expected=f"0 to {vocab_size - 1}")
    return found


def given_paths(paths: Any, name: str) -> list[Path]:
    """Paths of files and folders: one, or several.

    Args:
        paths: as they were given.
        name: what they were given as.

    Raises:
        InputError: it is something else, or none.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else paths
    if not isinstance(given, list | tuple):
        raise wrong_kind(name, paths, "a path, or a list of paths")
    if not given:
        raise InputError(f"no path in {name}", expected="at least one")
    for number, path in enumerate(given):
        if not isinstance(path, str | os.PathLike) or not os.fspath(path) or isinstance(os.fspath(path), bytes):
            raise wrong_kind(f"{name}[{number}]" if given is paths else name, path, "a path")
        check_is_text(str(path))
    return [Path(path) for path in given]


def given_names(names: Any, name: str) -> list[str]:
    """Names, at least one.

    Args:
        names: as they were given.
        name: what they were given as.

    Raises:
        InputError: it is no list of texts, or an empty one.
    """
    if not isinstance(names, list | tuple) or not all(isinstance(one, str) for one in names):
        raise wrong_kind(name, names, "a list of names")
    if not names:
        raise InputError(f"no name in {name}", expected="at least one")
    return list(names)


def _prompt(prompt: Any, where: str) -> str | list[int]:
    """A text as it is, or token ids."""
    if isinstance(prompt, str):
        return prompt
    ids = prompt.tolist() if isinstance(prompt, Tensor | np.ndarray) else prompt
    if not isinstance(ids, Sequence) or isinstance(ids, bytes | bytearray | memoryview):
        raise wrong_kind(where, prompt, "text, token ids or a Request")
    for token_id in ids:
        if not is_number(token_id):
            raise wrong_kind(where, prompt, "text, token ids or a Request", fix=f"{describe(token_id)} is no token id")
    return [int(token_id) for token_id in ids]


def _request(request: Request, where: str) -> Request:
    """A request whose fields are of the right kinds."""
    if not isinstance(request.special_tokens, bool):
        raise wrong_kind(f"special_tokens of {where}", request.special_tokens, "true or false")
    if not isinstance(request.sampling, SamplingConfig):
        raise wrong_kind(f"the sampling of {where}", request.sampling, "a SamplingConfig")
    if isinstance(request.deadline_s, bool) or not isinstance(request.deadline_s, int | float | None):
        raise wrong_kind(f"the deadline_s of {where}", request.deadline_s, "a number or None")
    if not isinstance(request.shown, str | None):
        raise wrong_kind(f"what is shown of {where}", request.shown, "text or None")
    source = request.source if request.source is None else _prompt(request.source, f"the source of {where}")
    return replace(request, prompt=_prompt(request.prompt, f"the prompt of {where}"), source=source)
