"""What is given in Python: texts as a file gives them, and whatever is none is told in one line.

::

    fit        a text, or texts, pairs, rows, paths ----> Example
    evaluate, embed                texts            ----> str
    complete   texts, token ids, requests           ----> str | list[int] | Request
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from textwright.core.errors import InputError, check_is_text, nearest
from textwright.core.kinds import describe, is_number, wrong_kind
from textwright.data.examples import Example
from textwright.generation.request import Request, SamplingConfig
from textwright.text.document import Document
from textwright.text.files import search
from textwright.text.options import ReadOptions
from textwright.text.read import read_chunks
from textwright.text.readers import READERS
from textwright.text.rows import as_text, pair_of, text_of

ExampleLike = str | tuple[str, str] | Mapping[str, Any] | os.PathLike[str]
Examples = str | os.PathLike[str] | Iterable[ExampleLike]
"""Texts; pairs (prompt, completion); rows, each with its text or with both of these; paths of files and folders."""
EXAMPLES = "texts, pairs (prompt, completion), rows or paths"
LONGEST_PATH = 4096
"""Characters; a longer text is none."""


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
    _check_is_list(texts, name, "a list of texts")
    return (_text(text, f"{name}[{number}]") for number, text in enumerate(texts))


def given_examples(examples: Any, name: str, options: ReadOptions, *, but: Sequence[Path] = ()) -> Iterator[Example]:
    """What is to be learned from, one after the other.

    Args:
        examples: see ``Examples``.
        name: what they were given as.
        options: how files are read, and which field of a row holds its text.
        but: files and folders of which nothing is to be learned.

    Raises:
        InputError: it is something else, or a file that cannot be read.
    """
    if isinstance(examples, str):
        _check_is_no_path(examples, name, alone=True)
    if isinstance(examples, str | os.PathLike):
        examples = [examples]
    _check_is_list(examples, name, EXAMPLES)
    for is_path, numbered in groupby(enumerate(examples), lambda item: isinstance(item[1], os.PathLike)):
        if is_path:
            yield from _of_files([Path(os.fsdecode(path)) for _, path in numbered], options, but)
        else:
            yield from (_example(item, number, name, options.text_field) for number, item in numbered)


def paths_in(examples: Any) -> list[Path]:
    """The paths among what was given; of what comes as it is gone through, nothing is known before."""
    given = [examples] if isinstance(examples, os.PathLike) else examples
    if not isinstance(given, list | tuple):
        return []
    return [Path(os.fsdecode(one)) for one in given if isinstance(one, os.PathLike)]


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
    _check_is_list(prompts, "prompts", "a list of prompts")
    found: list[str | list[int] | Request] = []
    for number, prompt in enumerate(prompts):
        where = f"prompts[{number}]"
        found.append(_request(prompt, where) if isinstance(prompt, Request) else _prompt(prompt, where))
    if special is None:
        return found
    return [Request(one, special, special_tokens=True) if isinstance(one, str) else one for one in found]


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


def _check_is_list(given: Any, name: str, expected: str) -> None:
    """See that something can be gone through in order, and gives what is in it: not its fields' names."""
    columns = list(given) if isinstance(given, Mapping) else getattr(given, "columns", None)
    if columns is not None:  # a table goes through the names of its columns, as a dict does
        what = describe(given)
        if isinstance(columns, Iterable) and not isinstance(columns, str):
            what += f" with {_fields(columns)}"
        raise InputError(f"{name} is {what}", expected=expected, fix="give a list of what is to be read of it")
    if isinstance(given, set | frozenset):
        raise wrong_kind(name, given, expected, fix="give a list: a set has another order each time")
    if isinstance(given, bytes | bytearray | memoryview):
        raise wrong_kind(name, given, expected)
    try:
        iter(given)
    except TypeError:
        raise wrong_kind(name, given, expected) from None


