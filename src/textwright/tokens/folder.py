"""Tokenizers from folders: ours, Hugging Face's ``tokenizer.json``, and GPT-2's older pairs of files."""

import json
from pathlib import Path
from typing import Any

from textwright.core.errors import InputError
from textwright.core.user_paths import given_path
from textwright.tokens.byte_alphabet import BYTE_OF_CHARACTER, to_bytes
from textwright.tokens.tokenizer import (
    END,
    GPT2_PATTERN,
    UNKNOWN,
    BPETokenizer,
    ByteTokenizer,
    CharTokenizer,
    Tokenizer,
)

# vocabulary, merges; in the order they are looked for
PAIRS = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))
SPARE_IDS = 1024
"""So many ids may be left out in any vocabulary, however small."""
HOW = "Textwright reads byte-level BPE (GPT-2's kind), and the byte and char tokenizers it writes itself"


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer in a folder: ``tokenizer.json``, or GPT-2's vocabulary and merges under either of their names.

    Raises:
        InputError: none there, broken, or of a kind whose ids could not be reproduced exactly.
    """
    with given_path(folder):
        return _load(folder)


def _load(folder: Path) -> Tokenizer:
    path = folder / "tokenizer.json"
    if path.is_file():
        return from_json(_read_json(path), str(path), _eos_text(folder))
    for vocabulary, merges in PAIRS:
        if (folder / vocabulary).is_file() and (folder / merges).is_file():
            return _from_pair(folder / vocabulary, folder / merges, _eos_text(folder))
    if not folder.is_dir():
        raise InputError(f"there is no tokenizer folder {folder}", fix="check the path")
    wanted = ", ".join(["tokenizer.json", *(" + ".join(pair) for pair in PAIRS)])
    raise InputError(f"no tokenizer in {folder}", expected=f"one of {wanted}")


def from_json(content: dict[str, Any], where: str, eos_text: str | None = None) -> Tokenizer:
    """The tokenizer that a ``tokenizer.json`` describes.

    Raises:
        InputError: it is broken, or of a kind whose ids could not be reproduced exactly.
    """
    try:
        return _from_json(content, where, eos_text)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(f"not a whole tokenizer.json ({type(error).__name__}: {error})", where=where) from None


def _from_json(content: dict[str, Any], where: str, eos_text: str | None) -> Tokenizer:
    model, before = content["model"], content.get("pre_tokenizer") or {}
    vocabulary: dict[str, int] = dict(model["vocab"])
    added = _added_ids(content.get("added_tokens") or [], vocabulary, where)
    end = _end_token(added | vocabulary, eos_text, where)
    ids = vocabulary | added
    _check_ids(ids, where)
    end_id, size = ids[end], max(ids.values()) + 1
    normalizer = (content.get("normalizer") or {}).get("type")

    if model.get("type") == "WordLevel":
        _require(before.get("type") == "Split" and before["pattern"] == {"Regex": r"[\s\S]"}, "words as tokens", where)
        _require(normalizer is None, f"the normalizer {normalizer!r}", where)
        _require(model.get("unk_token") == UNKNOWN, f"unk_token = {model.get('unk_token')!r}", where)
        token_bytes = _table(size, {raw: token.encode() for token, raw in vocabulary.items() if token != end})
        return CharTokenizer(token_bytes, end_id, content, end)

    _require(model.get("type", "BPE") == "BPE", f"the model {model.get('type')!r}", where)
    for key in ("continuing_subword_prefix", "end_of_word_suffix", "dropout"):
        _require(not model.get(key), f"{key} = {model.get(key)!r}", where)
    _require(normalizer in (None, "NFC"), f"the normalizer {normalizer!r}", where)
    pattern = _pattern(before, where)
    merges = _merges(model["merges"], vocabulary, where)
    id_of = {_bytes_of(token, where): index for token, index in vocabulary.items() if token not in added}
    token_bytes = _table(size, {index: raw for raw, index in id_of.items()})
    _require(all(bytes([byte]) in id_of for byte in range(256)), "a vocabulary without all 256 bytes", where)
    if not merges and pattern is None and normalizer is None:
        return ByteTokenizer(token_bytes, end_id, content, end)
    # Without a pattern a whole text is one piece; without merges it does not matter where a text is cut.
    ranks = _ranks(merges, id_of, ignores_merges=bool(model.get("ignore_merges"))) if pattern or not merges else None
    return BPETokenizer(
        token_bytes,
        end_id,
        content,
        pattern=pattern if pattern is not None else GPT2_PATTERN,
        ranks=ranks,
        is_nfc=normalizer == "NFC",
        eos_text=end,
    )


def _added_ids(tokens: list[dict[str, Any]], vocabulary: dict[str, int], where: str) -> dict[str, int]:
    """The ids of the tokens that are added to the vocabulary, or named in it as special."""
    added: dict[str, int] = {}
    for token in tokens:
        content, index = token["content"], token["id"]
        other = (added | vocabulary).get(content, index)
        if other != index:
            raise InputError(
                f"{content!r} has the ids {_shown(other)} and {_shown(index)}", where=where, expected="one"
            )
        added[content] = index
    return added


def _check_ids(ids: dict[str, int], where: str) -> None:
    """Every token has an id of its own, a whole number from 0 on; some may be left out, but not most.

    A table has a place for each id, and a model a row of weights: one id of three billion would be paid for.
    """
    below = 2 * len(ids) + SPARE_IDS
    token_of: dict[int, str] = {}
    for token, index in ids.items():
        if type(index) is not int or not 0 <= index < below:
            raise InputError(
                f"the id {_shown(index)} of {token!r}",
                where=where,
                expected=f"ids below {below:,} for {len(ids):,} tokens, whole numbers from 0 on",
            )
        if index in token_of:
            raise InputError(f"the id {index} of {token!r} is also {token_of[index]!r}'s", where=where)
        token_of[index] = token


def _shown(index: object) -> str:
    return f"{index:,}" if type(index) is int else repr(index)


def _merges(merges: list[Any], vocabulary: dict[str, int], where: str) -> list[tuple[str, str]]:
    """The pairs that are merged, in order, of tokens that there are."""
    pairs: list[tuple[str, str]] = []
    for merge in merges:
        tokens = merge.split(" ") if isinstance(merge, str) else merge
        named = f"the merge {' '.join(map(repr, tokens))}"
        if len(tokens) != 2:
            raise InputError(named, where=where, expected="two tokens")
        left, right = tokens
        for token in (left, right, left + right):
            if token not in vocabulary:
                raise InputError(f"{named}: {token!r} is no token of the vocabulary", where=where)
        pairs.append((left, right))
    return pairs


def _bytes_of(token: str, where: str) -> bytes:
    if not BYTE_OF_CHARACTER.keys() >= set(token):
        raise InputError(f"the token {token!r}", where=where, expected="GPT-2's alphabet for bytes")
    return to_bytes(token)


def _ranks(merges: list[tuple[str, str]], id_of: dict[bytes, int], *, ignores_merges: bool) -> dict[bytes, int] | None:
    """The order in which tokens are merged, the bytes before all; None where an order of tokens cannot say it.

    In a vocabulary that was trained each token is made by one merge, after its halves. One that was put together by
    hand, or from another kind of tokenizer, may have several ways to a token: then it matters which pair is merged.
    """
    # Bytes never compete, so any order will do: the vocabulary's own spares a look-up.
    ranks = {
        raw: rank for rank, raw in enumerate(sorted((raw for raw in id_of if len(raw) == 1), key=id_of.__getitem__))
    }
    for left, right in merges:
        left_bytes, right_bytes = to_bytes(left), to_bytes(right)
        whole = left_bytes + right_bytes
        if whole in ranks or left_bytes not in ranks or right_bytes not in ranks:
            return None
        ranks[whole] = len(ranks)
    return None if ignores_merges and any(raw not in ranks for raw in id_of) else ranks


def _pattern(before: dict[str, Any], where: str) -> str | None:
    """The pattern by which text is cut; None where it is not cut at all."""
    parts = before["pretokenizers"] if before.get("type") == "Sequence" else [before]
    split = [part for part in parts if part.get("type") == "Split"]
    level = [part for part in parts if part.get("type") == "ByteLevel"]
    _require(
        len(level) == 1 and len(split) + 1 == len(parts) <= 2 and not level[0].get("add_prefix_space"),
        f"the pre-tokenizer {[part.get('type') for part in parts]}",
        where,
    )
    if level[0].get("use_regex", True):
        _require(not split, "two patterns at once", where)
        return GPT2_PATTERN
    if not split:
        return None
    _require(split[0].get("behavior") == "Isolated" and not split[0].get("invert"), "its Split", where)
    pattern = split[0]["pattern"]
    _require("Regex" in pattern, f"its Split at {pattern!r}", where)
    return str(pattern["Regex"])


def _table(size: int, raw_of: dict[int, bytes]) -> list[bytes]:
    return [raw_of.get(index, b"") for index in range(size)]


def _end_token(ids: dict[str, int], eos_text: str | None, where: str) -> str:
    for name in (eos_text, END, "</s>", "<|im_end|>"):
        if name is not None and name in ids:
            return name
    raise InputError("no end token", where=where, expected=f"{END} or the eos_token of tokenizer_config.json")


def _require(is_so: bool, what: str, where: str) -> None:
    if not is_so:
        raise InputError(f"cannot reproduce {what} exactly", where=where, fix=HOW)


def _from_pair(vocabulary_path: Path, merges_path: Path, eos_text: str | None) -> Tokenizer:
    """GPT-2's two files, as one ``tokenizer.json``."""
    vocabulary = _read_json(vocabulary_path)
    lines = _read_text(merges_path).split("\n")
    first = 1 if lines[0].startswith("#version") else 0
    merges = [line.split(" ") for line in lines[first:] if line]
    for number, merge in enumerate(merges, first + 1):
        if len(merge) != 2:
            raise InputError("a merge is not two tokens", where=f"{merges_path}:{number}")
        if merge[0] + merge[1] not in vocabulary:
            raise InputError("a merge makes no token of the vocabulary", where=f"{merges_path}:{number}")
    end = _end_token(vocabulary, eos_text, str(vocabulary_path))
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": vocabulary[end], "content": end} | special],
        "normalizer": None,
        "pre_tokenizer": level,
        "post_processor": None,
        "decoder": level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": merges,
        },
    }
    return from_json(content, str(vocabulary_path), end)


def _eos_text(folder: Path) -> str | None:
    path = folder / "tokenizer_config.json"
    value = _read_json(path).get("eos_token") if path.is_file() else None
    value = value.get("content") if isinstance(value, dict) else value
    return value if isinstance(value, str) else None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"not valid JSON: {error}", where=str(path), fix="the file may be cut short") from None
    if not isinstance(content, dict):
        raise InputError(f"{type(content).__name__} instead of an object", where=str(path))
    return content


def _read_text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start:,}", where=str(path)) from None
    if text.startswith("version https://git-lfs"):
        raise InputError("a Git LFS pointer instead of the file", where=str(path), fix="run git lfs pull")
    return text
