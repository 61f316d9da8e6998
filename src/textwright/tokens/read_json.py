"""From a ``tokenizer.json`` to the tokenizer that it describes: fast kinds by ourselves, all others by the library."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from textwright.core.errors import InputError
from textwright.tokens.added_tokens import AddedToken, Splitter, read_added_tokens, shown_id, with_added
from textwright.tokens.byte_alphabet import alphabet_bytes, to_bytes
from textwright.tokens.compare import find_difference, is_known_equal, note_equal
from textwright.tokens.edges import Edges, Named, find_edges
from textwright.tokens.fast import (
    GPT2_PATTERN,
    PATTERNS,
    BPETokenizer,
    ByteTokenizer,
    CharTokenizer,
)
from textwright.tokens.library_tokenizer import LibraryTokenizer
from textwright.tokens.tokenizer import UNKNOWN, Tokenizer

SPARE_IDS = 1024
"""So many ids may be left out in any vocabulary, however small."""
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


class _NotFastError(Exception):
    """Why the library has to encode."""


@dataclass(frozen=True)
class _File:
    """A ``tokenizer.json`` with what was found in it."""

    content: dict[str, Any]
    where: str
    vocabulary: dict[str, int]
    ids: dict[str, int]
    """Of the vocabulary and of all that is added to it."""
    added: list[AddedToken]
    edges: Edges

    @property
    def model(self) -> dict[str, Any]:
        found: dict[str, Any] = self.content["model"]
        return found

    @cached_property
    def merges(self) -> list[Sequence[str]]:
        """Of a BPE: pairs of tokens, if it is whole; older files write each as a text."""
        return [merge.split(" ") if isinstance(merge, str) else merge for merge in self.model["merges"]]

    @property
    def kind(self) -> str:
        """The model's type. Files of the library's first versions leave out which."""
        return str(self.model.get("type") or "BPE")

    @property
    def size(self) -> int:
        return max(self.ids.values()) + 1

    def parts(self, name: str, inner: str) -> list[dict[str, Any]]:
        """The parts of a pre-tokenizer, a normalizer or a decoder, one or several."""
        return list(_flat(self.content.get(name), inner))


def from_json(content: dict[str, Any], where: str, named: Named | None = None) -> Tokenizer:
    """The tokenizer that a ``tokenizer.json`` describes.

    Args:
        content: of the file.
        where: the file's path, for messages.
        named: what the files beside it say of special tokens.

    Raises:
        InputError: it is broken, has no end token, or is of a kind whose ids nobody can tell beforehand.
    """
    try:
        return _from_json(content, where, named or Named())
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(f"not a whole tokenizer.json ({type(error).__name__}: {error})", where=where) from None


def _from_json(content: dict[str, Any], where: str, named: Named) -> Tokenizer:
    vocabulary = _vocabulary(content["model"])
    rows = content.get("added_tokens") or []
    ids = with_added(vocabulary, rows, where)
    _check_ids(ids, where)
    edges = find_edges(content, ids, named, where)
    file = _File(content, where, vocabulary, ids, read_added_tokens(rows), edges)
    if file.kind == "BPE":
        _check_merges(file)
    if file.model.get("dropout"):
        given = f"dropout = {file.model['dropout']}, by which a text has other ids each time"
        raise InputError(given, where=where, fix="set it to null")
    tokenizer = _compared(file)
    _check_normalised(file, tokenizer)
    tokenizer.begin_ids, tokenizer.end_ids = edges.begin_ids, edges.end_ids
    tokenizer.notes = (*edges.notes, *_notes_of(file), *tokenizer.notes)
    return tokenizer


def _compared(file: _File) -> Tokenizer:
    """The fast tokenizer, where there is one and it does as the library does; else the library's."""
    try:
        fast = _fast(file)
    except _NotFastError as error:
        return _slow(file, str(error))
    if is_known_equal(fast):
        return fast
    difference = find_difference(fast)
    if difference is not None:
        return _slow(file, difference)
    note_equal(fast)
    return fast


def _slow(file: _File, reason: str) -> LibraryTokenizer:
    content, read_as = file.content, file.content
    if _is_byte_level(file) and content.get("decoder") is None:
        read_as = content | {"decoder": BYTE_LEVEL}
    tokenizer = LibraryTokenizer(
        file.size, file.edges.end_id, content, kind=file.kind.lower(), eos_text=file.edges.eos_text, read_as=read_as
    )
    for token in file.added:
        index = tokenizer.library.token_to_id(token.content)
        if index != token.id:
            given = f"the added token {token.content!r} has the id {shown_id(token.id)}"
            raise InputError(given, where=file.where, expected=f"{shown_id(index)}, which the library gives it")
    tokenizer.notes = (f"text is cut by the tokenizers library, several times slower than ours, because of {reason}",)
    return tokenizer


