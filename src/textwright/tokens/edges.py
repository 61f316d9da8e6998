"""Which tokens begin and end a text: by ``tokenizer.json``, and by the files that lie beside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from textwright.core.errors import InputError
from textwright.tokens.added_tokens import shown_id

GUESSES = ("<|endoftext|>", "</s>", "<|im_end|>")
"""End tokens that are looked for where nothing names one."""


@dataclass(frozen=True)
class Named:
    """What the files beside ``tokenizer.json`` say of special tokens.

    Attributes:
        ends: what ends a text, as (file, token or id), the tokenizer's own files first.
        begin: the token that begins one, where a setting says that it is to be there.
    """

    ends: tuple[tuple[str, str | int], ...] = ()
    begin: str | None = None

    @classmethod
    def of(cls, files: Mapping[str, Mapping[str, Any]]) -> "Named":
        """From the contents of files by their names."""
        ends: list[tuple[str, str | int]] = []
        for name in ("tokenizer_config.json", "special_tokens_map.json"):
            token = token_text(files.get(name, {}).get("eos_token"))
            ends += [(name, token)] if token is not None else []
        # As transformers does, the model's config is asked only where there is no file for generation.
        name = "generation_config.json" if "generation_config.json" in files else "config.json"
        value = files.get(name, {}).get("eos_token_id")
        ends += [(name, index) for index in (value if isinstance(value, list) else [value]) if type(index) is int]
        config = files.get("tokenizer_config.json", {})
        begin = token_text(config.get("bos_token")) if config.get("add_bos_token") is True else None
        return cls(tuple(ends), begin)


def token_text(value: Any) -> str | None:
    """A token as these files write one: as a text, or as an object with its content."""
    value = value.get("content") if isinstance(value, dict) else value
    return value if isinstance(value, str) and value else None


@dataclass(frozen=True)
class Edges:
    """Which tokens begin and end a text."""

    begin_ids: tuple[int, ...]
    end_ids: tuple[int, ...]
    """The first ends documents; each of them ends a text that is written."""
    eos_text: str
    """How the first is written."""
    notes: tuple[str, ...]

    @property
    def end_id(self) -> int:
        """The token that ends a document."""
        return self.end_ids[0]


def find_edges(content: Mapping[str, Any], ids: Mapping[str, int], named: Named, where: str) -> Edges:
    """Those of a tokenizer.

    Args:
        content: of ``tokenizer.json``.
        ids: of all its tokens.
        named: what the files beside it say.
        where: the file, for messages.

    Raises:
        InputError: nothing ends a text.
    """
    token_of, notes = {index: token for token, index in ids.items()}, list[str]()
    before, after = _of_post_processor(content.get("post_processor"), ids)
    if not before and named.begin is not None and named.begin in ids:
        before = [ids[named.begin]]
    if before:
        notes.append(f"every text begins with {' '.join(token_of[index] for index in before)}")
    ends: list[int] = []
    for name, token in named.ends:
        index = token if isinstance(token, int) else ids.get(token)
        if index in token_of:
            assert index is not None
            ends += [] if index in ends else [index]
        else:
            shown = shown_id(token) if isinstance(token, int) else repr(token)
            notes.append(f"{name} names the end token {shown}, which the tokenizer does not have: passed over")
    if not ends:
        ends = after[-1:] or [ids[token] for token in GUESSES if token in ids][:1]
    if not ends:
        expected = "one named in tokenizer_config.json, special_tokens_map.json, generation_config.json or config.json"
        raise InputError(
            "no end token", where=where, expected=f"{expected}, or {' or '.join(GUESSES)} among its tokens"
        )
    if len(ends) > 1:
        notes.append(f"each of these tokens ends a text: {' '.join(token_of[index] for index in ends)}")
    if after not in ([], ends[:1]):
        shown = " ".join(token_of[index] for index in after)
        notes.append(f"its post-processor ends texts with {shown}; ours end with {token_of[ends[0]]}")
    return Edges(tuple(before), tuple(ends), token_of[ends[0]], tuple(notes))


def _of_post_processor(part: Mapping[str, Any] | None, ids: Mapping[str, int]) -> tuple[list[int], list[int]]:
    """The ids that it puts before and after a text."""
    kind = (part or {}).get("type")
    if part is None or kind == "ByteLevel":
        return [], []
    if kind == "Sequence":
        before, after = list[int](), list[int]()
        for inner in part["processors"]:
            first, last = _of_post_processor(inner, ids)
            before, after = first + before, after + last
        return before, after
    if kind in ("BertProcessing", "RobertaProcessing"):
        return [part["cls"][1]], [part["sep"][1]]
    if kind == "TemplateProcessing":
        return _of_template(part["single"], part["special_tokens"])
    raise ValueError(f"the post-processor {kind!r}")


def _of_template(pieces: Sequence[Any], special: Mapping[str, Any]) -> tuple[list[int], list[int]]:
    place = next(number for number, piece in enumerate(pieces) if "Sequence" in piece)

    def ids_of(some: Sequence[Any]) -> Iterator[int]:
        for piece in some:
            yield from special[piece["SpecialToken"]["id"]]["ids"]

    return [*ids_of(pieces[:place])], [*ids_of(pieces[place + 1 :])]