def _fields(names: Iterable[Any]) -> str:
    shown = [name for name in names if isinstance(name, str)]
    return f"the fields {', '.join(shown[:20])}" if shown else "no field"


def _text(value: Any, where: str) -> str:
    """One text."""
    if not isinstance(value, str):
        raise wrong_kind(where, value, "text")
    return as_text(value, where)


def _example(item: Any, number: int, name: str, text_field: str) -> Example:
    where, document = f"{name}[{number}]", Document(name, str(number))
    if isinstance(item, Mapping):
        pair = pair_of(item, where, ReadOptions(text_field=text_field))
        if pair is not None:
            return Example(pair[1], document, pair[0])
        return Example(_field(item, text_field, where), document)
    if isinstance(item, tuple):
        if len(item) != 2 or not all(isinstance(part, str) for part in item):
            kinds = ", ".join(describe(part) for part in item[:3])
            raise InputError(f"{where} is a tuple of {kinds or 'nothing'}", expected="a pair (prompt, completion)")
        prompt, completion = (_text(part, where) for part in item)
        if not completion:
            raise InputError(f"pair {number} has no completion", where=name, fix="give it one, or leave the pair out")
        return Example(completion, document, prompt)
    if not isinstance(item, str):
        fix = "a pair is a tuple: (prompt, completion)" if isinstance(item, list) else ""
        raise wrong_kind(where, item, EXAMPLES, fix=fix)
    if number == 0:
        _check_is_no_path(item, where, alone=False)
    return Example(_text(item, where), document)


def _field(row: Mapping[Any, Any], text_field: str, where: str) -> str:
    """The text of a row."""
    if text_field not in row and text_field.split(".")[0] not in row:
        names = [name for name in row if isinstance(name, str)]
        close = nearest(text_field, names) or next((name for name in names if isinstance(row[name], str)), "NAME")
        fix = f"name the one that holds the text: text_field={close!r}; or give pairs (prompt, completion)"
        raise InputError(f"{where} is a row with {_fields(row)}", expected=f"the field {text_field!r}", fix=fix)
    try:
        text = text_of(dict(row), where, ReadOptions(text_field=text_field))
    except InputError as error:  # without the option of the command line that it offers
        raise InputError(error.given, expected=error.expected, where=error.where) from None
    assert text is not None, "null is refused"
    return text


def _check_is_no_path(text: str, where: str, *, alone: bool) -> None:
    """See that a text is not the path of a file, which nobody means to be learned."""
    if not text.strip() or len(text) > LONGEST_PATH:
        return
    path = Path(text)
    try:
        is_there = path.exists()
    except (OSError, ValueError):
        return
    is_named_so = alone and len(text.split()) == 1 and path.suffix.lower() in (*READERS, ".txt", ".md", ".gz", ".zst")
    if is_named_so or (is_there and (alone or path.suffix or os.sep in text)):
        shown = repr(text)
        raise InputError(
            f"{where} is the text {shown}",
            expected="no name of a file",
            fix=f'pathlib.Path({shown}) reads the file, and {{"text": {shown}}} is the name itself',
        )


def _of_files(paths: Sequence[Path], options: ReadOptions, but: Sequence[Path]) -> Iterator[Example]:
    """The documents of files and folders."""
    files, parts = search(paths, but=but).files, list[str]()
    for chunk in read_chunks(files, invalid_utf8=options.invalid_utf8, text_field=options.text_field) if files else ():
        parts.append(chunk.text)
        if chunk.is_last:
            yield _of_document("".join(parts), chunk.document)
            parts = []


def _of_document(text: str, document: Document) -> Example:
    """A document of a file; of one with a prompt and a completion the completion is learned."""
    if document.spans is None:
        return Example(text, document)
    ((start, _),) = document.spans
    return Example(text[start:], replace(document, spans=None), text[:start])


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
    source = request.source if request.source is None else _prompt(request.source, f"the source of {where}")
    return replace(request, prompt=_prompt(request.prompt, f"the prompt of {where}"), source=source)