def _check_normalised(file: _File, tokenizer: Tokenizer) -> None:
    """See that no two tokens are looked for under one text: the library takes now one, now the other."""
    tokens = [token.content for token in file.added if token.normalized]
    if len(tokens) < 2 or file.content.get("normalizer") is None:
        return
    found: dict[str, str] = {}
    for token in tokens:
        other = found.setdefault(tokenizer.library.normalizer.normalize_str(token), token)
        if other != token:
            given = f"the added tokens {other!r} and {token!r}, which its normalizer makes the same"
            raise InputError(given, where=file.where, fix="set normalized to false, or leave one of them out")


def _fast(file: _File) -> Tokenizer:
    """By ourselves. Raises _NotFastError where the file is of another kind than ours."""
    size, end_id, eos_text = file.size, file.edges.end_id, file.edges.eos_text
    plain = [token for token in file.added if not token.special]
    if any(token.single_word or token.lstrip or token.rstrip for token in plain):
        raise _NotFastError("added tokens that take white space with them, or only whole words")
    if _is_char(file):
        added = {token.content for token in file.added}
        characters = {index: token.encode() for token, index in file.vocabulary.items() if token not in added}
        table = _table(size, characters | {token.id: token.content.encode() for token in plain})
        return CharTokenizer(
            table, end_id, file.content, eos_text, splitter=Splitter(file.added, str) if plain else None
        )
    if file.kind != "BPE":
        raise _NotFastError(f"its model, {file.kind}")
    for key in ("continuing_subword_prefix", "end_of_word_suffix"):
        if file.model.get(key):
            raise _NotFastError(f"{key} = {file.model[key]!r}")
    pattern, is_nfc, special = _pattern(file), _is_nfc(file), {token.content for token in file.added if token.special}
    bytes_of = {token: _bytes_of(token) for token in file.vocabulary if token not in special}
    id_of = {raw: file.vocabulary[token] for token, raw in bytes_of.items()}
    if any(bytes([byte]) not in id_of for byte in range(256)):
        raise _NotFastError("a vocabulary without all 256 bytes")
    if {part["type"] for part in file.parts("decoder", "decoders")} - {"ByteLevel"}:
        raise _NotFastError("its decoder")
    added_bytes = {token.id: alphabet_bytes(token.content) for token in plain}
    token_bytes = _table(size, {index: raw for raw, index in id_of.items()} | added_bytes)
    merges = file.merges
    if not merges and not plain and pattern is None and not is_nfc:
        return ByteTokenizer(token_bytes, end_id, file.content, eos_text)
    if pattern is None and merges:
        raise _NotFastError("text that is not cut into words")
    splitter = Splitter(file.added, _nfc if is_nfc else str) if plain else None
    return BPETokenizer(
        token_bytes,
        end_id,
        file.content,
        # Without merges it does not matter where a text is cut.
        pattern=pattern if pattern is not None else GPT2_PATTERN,
        ranks=_ranks(merges, bytes_of, id_of, ignores_merges=bool(file.model.get("ignore_merges"))),
        id_of=id_of,
        is_nfc=is_nfc,
        splitter=splitter,
        eos_text=eos_text,
    )


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _vocabulary(model: Mapping[str, Any]) -> dict[str, Any]:
    if model.get("type") == "Unigram":
        return {piece: index for index, (piece, _) in enumerate(model["vocab"])}
    return dict(model["vocab"])


def _check_ids(ids: dict[str, Any], where: str) -> None:
    """Every token has an id of its own, a whole number from 0 on; some may be left out, but not most.

    A table has a place for each id, and a model a row of weights: one id of three billion would be paid for.
    """
    below = 2 * len(ids) + SPARE_IDS
    token_of: dict[int, str] = {}
    for token, index in ids.items():
        if type(index) is not int or not 0 <= index < below:
            raise InputError(
                f"the id {shown_id(index)} of {token!r}",
                where=where,
                expected=f"ids below {below:,} for {len(ids):,} tokens, whole numbers from 0 on",
            )
        if index in token_of:
            raise InputError(f"the id {index} of {token!r} is also {token_of[index]!r}'s", where=where)
        token_of[index] = token


def _check_merges(file: _File) -> None:
    """The pairs that are merged are of tokens that there are, and make no special one."""
    special = {token.content for token in file.added if token.special}
    prefix = file.model.get("continuing_subword_prefix") or ""
    vocabulary = file.vocabulary
    for merge in file.merges:
        if len(merge) != 2:
            raise InputError(_named(merge), where=file.where, expected="two tokens")
        left, right = merge
        whole = left + right.removeprefix(prefix)
        if not (left in vocabulary and right in vocabulary and whole in vocabulary):
            missing = next(token for token in (left, right, whole) if token not in vocabulary)
            raise InputError(f"{_named(merge)}: {missing!r} is no token of the vocabulary", where=file.where)
        if whole in special:
            given = f"{_named(merge)} makes the special token {whole!r} of text"
            raise InputError(given, where=file.where, expected="special tokens that no text gives")


def _named(merge: Sequence[str]) -> str:
    return f"the merge {' '.join(map(repr, merge))}"


def _bytes_of(token: str) -> bytes:
    try:
        return to_bytes(token)
    except KeyError:
        raise _NotFastError(f"the token {token!r}, which is not in GPT-2's alphabet for bytes") from None


def _ranks(
    merges: Sequence[Sequence[str]],
    bytes_of: Mapping[str, bytes],
    id_of: Mapping[bytes, int],
    *,
    ignores_merges: bool,
) -> dict[bytes, int]:
    """The order in which tokens are merged, the bytes before all.

    In a vocabulary that was trained each token is made by one merge, after its halves. One that was put together by
    hand, or from another kind of tokenizer, may have several ways to a token: then it matters which pair is merged,
    and an order of tokens cannot say it.
    """
    # Bytes never compete, so any order will do: the vocabulary's own spares a look-up.
    ranks = {
        raw: rank for rank, raw in enumerate(sorted((raw for raw in id_of if len(raw) == 1), key=id_of.__getitem__))
    }
    for left, right in merges:
        left_bytes, right_bytes = bytes_of.get(left), bytes_of.get(right)
        if left_bytes not in ranks or right_bytes not in ranks or (whole := left_bytes + right_bytes) in ranks:
            raise _NotFastError("merges that make a token in several ways, or before its halves")
        ranks[whole] = len(ranks)
    if ignores_merges and any(raw not in ranks for raw in id_of):
        raise _NotFastError("ignore_merges, with tokens that no merge makes")
    return ranks


def _pattern(file: _File) -> str | None:
    """The pattern by which text is cut; None where it is not cut at all."""
    parts = file.parts("pre_tokenizer", "pretokenizers")
    split = [part for part in parts if part["type"] == "Split"]
    level = [part for part in parts if part["type"] == "ByteLevel"]
    if not (len(level) == 1 and len(split) + 1 == len(parts) <= 2 and parts[-1] is level[0]):
        raise _NotFastError(f"its pre-tokenizer, {', '.join(part['type'] for part in parts) or 'none'}")
    if level[0].get("add_prefix_space", True):
        raise _NotFastError("add_prefix_space")
    cuts = level[0].get("use_regex", True)
    if not split:
        return GPT2_PATTERN if cuts else None
    (one,) = split
    pattern = one["pattern"].get("Regex")
    if cuts or pattern not in PATTERNS or one["behavior"] != "Isolated" or one.get("invert"):
        raise _NotFastError("its pattern for cutting text, which is none that we know")
    return str(pattern)


def _is_nfc(file: _File) -> bool:
    normalizer = file.content.get("normalizer")
    if normalizer is None:
        return False
    if normalizer.get("type") != "NFC":
        raise _NotFastError(f"its normalizer, {normalizer.get('type')}")
    return True


def _is_char(file: _File) -> bool:
    """Whether it is a tokenizer of characters as we write them."""
    before, content = file.content.get("pre_tokenizer") or {}, file.content
    return (
        file.kind == "WordLevel"
        and (before.get("type"), before.get("pattern")) == ("Split", {"Regex": r"[\s\S]"})
        and (before.get("behavior"), before.get("invert")) == ("Isolated", False)
        and content.get("normalizer") is None
        and (content.get("decoder") or {}).get("type") == "Fuse"
        and file.model.get("unk_token") == UNKNOWN
        and UNKNOWN in file.vocabulary
        and all(len(token) == 1 for token in file.vocabulary.keys() - {token.content for token in file.added})
    )


def _is_byte_level(file: _File) -> bool:
    return any(part["type"] == "ByteLevel" for part in file.parts("pre_tokenizer", "pretokenizers"))


def _notes_of(file: _File) -> list[str]:
    """What is in the file and not obeyed, or is seldom there."""
    found = []
    for name, what in (("truncation", "cuts"), ("padding", "pads")):
        if file.content.get(name):
            found.append(f"{name} is set in tokenizer.json, which {what} texts: not here")
    if _is_byte_level(file) and file.content.get("decoder") is None:
        found.append("tokenizer.json names no decoder: tokens are decoded as the bytes that they are")
    plain = [token.content for token in file.added if not token.special]
    if plain:
        some = ", ".join(map(repr, plain[:3])) + (", ..." if len(plain) > 3 else "")
        found.append(f"{len(plain)} added tokens are part of how text is read: {some}")
    special = [token.content for token in file.added if token.special and token.content != file.edges.eos_text]
    if special:
        some = ", ".join(map(repr, special[:3])) + (", ..." if len(special) > 3 else "")
        found.append(f"{len(special)} special tokens never arise from text, unless they are asked for: {some}")
    return found


def _table(size: int, raw_of: Mapping[int, bytes]) -> list[bytes]:
    return [raw_of.get(index, b"") for index in range(size)]


def _flat(part: Any, inner: str) -> Sequence[dict[str, Any]]:
    if part is None:
        return []
    if part.get("type") == "Sequence":
        return [one for each in part[inner] for one in _flat(each, inner)]
    return [part]
